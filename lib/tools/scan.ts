/** Tells text from calls while an answer comes, so that text can be shown at once and calls never. */
import type { ToolSyntax, WrittenCall } from './syntax.js'

export class CallScanner {
  readonly #syntax: ToolSyntax
  #held = '' // may be a call, or its beginning
  #begun = false // something visible came
  #inCall = false // all that comes belongs to what is held

  /** `prefill`: the beginning of a call that was put before the answer. */
  constructor(syntax: ToolSyntax, prefill = '') {
    this.#syntax = syntax
    if (prefill !== '') this.#hold(prefill)
  }

  /** Whether a call began, for all that is known. */
  get inCall(): boolean {
    return this.#inCall
  }

  /** More of the answer; gives what of it is text for certain. */
  push(text: string): string {
    this.#held += text
    if (this.#inCall) return ''
    if (!this.#begun && this.#syntax.bare) {
      const visible = this.#held.trimStart()
      if (/^[{[]|^```\w*\s*[{[]/.test(visible)) return this.#open()
      if (/^(`{0,2}|```\w*\s*)$/.test(visible)) return '' // nothing yet, or a fence
    }
    const at = this.#openerAt()
    if (at !== -1) {
      const before = this.#held.slice(0, at)
      this.#held = this.#held.slice(at)
      this.#open()
      return before
    }
    return this.#release(this.#held.length - this.#partLength())
  }

  /** A control token of the answer, which is no text; gives what was held of the text before it. */
  mark(piece: string): string {
    if (this.#inCall) {
      if (this.#syntax.openers.includes(piece) || /^\[\w+\]$/.test(piece)) this.#held += piece
      return ''
    }
    if (!this.#syntax.openers.includes(piece)) return ''
    const before = this.#release(this.#held.length)
    this.#hold(piece)
    return before
  }

  /** The answer is over: its calls, or the text that was held back. */
  end(): { readonly text: string; readonly calls?: readonly WrittenCall[] } {
    const calls = this.#inCall ? this.#syntax.parse(this.#held) : undefined
    return calls && calls.length > 0 ? { text: '', calls } : { text: this.#held }
  }

  #hold(piece: string): void {
    this.#held += piece
    this.#open()
  }

  #open(): '' {
    this.#begun = true
    this.#inCall = true
    return ''
  }

  #release(length: number): string {
    const text = this.#held.slice(0, length)
    this.#held = this.#held.slice(length)
    this.#begun ||= text.trim() !== ''
    return text
  }

  #openerAt(): number {
    const found = this.#syntax.openers.map((opener) => this.#held.indexOf(opener))
    return found.filter((at) => at !== -1).sort((a, b) => a - b)[0] ?? -1
  }

  /** How much of the end may be the beginning of an opener. */
  #partLength(): number {
    let longest = 0
    for (const opener of this.#syntax.openers) {
      for (let length = opener.length - 1; length > longest; length--) {
        if (this.#held.endsWith(opener.slice(0, length))) longest = length
      }
    }
    return longest
  }
}
