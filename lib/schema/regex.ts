/**
 * Regular expressions of `pattern`, in the part of ECMAScript's syntax (with the flag u) that says
 * which strings match and nothing else: no back references, no look-around but at the very beginning.
 */
import { all, type CodePoints, codePoints, complement, single, union } from './code-points.js'
import { cannot, invalid } from './problem.js'

export type Regex =
  | { readonly kind: 'set'; readonly set: CodePoints }
  | { readonly kind: 'seq'; readonly parts: readonly Regex[] }
  | { readonly kind: 'alt'; readonly options: readonly Regex[] }
  | { readonly kind: 'repeat'; readonly of: Regex; readonly min: number; readonly max: number }
  | { readonly kind: 'start' }
  | { readonly kind: 'end' }

/** A string matches where the whole of it is in the language of `regex`, or is not, if negated. */
export interface Condition {
  readonly regex: Regex
  readonly negated: boolean
}

export const anything: Regex = {
  kind: 'repeat',
  of: { kind: 'set', set: all },
  min: 0,
  max: Number.POSITIVE_INFINITY
}

const maxPattern = 4096
const maxNesting = 50
const maxCount = 10_000

/** What a string must satisfy to match the pattern anywhere in it, as JSON Schema has it. */
export function parsePattern(source: string, path: string): readonly Condition[] {
  if (source.length > maxPattern) {
    throw cannot(path, `a pattern of ${source.length} characters`, `give at most ${maxPattern}`)
  }
  return new Parser(source, path).conditions()
}

/** The whole text, and nothing else. */
export function literal(value: string): Regex {
  return {
    kind: 'seq',
    parts: [...value].map((char) => ({ kind: 'set', set: single(char.codePointAt(0) as number) }))
  }
}

const range = (from: string, to: string) => [from.charCodeAt(0), to.charCodeAt(0)] as const
const digit = codePoints([range('0', '9')])
const word = codePoints([range('0', '9'), range('A', 'Z'), range('a', 'z'), range('_', '_')])
const lineEnds = codePoints([
  [0x0a, 0x0a],
  [0x0d, 0x0d],
  [0x2028, 0x2029]
])
const space = codePoints([
  [0x09, 0x0d],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff]
])
const classes: Readonly<Record<string, CodePoints>> = {
  d: digit,
  D: complement(digit),
  w: word,
  W: complement(word),
  s: space,
  S: complement(space)
}
const controls: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, f: 12, v: 11, 0: 0 }

class Parser {
  readonly #source: readonly string[] // code points
  readonly #path: string
  #at = 0
  #depth = 0

  constructor(source: string, path: string) {
    this.#source = [...source]
    this.#path = path
  }

  conditions(): Condition[] {
    const found: Condition[] = []
    if (this.#peek() === '^' && this.#isLook(1)) {
      this.#at++
      while (this.#isLook(0)) {
        const negated = this.#source[this.#at + 2] === '!'
        this.#at += 3
        const inner = this.#alternatives()
        if (!this.#take(')')) throw this.#invalid('a group that does not end')
        found.push({ regex: this.#anchored(inner, true), negated })
      }
      const rest = this.#alternatives()
      if (rest.kind === 'alt') {
        throw this.#cannot('an alternative beside a look-ahead', 'put the alternatives in a group')
      }
      found.push({ regex: this.#anchored(rest, true), negated: false })
    } else {
      found.push({ regex: this.#anchored(this.#alternatives(), false), negated: false })
    }
    if (this.#at < this.#source.length) throw this.#invalid(`an unmatched ${this.#peek()}`)
    return found
  }

  #isLook(ahead: number): boolean {
    const at = this.#at + ahead
    const mark = this.#source[at + 2]
    return (
      this.#source[at] === '(' && this.#source[at + 1] === '?' && (mark === '=' || mark === '!')
    )
  }

  /** The language of whole strings: whatever is not anchored may stand inside others. */
  #anchored(regex: Regex, atStart: boolean): Regex {
    const options = regex.kind === 'alt' ? regex.options : [regex]
    return {
      kind: 'alt',
      options: options.map((option) => {
        const parts = option.kind === 'seq' ? [...option.parts] : [option]
        let starts = atStart
        let ends = false
        while (parts[0]?.kind === 'start') {
          parts.shift()
          starts = true
        }
        while (parts.at(-1)?.kind === 'end') {
          parts.pop()
          ends = true
        }
        for (const part of parts) this.#assertNoAnchor(part)
        return {
          kind: 'seq',
          parts: [...(starts ? [] : [anything]), ...parts, ...(ends ? [] : [anything])]
        }
      })
    }
  }

  #assertNoAnchor(regex: Regex): void {
    if (regex.kind === 'start' || regex.kind === 'end') {
      throw this.#cannot('^ or $ inside', 'anchor the whole pattern, or each of its alternatives')
    }
    if (regex.kind === 'seq') for (const part of regex.parts) this.#assertNoAnchor(part)
    if (regex.kind === 'alt') for (const option of regex.options) this.#assertNoAnchor(option)
    if (regex.kind === 'repeat') this.#assertNoAnchor(regex.of)
  }

  #alternatives(): Regex {
    const options = [this.#sequence()]
    while (this.#take('|')) options.push(this.#sequence())
    return options.length === 1 ? (options[0] as Regex) : { kind: 'alt', options }
  }

  #sequence(): Regex {
    const parts: Regex[] = []
    for (;;) {
      const next = this.#peek()
      if (next === undefined || next === '|' || next === ')') break
      parts.push(this.#quantified(this.#atom()))
    }
    return { kind: 'seq', parts }
  }

  #quantified(of: Regex): Regex {
    const bounds = this.#quantifier()
    if (!bounds) return of
    if (of.kind === 'start' || of.kind === 'end') throw this.#invalid('a repeated anchor')
    this.#take('?') // lazy: the same strings match
    if ('*+?{'.includes(this.#peek() ?? ' ')) throw this.#invalid('two quantifiers in a row')
    return { kind: 'repeat', of, ...bounds }
  }

  #quantifier(): { min: number; max: number } | undefined {
    const unlimited = Number.POSITIVE_INFINITY
    if (this.#take('*')) return { min: 0, max: unlimited }
    if (this.#take('+')) return { min: 1, max: unlimited }
    if (this.#take('?')) return { min: 0, max: 1 }
    if (this.#peek() !== '{') return undefined
    const ahead = this.#source.slice(this.#at, this.#at + 24).join('')
    const [whole, low, comma, high] = /^\{(\d{1,9})(,?)(\d{0,9})\}/.exec(ahead) ?? []
    if (whole === undefined) throw this.#invalid('a { that begins no count; write \\{ for the sign')
    this.#at += whole.length
    const min = Number(low)
    const max = comma === '' ? min : high === '' ? unlimited : Number(high)
    if (min > max) throw this.#invalid(`a count whose least is more than its most: ${whole}`)
    if (min > maxCount || (max > maxCount && max !== unlimited)) {
      throw this.#cannot(`the count ${whole}`, `count up to ${maxCount}`)
    }
    return { min, max }
  }

  #atom(): Regex {
    const char = this.#next()
    switch (char) {
      case '^':
        return { kind: 'start' }
      case '$':
        return { kind: 'end' }
      case '.':
        return { kind: 'set', set: complement(lineEnds) }
      case '(':
        return this.#group()
      case '[':
        return { kind: 'set', set: this.#class() }
      case '\\':
        return { kind: 'set', set: this.#escape(false) }
      case '*':
      case '+':
      case '?':
      case '{':
        throw this.#invalid(`${char} with nothing before it to repeat`)
      case '}':
      case ']':
        throw this.#invalid(`an unmatched ${char}; write \\${char} for the sign`)
      default:
        return { kind: 'set', set: single(this.#code(char)) }
    }
  }

  #group(): Regex {
    this.#depth++
    if (this.#depth > maxNesting) {
      throw this.#cannot('too many groups in groups', `nest up to ${maxNesting}`)
    }
    if (this.#take('?')) {
      const ahead = this.#source.slice(this.#at, this.#at + 64).join('')
      const name = /^(?::|<[A-Za-z_$][\w$]*>)/.exec(ahead)?.[0]
      if (name === undefined) {
        throw this.#cannot('a look-around', 'look ahead only at the beginning, after ^')
      }
      this.#at += name.length
    }
    const inner = this.#alternatives()
    if (!this.#take(')')) throw this.#invalid('a group that does not end')
    this.#depth--
    return inner
  }

  #class(): CodePoints {
    const negated = this.#take('^')
    const sets: CodePoints[] = []
    while (!this.#take(']')) {
      const from = this.#classMember()
      if (this.#peek() === '-' && (this.#source[this.#at + 1] ?? ']') !== ']') {
        this.#at++
        const to = this.#classMember()
        const [low, high] = [onlyMember(from), onlyMember(to)]
        if (low === undefined || high === undefined || low > high) {
          throw this.#invalid('a range in [] that is none')
        }
        sets.push(codePoints([[low, high]]))
      } else sets.push(from)
    }
    return negated ? complement(union(...sets)) : union(...sets)
  }

  #classMember(): CodePoints {
    const char = this.#next('[ that does not end')
    return char === '\\' ? this.#escape(true) : single(this.#code(char))
  }

  #escape(inClass: boolean): CodePoints {
    const char = this.#next('\\ at the end')
    const known = classes[char]
    if (known) return known
    const control = controls[char]
    if (control !== undefined && !(char === '0' && /\d/.test(this.#peek() ?? ''))) {
      return single(control)
    }
    if (char === 'b' && inClass) return single(8)
    if (char === 'x') return single(this.#hex(2))
    if (char === 'u') return single(this.#unicode())
    if (char === 'c' && /^[A-Za-z]$/.test(this.#peek() ?? '')) {
      return single(this.#next().charCodeAt(0) % 32)
    }
    if (/^[\^$\\.*+?()[\]{}|/-]$/.test(char)) return single(char.charCodeAt(0))
    // Marks that need no backslash are common in patterns that were never read with the flag u.
    if (/^[!-/:-@[-`{-~ ]$/.test(char)) return single(char.charCodeAt(0))
    throw this.#cannot(`\\${char}`, 'write the characters themselves, as a class in []')
  }

  #unicode(): number {
    if (this.#take('{')) {
      let digits = ''
      while (!this.#take('}')) digits += this.#next('\\u{ that does not end')
      const code = /^[0-9A-Fa-f]{1,8}$/.test(digits) ? Number.parseInt(digits, 16) : -1
      if (code < 0 || code > 0x10ffff) throw this.#invalid('\\u{} with no code point')
      return this.#assertScalar(code)
    }
    const high = this.#hex(4)
    if (high < 0xd800 || high > 0xdbff) return this.#assertScalar(high)
    if (!this.#take('\\') || !this.#take('u')) return this.#assertScalar(high)
    return this.#assertScalar(0x10000 + (high - 0xd800) * 0x400 + (this.#hex(4) - 0xdc00))
  }

  #hex(count: number): number {
    const digits = this.#source.slice(this.#at, this.#at + count).join('')
    if (!/^[0-9A-Fa-f]+$/.test(digits) || digits.length !== count) {
      throw this.#invalid(`an escape without its ${count} hexadecimal digits`)
    }
    this.#at += count
    return Number.parseInt(digits, 16)
  }

  #code(char: string): number {
    return this.#assertScalar(char.codePointAt(0) as number)
  }

  #assertScalar(code: number): number {
    if (code >= 0xd800 && code <= 0xdfff) {
      throw this.#cannot('half of a surrogate pair', 'write the whole character')
    }
    return code
  }

  #peek(): string | undefined {
    return this.#source[this.#at]
  }

  #next(what = 'an end too early'): string {
    const char = this.#peek()
    if (char === undefined) throw this.#invalid(what)
    this.#at++
    return char
  }

  #take(char: string): boolean {
    if (this.#peek() !== char) return false
    this.#at++
    return true
  }

  #invalid(what: string): Error {
    return invalid(this.#path, `no regular expression: ${what} (at character ${this.#at})`)
  }

  #cannot(what: string, remedy: string): Error {
    return cannot(this.#path, `the pattern has ${what} (at character ${this.#at})`, remedy)
  }
}

function onlyMember(set: CodePoints): number | undefined {
  const [first] = set
  return set.length === 1 && first && first[0] === first[1] ? first[0] : undefined
}
