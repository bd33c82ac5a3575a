/** The engine of option checking: a table of rules in, checked values or a typed error out. */
import { badArgument, unsupported } from './errors.js'
import { nearestName } from './suggest.js'

/** What one option accepts. */
export interface Rule<T> {
  /** As an error says it: "a number from 0 to 1". */
  readonly expected: string
  /** The checked value where the option is absent. */
  readonly fallback: T
  /** The checked value; undefined: not acceptable. */
  accept(value: unknown): T | undefined
}

/** All options that a call takes. */
export interface OptionTable<T extends object> {
  /** As an error says it: "generate options". */
  readonly what: string
  readonly rules: { readonly [K in keyof T]-?: Rule<T[K]> }
  /** Options of the design that a later version brings, each with what it is. */
  readonly later?: Readonly<Record<string, string>>
}

/** A value as an error shows it: short, and never the caller's whole text. */
export function describe(value: unknown): string {
  if (value === null) return 'null'
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)
    case 'bigint':
      return `${value}n`
    case 'function':
      return 'a function'
    case 'object':
      return Array.isArray(value) ? `an array of ${value.length}` : 'an object'
    default:
      return String(value)
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Values that are absent take their fallback; a wrong or unknown one is ERR_CRIA_BAD_ARGUMENT. */
export function checkOptions<T extends object>(table: OptionTable<T>, given: unknown): T {
  const input = given ?? {}
  if (!isRecord(input)) {
    throw badArgument(`${table.what}: expected an object, got ${describe(given)}`)
  }
  refuseUnknown(table, input)
  const checked: Partial<T> = {}
  for (const key of Object.keys(table.rules) as (keyof T & string)[]) {
    checked[key] = checkOne(table.what, key, table.rules[key], input[key])
  }
  return checked as T
}

function checkOne<T>(what: string, key: string, rule: Rule<T>, value: unknown): T {
  if (value === undefined) return rule.fallback
  const accepted = rule.accept(value)
  if (accepted === undefined) {
    throw badArgument(`${what}: ${key} must be ${rule.expected}, got ${describe(value)}`)
  }
  return accepted
}

function refuseUnknown<T extends object>(table: OptionTable<T>, input: object): void {
  const later = table.later ?? {}
  for (const [key, value] of Object.entries(input)) {
    if (Object.hasOwn(table.rules, key) || value === undefined) continue
    if (Object.hasOwn(later, key)) {
      throw unsupported(`${table.what}: ${key} (${later[key]}) is not in this version`)
    }
    const known = Object.keys(table.rules)
    const nearest = nearestName(key, known)
    const hint = nearest ? `did you mean ${nearest}?` : `known: ${known.join(', ')}`
    throw badArgument(`${table.what}: no option ${describe(key)}; ${hint}`)
  }
}

const plainNumber = new Intl.NumberFormat('en', { useGrouping: false, maximumFractionDigits: 6 })

function range(min: number, max: number): string {
  return `${plainNumber.format(min)} to ${plainNumber.format(max)}`
}

/** A whole number from `min` to `max`, both included. */
export function integer<F extends number | undefined>(
  min: number,
  max: number,
  fallback: F
): Rule<number | F> {
  return {
    expected: `an integer from ${range(min, max)}`,
    fallback,
    accept: (value) =>
      typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
        ? value
        : undefined
  }
}

/** A finite number from `min` to `max`, both included. */
export function real(min: number, max: number, fallback: number): Rule<number> {
  return {
    expected: `a number from ${range(min, max)}`,
    fallback,
    accept: (value) =>
      typeof value === 'number' && value >= min && value <= max ? value : undefined
  }
}

/** One of these names, the first of them where none is given. */
export function oneOf<const T extends readonly [string, string, ...string[]]>(
  ...names: T
): Rule<T[number]> {
  const quoted = names.map((name) => `'${name}'`)
  return {
    expected: `${quoted.slice(0, -1).join(', ')} or ${quoted.at(-1)}`,
    fallback: names[0],
    accept: (value) => names.find((name) => name === value)
  }
}

export function yesOrNo(fallback: boolean): Rule<boolean> {
  return {
    expected: 'true or false',
    fallback,
    accept: (value) => (typeof value === 'boolean' ? value : undefined)
  }
}

/** Anything that `accept` takes; absent: undefined. */
export function optional<T>(
  expected: string,
  accept: (value: unknown) => value is T
): Rule<T | undefined> {
  return { expected, fallback: undefined, accept: (value) => (accept(value) ? value : undefined) }
}

/** An AbortSignal of this or another realm. */
export const signalRule: Rule<AbortSignal | undefined> = optional(
  'an AbortSignal',
  (value): value is AbortSignal =>
    isRecord(value) &&
    typeof value.aborted === 'boolean' &&
    typeof value.addEventListener === 'function' &&
    typeof value.removeEventListener === 'function'
)
