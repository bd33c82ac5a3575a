/**
 * A grammar under construction, and its text in llama.cpp's GBNF.
 *
 * Printing leaves out what can never be completed (an optional property of which no value exists, a
 * recursion without an end), so that a generation can always go on to a whole value.
 */
import type { CodePoints } from './code-points.js'
import { type SchemaLimits, tooComplex } from './problem.js'

export type Expr =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'chars'; readonly set: CodePoints }
  | { readonly kind: 'seq'; readonly parts: readonly Expr[] }
  | { readonly kind: 'alt'; readonly options: readonly Expr[] }
  | { readonly kind: 'rule'; readonly name: string }
  /** `max` may be Infinity. */
  | { readonly kind: 'repeat'; readonly of: Expr; readonly min: number; readonly max: number }

export const text = (value: string): Expr => ({ kind: 'text', text: value })
export const chars = (set: CodePoints): Expr => ({ kind: 'chars', set })
export const empty: Expr = text('')
/** Of no text at all. */
export const nothing: Expr = { kind: 'alt', options: [] }

export function seq(...parts: readonly Expr[]): Expr {
  const flat: Expr[] = []
  for (const part of parts) {
    if (part.kind === 'seq') flat.push(...part.parts)
    else if (part.kind !== 'text' || part.text !== '') flat.push(part)
  }
  const joined: Expr[] = []
  for (const part of flat) {
    const before = joined.at(-1)
    if (part.kind === 'text' && before?.kind === 'text') {
      joined[joined.length - 1] = text(before.text + part.text)
    } else joined.push(part)
  }
  if (joined.length === 0) return empty
  return joined.length === 1 ? (joined[0] as Expr) : { kind: 'seq', parts: joined }
}

export function alt(options: readonly Expr[]): Expr {
  return options.length === 1 ? (options[0] as Expr) : { kind: 'alt', options }
}

export function repeat(of: Expr, min: number, max: number): Expr {
  if (max === 0) return empty
  return min === 1 && max === 1 ? of : { kind: 'repeat', of, min, max }
}

export const optional = (of: Expr): Expr => repeat(of, 0, 1)

/** Repetitions that are written as one count; longer ones are built of blocks of as many. */
const block = 256

export class Grammar {
  readonly #rules = new Map<string, Expr>()
  readonly #shared = new Map<string, Expr>()
  readonly #limits: SchemaLimits

  constructor(limits: SchemaLimits) {
    this.#limits = limits
  }

  /** A name for a rule that is still to be given. */
  name(hint: string): string {
    const stem = hint.replace(/[^A-Za-z0-9]+/g, '-').replace(/^-+|-+$/g, '')
    const name = this.#rules.has('root')
      ? `${stem.slice(0, 24) || 'r'}-${this.#rules.size}`
      : 'root'
    if (this.#rules.size >= this.#limits.rules) {
      throw tooComplex('', `its grammar has more than ${this.#limits.rules} rules`)
    }
    this.#rules.set(name, nothing)
    return name
  }

  set(name: string, expr: Expr): void {
    this.#rules.set(name, expr)
  }

  /** A new rule. */
  rule(hint: string, expr: Expr): Expr {
    const name = this.name(hint)
    this.set(name, expr)
    return { kind: 'rule', name }
  }

  /** The rule of that name, which many places share. */
  shared(name: string, make: () => Expr): Expr {
    const known = this.#shared.get(name)
    if (known) return known
    const rule = this.rule(name, make())
    this.#shared.set(name, rule)
    return rule
  }

  /**
   * `of`, `min` to `max` times. A count of more than 256 is made of blocks, so that a limit of a million
   * takes a few hundred states, and not a million, of whoever follows the grammar.
   */
  times(of: Expr, min: number, max: number): Expr {
    if (min > max) return nothing
    if (max <= block || (max === Number.POSITIVE_INFINITY && min <= block)) {
      return repeat(of, min, max)
    }
    const small = isSmall(of) ? of : this.rule('item', of)
    if (max === Number.POSITIVE_INFINITY) {
      return seq(this.#exactly(small, min), repeat(small, 0, max))
    }
    return seq(this.#exactly(small, min), this.#upTo(small, max - min))
  }

  #exactly(of: Expr, count: number): Expr {
    if (count <= block) return repeat(of, count, count)
    const whole = this.rule('block', repeat(of, block, block))
    return seq(
      this.#exactly(whole, Math.floor(count / block)),
      repeat(of, count % block, count % block)
    )
  }

  /** n = q·256 + r: up to q-1 blocks, and then up to 256 + r more. */
  #upTo(of: Expr, count: number): Expr {
    if (count <= 2 * block) return repeat(of, 0, count)
    const whole = this.rule('block', repeat(of, block, block))
    const blocks = Math.floor(count / block) - 1
    return seq(this.#upTo(whole, blocks), repeat(of, 0, block + (count % block)))
  }

  /** The text; undefined: no text at all satisfies it. */
  print(): string | undefined {
    const productive = this.#productive()
    if (!productive.has('root')) return undefined
    const pruned = new Map<string, Expr>()
    const queue = ['root']
    for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
      if (pruned.has(name)) continue
      const expr = prune(this.#rules.get(name) as Expr, productive)
      pruned.set(name, expr)
      for (const used of rulesIn(expr)) queue.push(used)
    }
    const lines: string[] = []
    let length = 0
    for (const name of this.#rules.keys()) {
      const expr = pruned.get(name)
      if (!expr) continue
      const line = `${name} ::= ${print(expr, true)}\n`
      length += Buffer.byteLength(line)
      if (length > this.#limits.length) {
        throw tooComplex('', `its grammar is longer than ${this.#limits.length} bytes`)
      }
      lines.push(line)
    }
    return lines.join('')
  }

  /** The rules that some text satisfies. */
  #productive(): Set<string> {
    const found = new Set<string>()
    const users = new Map<string, string[]>()
    for (const [name, expr] of this.#rules) {
      for (const used of rulesIn(expr)) {
        const list = users.get(used)
        if (list) list.push(name)
        else users.set(used, [name])
      }
    }
    const queue = [...this.#rules.keys()]
    for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
      if (found.has(name) || !isProductive(this.#rules.get(name) as Expr, found)) continue
      found.add(name)
      queue.push(...(users.get(name) ?? []))
    }
    return found
  }
}

function isSmall(expr: Expr): boolean {
  return expr.kind === 'rule' || expr.kind === 'chars'
}

function children(expr: Expr): readonly Expr[] {
  if (expr.kind === 'seq') return expr.parts
  if (expr.kind === 'alt') return expr.options
  return expr.kind === 'repeat' ? [expr.of] : []
}

function rulesIn(expr: Expr): Set<string> {
  const found = new Set<string>()
  const queue = [expr]
  for (let next = queue.pop(); next; next = queue.pop()) {
    if (next.kind === 'rule') found.add(next.name)
    for (const child of children(next)) queue.push(child)
  }
  return found
}

function isProductive(expr: Expr, rules: ReadonlySet<string>): boolean {
  switch (expr.kind) {
    case 'text':
      return true
    case 'chars':
      return expr.set.length > 0
    case 'rule':
      return rules.has(expr.name)
    case 'seq':
      return expr.parts.every((part) => isProductive(part, rules))
    case 'alt':
      return expr.options.some((option) => isProductive(option, rules))
    case 'repeat':
      return expr.min === 0 || isProductive(expr.of, rules)
  }
}

/** A productive expression without its unproductive branches. */
function prune(expr: Expr, rules: ReadonlySet<string>): Expr {
  switch (expr.kind) {
    case 'seq':
      return seq(...expr.parts.map((part) => prune(part, rules)))
    case 'alt':
      return alt(
        expr.options
          .filter((option) => isProductive(option, rules))
          .map((option) => prune(option, rules))
      )
    case 'repeat':
      if (!isProductive(expr.of, rules)) return empty
      return repeat(prune(expr.of, rules), expr.min, expr.max)
    default:
      return expr
  }
}

function print(expr: Expr, top = false): string {
  switch (expr.kind) {
    case 'text':
      return `"${expr.text.replace(toEscape, escapeInText)}"`
    case 'chars':
      return `[${expr.set.map(printRange).join('')}]`
    case 'rule':
      return expr.name
    case 'seq':
      return expr.parts.map((part) => print(part)).join(' ')
    case 'alt': {
      const options = expr.options.map((option) => print(option, true)).join(' | ')
      return top ? options : `(${options})`
    }
    case 'repeat': {
      const { of } = expr
      const group =
        of.kind === 'seq' || of.kind === 'repeat' || (of.kind === 'text' && of.text.length > 1)
      return (group ? `(${print(expr.of)})` : print(expr.of)) + count(expr.min, expr.max)
    }
  }
}

function count(min: number, max: number): string {
  if (max === Number.POSITIVE_INFINITY) return ['*', '+'][min] ?? `{${min},}`
  if (min === 0 && max === 1) return '?'
  return min === max ? `{${min}}` : `{${min},${max}}`
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is escaped
const toEscape = /["\\\x00-\x1f\x7f]/g

function escapeInText(char: string): string {
  return char === '"' || char === '\\' ? `\\${char}` : escapeCode(char.charCodeAt(0))
}

function printRange([from, to]: readonly [number, number]): string {
  const printed = (code: number) =>
    /[A-Za-z0-9 _.:,]/.test(String.fromCodePoint(code))
      ? String.fromCodePoint(code)
      : escapeCode(code)
  if (from === to) return printed(from)
  return to === from + 1 ? printed(from) + printed(to) : `${printed(from)}-${printed(to)}`
}

function escapeCode(code: number): string {
  const hex = (digits: number) => code.toString(16).toUpperCase().padStart(digits, '0')
  if (code <= 0xff) return `\\x${hex(2)}`
  return code <= 0xffff ? `\\u${hex(4)}` : `\\U${hex(8)}`
}
