/** Strings as JSON writes them, between their quotes. */
import { type Dfa, product } from './automaton.js'
import type { StringCase } from './cases.js'
import {
  all,
  type CodePoints,
  codePoints,
  complement,
  has,
  intersect,
  single,
  union
} from './code-points.js'
import {
  alt,
  chars,
  type Expr,
  type Grammar,
  nothing,
  optional,
  repeat,
  seq,
  text
} from './gbnf.js'
import type { Budget } from './problem.js'
import type { Regex } from './regex.js'

const quote = text('"')
const unlimited = Number.POSITIVE_INFINITY
const mustEscape = codePoints([
  [0, 0x1f],
  [0x22, 0x22],
  [0x5c, 0x5c]
])
const plain = complement(mustEscape)

/** Writes strings; what many share is a rule of the grammar. */
export class Texts {
  readonly #grammar: Grammar
  readonly #budget: Budget
  /** By their conditions: fields of the same pattern or format share one rule. */
  readonly #strings = new Map<string, Expr>()
  readonly #automata = new Map<string, Dfa | undefined>()
  readonly #regexIds = new Map<Regex, number>()

  constructor(grammar: Grammar, budget: Budget) {
    this.#grammar = grammar
    this.#budget = budget
  }

  string(found: StringCase, path: string): Expr {
    if (found.conditions.length === 0) {
      return seq(quote, this.#grammar.times(this.#any(), found.min, found.max), quote)
    }
    const key = this.#keyOf(found)
    const known = this.#strings.get(key)
    if (known) return known
    const made = this.#satisfying(found, path)
    const shared = made === nothing ? made : this.#grammar.rule('string', made)
    this.#strings.set(key, shared)
    return shared
  }

  /** Whether there is a string that satisfies all. */
  isPossible(found: StringCase, path: string): boolean {
    return this.#automatonOf(found, path) !== undefined
  }

  #keyOf({ conditions, min, max }: StringCase): string {
    const ids = conditions.map(({ regex, negated }) => {
      const id = this.#regexIds.get(regex) ?? this.#regexIds.size
      this.#regexIds.set(regex, id)
      return negated ? `-${id}` : `+${id}`
    })
    return `${min},${max}${ids.join('')}`
  }

  #automatonOf(found: StringCase, path: string): Dfa | undefined {
    const key = this.#keyOf(found)
    if (this.#automata.has(key)) return this.#automata.get(key)
    const dfa = product(found.conditions, found.min, found.max, this.#budget, path)
    this.#automata.set(key, dfa)
    return dfa
  }

  #satisfying(found: StringCase, path: string): Expr {
    const { conditions, min, max } = found
    const [only] = conditions
    if (only && conditions.length === 1 && !only.negated && min === 0 && max === unlimited) {
      return seq(quote, this.#regex(only.regex), quote)
    }
    const same = only && conditions.length === 1 && !only.negated && onlyRepeat(only.regex)
    if (same) {
      const [least, most] = [Math.max(min, same.min), Math.min(max, same.max)]
      return seq(quote, this.#grammar.times(this.#one(same.set), least, most), quote)
    }
    const dfa = this.#automatonOf(found, path)
    return dfa ? seq(quote, this.#automaton(dfa), quote) : nothing
  }

  /** A string that is none of these: as soon as it differs from all, it may go on as it likes. */
  otherThan(names: readonly string[]): Expr {
    if (names.length === 0) return seq(quote, repeat(this.#any(), 0, unlimited), quote)
    const sorted = [...new Set(names)].sort()
    return seq(quote, this.#differing(sorted.map((name) => [...name])))
  }

  /** Any character, in any spelling that JSON has; surrogates only in pairs. */
  #any(): Expr {
    return this.#grammar.shared('char', anyChar)
  }

  /** After a beginning that all of `names` go on from; depth is bounded by making a rule of each. */
  #differing(names: readonly (readonly string[])[]): Expr {
    const root = this.#grammar.name('name')
    const queue = [{ rule: root, names, at: 0 }]
    for (let next = queue.pop(); next; next = queue.pop()) {
      const { at } = next
      const branches = new Map<string, (readonly string[])[]>()
      let whole = false
      for (const name of next.names) {
        this.#budget.spend(1, '')
        const char = name[at]
        if (char === undefined) whole = true
        else if (!branches.get(char)?.push(name)) branches.set(char, [name])
      }
      const options: Expr[] = whole ? [] : [quote]
      const seen = union(
        ...[...branches.keys()].map((char) => single(char.codePointAt(0) as number))
      )
      options.push(
        seq(this.#one(intersect(all, complement(seen))), repeat(this.#any(), 0, unlimited), quote)
      )
      for (const [char, longer] of branches) {
        const rule = this.#grammar.name('name')
        options.push(
          seq(this.#one(single(char.codePointAt(0) as number)), { kind: 'rule', name: rule })
        )
        queue.push({ rule, names: longer, at: at + 1 })
      }
      this.#grammar.set(next.rule, alt(options))
    }
    return { kind: 'rule', name: root }
  }

  /** One character of the set, spelt as JSON.stringify spells it. */
  #one(set: CodePoints): Expr {
    const raw = intersect(set, plain)
    const escaped = intersect(set, mustEscape)
    const every = escaped.length === mustEscape.length && countOf(escaped) === countOf(mustEscape)
    const special = every
      ? [this.#grammar.shared('escaped', () => alt(escapes(mustEscape)))]
      : escapes(escaped)
    return alt([...(raw.length > 0 ? [chars(raw)] : []), ...special])
  }

  #regex(regex: Regex): Expr {
    switch (regex.kind) {
      case 'set':
        return this.#one(regex.set)
      case 'seq':
        return seq(...regex.parts.map((part) => this.#regex(part)))
      case 'alt':
        return alt(regex.options.map((option) => this.#regex(option)))
      case 'repeat': {
        if (regex.max === unlimited && isNullable(regex.of)) {
          const once = looped(regex.of)
          return once ? repeat(this.#regex(once), 0, unlimited) : text('')
        }
        const min = isNullable(regex.of) ? 0 : regex.min
        return this.#grammar.times(this.#regex(regex.of), min, regex.max)
      }
      default:
        return text('')
    }
  }

  #automaton({ steps, accepts }: Dfa): Expr {
    const names = steps.map(() => this.#grammar.name('text'))
    steps.forEach((list, index) => {
      const options: Expr[] = list.map(({ set, to }) =>
        seq(this.#one(set), { kind: 'rule', name: names[to] as string })
      )
      const more = alt(options)
      const name = names[index] as string
      if (options.length === 0) this.#grammar.set(name, text(''))
      else this.#grammar.set(name, accepts[index] ? optional(more) : more)
    })
    return { kind: 'rule', name: names[0] as string }
  }
}

/** Any one character in any spelling. */
function anyChar(): Expr {
  const hex = codePoints([
    [0x30, 0x39],
    [0x41, 0x46],
    [0x61, 0x66]
  ])
  const of = (letters: string) =>
    chars(codePoints([...letters].map((letter) => [letter.charCodeAt(0), letter.charCodeAt(0)])))
  const hexes = (count: number) => repeat(chars(hex), count, count)
  const high = seq(of('dD'), of('89abAB'), hexes(2))
  const low = seq(of('dD'), of('cdefCDEF'), hexes(2))
  const other = alt([
    seq(chars(codePoints(hex.filter(([from]) => from !== 0x61 && from !== 0x41))), hexes(3)),
    seq(of('abcefABCEF'), hexes(3)),
    seq(of('dD'), of('01234567'), hexes(2))
  ])
  const escaped = alt([of('"\\/bfnrt'), seq(text('u'), alt([other, seq(high, text('\\u'), low)]))])
  return alt([chars(plain), seq(text('\\'), escaped)])
}

function countOf(set: CodePoints): number {
  return set.reduce((sum, [from, to]) => sum + to - from + 1, 0)
}

/** Those of the set that must be escaped, spelt as JSON.stringify spells them. */
function escapes(set: CodePoints): Expr[] {
  const options: Expr[] = []
  for (let code = 0; code <= 0x5c && set.length > 0; code++) {
    if (has(set, code)) options.push(text(JSON.stringify(String.fromCharCode(code)).slice(1, -1)))
  }
  return options
}

/** The set of `set{m,n}` and nothing else, which any length may narrow. */
function onlyRepeat(regex: Regex): { set: CodePoints; min: number; max: number } | undefined {
  if (regex.kind === 'seq' && regex.parts.length === 1) return onlyRepeat(regex.parts[0] as Regex)
  if (regex.kind === 'alt' && regex.options.length === 1) {
    return onlyRepeat(regex.options[0] as Regex)
  }
  if (regex.kind !== 'repeat') return undefined
  let { of } = regex
  while (of.kind === 'seq' && of.parts.length === 1) of = of.parts[0] as Regex
  return of.kind === 'set' ? { set: of.set, min: regex.min, max: regex.max } : undefined
}

function isNullable(regex: Regex): boolean {
  switch (regex.kind) {
    case 'set':
      return false
    case 'seq':
      return regex.parts.every(isNullable)
    case 'alt':
      return regex.options.some(isNullable)
    case 'repeat':
      return regex.min === 0 || isNullable(regex.of)
    default:
      return true
  }
}

/**
 * What, repeated, gives the same texts as `regex` repeated, and is never empty itself: a grammar that
 * repeats the empty text has no end of derivations. Undefined: there is only the empty text.
 */
function looped(regex: Regex): Regex | undefined {
  if (!isNullable(regex)) return regex
  switch (regex.kind) {
    case 'seq':
    case 'alt': {
      const parts = regex.kind === 'seq' ? regex.parts : regex.options
      const options = parts.flatMap((part) => looped(part) ?? [])
      return options.length > 0 ? { kind: 'alt', options } : undefined
    }
    case 'repeat':
      return regex.max === 0 ? undefined : looped(regex.of)
    default:
      return undefined
  }
}
