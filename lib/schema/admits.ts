/** Whether one value is of a case: for the values of `enum`, and for branches told apart by them. */
import { satisfies } from './automaton.js'
import type { ArrayCase, Case, NumberCase, ObjectCase, StringCase } from './cases.js'
import type { All } from './document.js'
import type { Budget } from './problem.js'
import { isArray, isObject, type Json, type JsonObject, same } from './snapshot.js'

/** Values by the schemas they satisfy. */
export interface Admitting {
  readonly budget: Budget
  admits(all: All, value: Json): boolean
}

export function admits(values: Admitting, found: Case, value: Json): boolean {
  values.budget.spend(1, '')
  switch (found.kind) {
    case 'literal':
      return same(found.value, value)
    case 'number':
      return typeof value === 'number' && admitsNumber(found, value)
    case 'string':
      return typeof value === 'string' && admitsString(values, found, value)
    case 'array':
      return isArray(value) && admitsArray(values, found, value)
    case 'object':
      return isObject(value) && admitsObject(values, found, value)
  }
}

export function admitsNumber({ integer, low, high, power }: NumberCase, value: number): boolean {
  if (integer && !Number.isInteger(value)) return false
  if (low && (low.exclusive ? value <= low.value : value < low.value)) return false
  if (high && (high.exclusive ? value >= high.value : value > high.value)) return false
  return power === undefined || isMultiple(value, power)
}

/** Of ten to this power, in decimals: 0.3 is a multiple of 0.1. */
function isMultiple(value: number, power: number): boolean {
  if (power >= 0) return Number.isInteger(value) && value % 10 ** power === 0
  const [mantissa = '', exponent = '0'] = String(value).split('e')
  const decimals = (mantissa.split('.')[1] ?? '').length - Number(exponent)
  return decimals <= -power
}

function admitsString(values: Admitting, found: StringCase, value: string): boolean {
  if (found.min > 0 || found.max < Number.POSITIVE_INFINITY) {
    const length = [...value].length
    if (length < found.min || length > found.max) return false
  }
  return found.conditions.every((condition) => satisfies(value, condition, values.budget))
}

function admitsArray(values: Admitting, found: ArrayCase, value: readonly Json[]): boolean {
  if (value.length < found.min || value.length > found.max) return false
  if (!value.every((item, i) => values.admits(found.prefix[i] ?? found.rest, item))) return false
  const enough = found.contains.every(
    ({ of, min }) => value.filter((item) => values.admits(of, item)).length >= min
  )
  if (!enough) return false
  if (!found.unique) return true
  values.budget.spend(value.length ** 2, '')
  return !value.some((one, i) => value.slice(i + 1).some((other) => same(one, other)))
}

function admitsObject(values: Admitting, found: ObjectCase, value: JsonObject): boolean {
  if (value.size < found.min || value.size > found.max) return false
  if (!found.required.every((name) => value.has(name))) return false
  return [...value].every(
    ([name, member]) =>
      values.admits(memberOf(values.budget, found, name), member) &&
      found.names.every((names) => values.admits(names, name))
  )
}

/** What a member of this name must satisfy. */
export function memberOf(budget: Budget, { layers }: ObjectCase, name: string): All {
  const all = new Map<number, All[number]>()
  for (const { properties, patterns, additional } of layers) {
    const own = properties.get(name)
    const matching = patterns.filter(({ condition }) => satisfies(name, condition, budget))
    const sets = [...(own ? [own] : []), ...matching.map(({ of }) => of)]
    if (!own && matching.length === 0 && additional) sets.push(additional)
    for (const set of sets) for (const place of set) all.set(place.id, place)
  }
  return [...all.values()].sort((a, b) => a.id - b.id)
}
