/** Values of one type each, as the keywords describe them, and what two such have in common. */
import type { All } from './document.js'
import { combine } from './document.js'
import type { Condition } from './regex.js'
import type { Json } from './snapshot.js'

export interface LiteralCase {
  readonly kind: 'literal'
  readonly value: Json
}

export interface Bound {
  readonly value: number
  readonly exclusive: boolean
}

export interface NumberCase {
  readonly kind: 'number'
  readonly integer: boolean
  readonly low: Bound | undefined
  readonly high: Bound | undefined
  /** Multiples of ten to this power; undefined: all numbers. */
  readonly power: number | undefined
}

export interface StringCase {
  readonly kind: 'string'
  readonly min: number
  readonly max: number
  readonly conditions: readonly Condition[]
}

export interface ArrayCase {
  readonly kind: 'array'
  readonly prefix: readonly All[]
  readonly rest: All
  readonly min: number
  readonly max: number
  /** At least so many elements are of this kind. */
  readonly contains: readonly { readonly of: All; readonly min: number }[]
  readonly unique: boolean
}

/** What one schema says of an object's members; several of them apply side by side. */
export interface Layer {
  readonly properties: ReadonlyMap<string, All>
  readonly patterns: readonly { readonly condition: Condition; readonly of: All }[]
  /** Of members that neither of those names; undefined: nothing is said. */
  readonly additional: All | undefined
}

export interface ObjectCase {
  readonly kind: 'object'
  readonly layers: readonly Layer[]
  readonly required: readonly string[]
  readonly names: readonly All[]
  readonly min: number
  readonly max: number
}

export type Case = LiteralCase | NumberCase | StringCase | ArrayCase | ObjectCase

export function literalCase(value: Json): LiteralCase {
  return { kind: 'literal', value }
}

const unlimited = Number.POSITIVE_INFINITY

export const anyNumber: NumberCase = {
  kind: 'number',
  integer: false,
  low: undefined,
  high: undefined,
  power: undefined
}
export const anyString: StringCase = { kind: 'string', min: 0, max: unlimited, conditions: [] }
export const anyArray: ArrayCase = {
  kind: 'array',
  prefix: [],
  rest: [],
  min: 0,
  max: unlimited,
  contains: [],
  unique: false
}
export const anyObject: ObjectCase = {
  kind: 'object',
  layers: [],
  required: [],
  names: [],
  min: 0,
  max: unlimited
}

/** The type that a literal is of, as the other cases name it. */
export function kindOf(value: Json): Case['kind'] {
  if (typeof value === 'number') return 'number'
  if (typeof value === 'string') return 'string'
  if (Array.isArray(value)) return 'array'
  return value instanceof Map ? 'object' : 'literal'
}

export function isInteger(found: NumberCase): boolean {
  return found.integer || (found.power !== undefined && found.power >= 0)
}

/** Two cases of one kind, neither a literal. */
export function meet(a: Case, b: Case): Case | undefined {
  if (a.kind === 'number' && b.kind === 'number') return meetNumbers(a, b)
  if (a.kind === 'string' && b.kind === 'string') {
    return bounded({
      kind: 'string',
      min: Math.max(a.min, b.min),
      max: Math.min(a.max, b.max),
      conditions: [...a.conditions, ...b.conditions]
    })
  }
  if (a.kind === 'array' && b.kind === 'array') return meetArrays(a, b)
  if (a.kind === 'object' && b.kind === 'object') {
    return bounded({
      kind: 'object',
      layers: [...a.layers, ...b.layers],
      required: [...new Set([...a.required, ...b.required])],
      names: [...a.names, ...b.names],
      min: Math.max(a.min, b.min),
      max: Math.min(a.max, b.max)
    })
  }
  return undefined
}

function bounded<T extends StringCase | ArrayCase | ObjectCase>(found: T): T | undefined {
  return found.min > found.max ? undefined : found
}

function meetNumbers(a: NumberCase, b: NumberCase): NumberCase | undefined {
  const low = tighter(a.low, b.low, 1)
  const high = tighter(a.high, b.high, -1)
  if (low && high) {
    if (low.value > high.value) return undefined
    if (low.value === high.value && (low.exclusive || high.exclusive)) return undefined
  }
  const powers = [a.power, b.power].filter((power) => power !== undefined)
  return {
    kind: 'number',
    integer: a.integer || b.integer,
    low,
    high,
    power: powers.length > 0 ? Math.max(...powers) : undefined
  }
}

function tighter(a: Bound | undefined, b: Bound | undefined, sign: 1 | -1): Bound | undefined {
  if (!a || !b) return a ?? b
  if (a.value === b.value) return a.exclusive ? a : b
  return a.value * sign > b.value * sign ? a : b
}

function meetArrays(a: ArrayCase, b: ArrayCase): ArrayCase | undefined {
  const length = Math.max(a.prefix.length, b.prefix.length)
  const prefix = Array.from({ length }, (_, i) =>
    combine(a.prefix[i] ?? a.rest, b.prefix[i] ?? b.rest)
  )
  return bounded({
    kind: 'array',
    prefix,
    rest: combine(a.rest, b.rest),
    min: Math.max(a.min, b.min),
    max: Math.min(a.max, b.max),
    contains: [...a.contains, ...b.contains],
    unique: a.unique || b.unique
  })
}
