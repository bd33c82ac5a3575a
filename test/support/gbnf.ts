/**
 * GBNF as plainly as can be, and with nothing of the native engine: which texts a grammar has, and
 * texts drawn from it. Memoized descent over code points; no grammar here is left-recursive.
 */

type Node =
  | { kind: 'text'; chars: readonly number[] }
  | { kind: 'set'; ranges: readonly [number, number][]; negated: boolean }
  | { kind: 'rule'; name: string }
  | { kind: 'seq'; parts: readonly Node[] }
  | { kind: 'alt'; options: readonly Node[] }
  | { kind: 'repeat'; of: Node; min: number; max: number }

export class Gbnf {
  readonly #rules = new Map<string, Node>()
  readonly #sizes = new Map<string, number>() // of the shortest derivation, in rules

  constructor(source: string) {
    for (const line of source.split('\n')) {
      if (line.trim() === '') continue
      const match = /^([A-Za-z0-9-]+) ::= (.*)$/s.exec(line)
      if (!match) throw new Error(`no rule: ${line}`)
      const [, name = '', body = ''] = match
      if (this.#rules.has(name)) throw new Error(`two rules ${name}`)
      this.#rules.set(name, new Reader(body).whole())
    }
    for (const node of this.#rules.values()) this.#assertKnown(node)
    this.#measure()
  }

  accepts(text: string): boolean {
    const chars = [...text].map((char) => char.codePointAt(0) as number)
    const memo = new Map<string, ReadonlySet<number>>()
    return this.#ends({ kind: 'rule', name: 'root' }, 0, chars, memo).has(chars.length)
  }

  /** A text of the grammar; `random` gives numbers from 0 to 1. Deeper than `depth`, the shortest way out. */
  draw(random: () => number, depth = 12): string {
    return this.#draw({ kind: 'rule', name: 'root' }, random, depth)
  }

  #assertKnown(node: Node): void {
    if (node.kind === 'rule' && !this.#rules.has(node.name)) throw new Error(`no ${node.name}`)
    for (const child of childrenOf(node)) this.#assertKnown(child)
  }

  #ends(
    node: Node,
    at: number,
    chars: readonly number[],
    memo: Map<string, ReadonlySet<number>>
  ): ReadonlySet<number> {
    switch (node.kind) {
      case 'text':
        return new Set(
          node.chars.every((code, i) => chars[at + i] === code) ? [at + node.chars.length] : []
        )
      case 'set':
        return new Set(at < chars.length && inSet(node, chars[at] as number) ? [at + 1] : [])
      case 'rule': {
        const key = `${node.name} ${at}`
        const known = memo.get(key)
        if (known) return known
        const found = this.#ends(this.#rules.get(node.name) as Node, at, chars, memo)
        memo.set(key, found)
        return found
      }
      case 'alt':
        return new Set(node.options.flatMap((option) => [...this.#ends(option, at, chars, memo)]))
      case 'seq': {
        let ends: ReadonlySet<number> = new Set([at])
        for (const part of node.parts) ends = this.#all(part, ends, chars, memo)
        return ends
      }
      case 'repeat': {
        const found = new Set<number>()
        let ends: ReadonlySet<number> = new Set([at])
        for (let count = 0; ends.size > 0; count++) {
          const before = found.size
          if (count >= node.min) for (const end of ends) found.add(end)
          if (count >= node.max || (count > node.min && found.size === before)) break
          ends = this.#all(node.of, ends, chars, memo)
        }
        return found
      }
    }
  }

  #all(
    node: Node,
    from: ReadonlySet<number>,
    chars: readonly number[],
    memo: Map<string, ReadonlySet<number>>
  ): ReadonlySet<number> {
    return new Set([...from].flatMap((at) => [...this.#ends(node, at, chars, memo)]))
  }

  #measure(): void {
    for (let changed = true; changed; ) {
      changed = false
      for (const [name, node] of this.#rules) {
        const size = 1 + this.#size(node)
        if (size < (this.#sizes.get(name) ?? Number.POSITIVE_INFINITY)) {
          this.#sizes.set(name, size)
          changed = true
        }
      }
    }
    for (const name of this.#rules.keys()) {
      if (!this.#sizes.has(name)) throw new Error(`${name} has no text`)
    }
  }

  #size(node: Node): number {
    if (node.kind === 'rule') return this.#sizes.get(node.name) ?? Number.POSITIVE_INFINITY
    if (node.kind === 'alt') return Math.min(...node.options.map((option) => this.#size(option)))
    if (node.kind === 'seq') return node.parts.reduce((sum, part) => sum + this.#size(part), 0)
    if (node.kind === 'repeat') return node.min === 0 ? 0 : node.min * this.#size(node.of)
    return 0
  }

  #draw(node: Node, random: () => number, depth: number): string {
    switch (node.kind) {
      case 'text':
        return String.fromCodePoint(...node.chars)
      case 'set':
        return drawChar(node, random)
      case 'rule':
        return this.#draw(this.#rules.get(node.name) as Node, random, depth - 1)
      case 'seq':
        return node.parts.map((part) => this.#draw(part, random, depth)).join('')
      case 'alt': {
        const sizes = node.options.map((option) => this.#size(option))
        const fit = node.options.filter((_, i) => depth > 0 || sizes[i] === Math.min(...sizes))
        return this.#draw(fit[Math.floor(random() * fit.length)] as Node, random, depth)
      }
      case 'repeat': {
        let drawn = ''
        for (let count = 0; count < node.max; count++) {
          if (count >= node.min && (depth <= 0 || random() < 0.4)) break
          drawn += this.#draw(node.of, random, depth)
        }
        return drawn
      }
    }
  }
}

function childrenOf(node: Node): readonly Node[] {
  if (node.kind === 'seq') return node.parts
  if (node.kind === 'alt') return node.options
  return node.kind === 'repeat' ? [node.of] : []
}

function inSet({ ranges, negated }: Node & { kind: 'set' }, code: number): boolean {
  return ranges.some(([from, to]) => from <= code && code <= to) !== negated
}

function drawChar(node: Node & { kind: 'set' }, random: () => number): string {
  for (;;) {
    const [from, to] = node.negated
      ? [0, 0x10ffff]
      : (node.ranges[Math.floor(random() * node.ranges.length)] as [number, number])
    // Mostly from the beginning of a range, where the letters are.
    const width = random() < 0.9 ? Math.min(96, to - from + 1) : to - from + 1
    const code = from + Math.floor(random() * width)
    if (inSet(node, code) && (code < 0xd800 || code > 0xdfff)) return String.fromCodePoint(code)
  }
}

class Reader {
  readonly #source: readonly string[]
  #at = 0

  constructor(source: string) {
    this.#source = [...source]
  }

  whole(): Node {
    const node = this.#alternatives()
    if (this.#at < this.#source.length) throw this.#wrong('an end')
    return node
  }

  #alternatives(): Node {
    const options = [this.#sequence()]
    while (this.#take('|')) options.push(this.#sequence())
    return options.length === 1 ? (options[0] as Node) : { kind: 'alt', options }
  }

  #sequence(): Node {
    const parts: Node[] = []
    for (;;) {
      while (this.#take(' ')) {}
      const next = this.#source[this.#at]
      if (next === undefined || next === '|' || next === ')') return { kind: 'seq', parts }
      parts.push(this.#counted(this.#item()))
    }
  }

  #counted(of: Node): Node {
    if (this.#take('*')) return { kind: 'repeat', of, min: 0, max: Number.POSITIVE_INFINITY }
    if (this.#take('+')) return { kind: 'repeat', of, min: 1, max: Number.POSITIVE_INFINITY }
    if (this.#take('?')) return { kind: 'repeat', of, min: 0, max: 1 }
    if (!this.#take('{')) return of
    const min = this.#number()
    let max = min
    if (this.#take(',')) {
      max = this.#source[this.#at] === '}' ? Number.POSITIVE_INFINITY : this.#number()
    }
    if (!this.#take('}')) throw this.#wrong('}')
    return { kind: 'repeat', of, min, max }
  }

  #number(): number {
    let digits = ''
    while (/^\d$/.test(this.#source[this.#at] ?? '')) digits += this.#source[this.#at++]
    if (digits === '') throw this.#wrong('a number')
    return Number(digits)
  }

  #item(): Node {
    if (this.#take('(')) {
      const inner = this.#alternatives()
      if (!this.#take(')')) throw this.#wrong(')')
      return inner
    }
    if (this.#take('"')) {
      const chars: number[] = []
      while (!this.#take('"')) chars.push(this.#char())
      return { kind: 'text', chars }
    }
    if (this.#take('[')) return this.#set()
    let name = ''
    while (/^[A-Za-z0-9-]$/.test(this.#source[this.#at] ?? '')) name += this.#source[this.#at++]
    if (name === '') throw this.#wrong('an item')
    return { kind: 'rule', name }
  }

  #set(): Node {
    const negated = this.#take('^')
    const ranges: [number, number][] = []
    while (!this.#take(']')) {
      const from = this.#char()
      ranges.push([from, this.#take('-') ? this.#char() : from])
    }
    return { kind: 'set', ranges, negated }
  }

  #char(): number {
    const char = this.#source[this.#at++]
    if (char === undefined) throw this.#wrong('a character')
    if (char !== '\\') return char.codePointAt(0) as number
    const letter = this.#source[this.#at++] ?? ''
    const digits = { x: 2, u: 4, U: 8 }[letter]
    if (digits) {
      const hex = this.#source.slice(this.#at, this.#at + digits).join('')
      this.#at += digits
      return Number.parseInt(hex, 16)
    }
    const control = { n: 10, r: 13, t: 9 }[letter]
    if (control !== undefined) return control
    if (!'\\"[]'.includes(letter)) throw this.#wrong('an escape')
    return letter.charCodeAt(0)
  }

  #take(char: string): boolean {
    if (this.#source[this.#at] !== char) return false
    this.#at++
    return true
  }

  #wrong(expected: string): Error {
    const shown = this.#source.slice(Math.max(0, this.#at - 20), this.#at + 20).join('')
    return new Error(`expected ${expected} at ${this.#at}: …${shown}…`)
  }
}
