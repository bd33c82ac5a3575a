/** Whether two cases are known to share no value. False: they may. */

import { CriaError } from '../errors.js'
import { type Admitting, admits, admitsNumber, memberOf } from './admits.js'
import { product } from './automaton.js'
import {
  type ArrayCase,
  type Case,
  isInteger,
  meet,
  type NumberCase,
  type ObjectCase,
  type StringCase
} from './cases.js'
import { type All, combine } from './document.js'
import { isScalar, scalarKey } from './snapshot.js'

/** Values by the schemas they satisfy, as far as they are known. */
export interface Comparing extends Admitting {
  cases(all: All): readonly Case[]
}

const maxDepth = 8

export function disjoint(values: Comparing, a: Case, b: Case, depth = 0): boolean {
  values.budget.spend(1, '')
  if (a.kind === 'literal') return !admits(values, b, a.value)
  if (b.kind === 'literal') return !admits(values, a, b.value)
  if (a.kind !== b.kind) return true
  const both = meet(a, b)
  if (!both) return true
  if (depth >= maxDepth) return false
  if (a.kind === 'object') values.budget.spend(20, '')
  switch (both.kind) {
    case 'number':
      return noNumber(both)
    case 'string':
      return noString(values, both)
    case 'array':
      return noArray(values, both, depth)
    case 'object':
      return noObject(values, both, depth)
    default:
      return false
  }
}

function noNumber(found: NumberCase): boolean {
  const { low, high } = found
  if (!low || !high || !isInteger(found)) return false
  const step = Math.max(1, 10 ** (found.power ?? 0))
  const first = Math.ceil(low.value / step) * step
  return first + step > high.value && !admitsNumber(found, first)
}

function noString(values: Comparing, { conditions, min, max }: StringCase): boolean {
  if (conditions.length === 0) return false
  try {
    return product(conditions, min, max, values.budget, '') === undefined
  } catch (error) {
    if (error instanceof CriaError) return false // too many states to tell
    throw error
  }
}

function noArray(values: Comparing, { prefix, rest, min }: ArrayCase, depth: number): boolean {
  const looked = Math.min(min, prefix.length + 1)
  return Array.from({ length: looked }, (_, i) => prefix[i] ?? rest).some((all) =>
    none(values, all, depth)
  )
}

function noObject(values: Comparing, found: ObjectCase, depth: number): boolean {
  return found.required.some((name) => none(values, memberOf(values.budget, found, name), depth))
}

/** Members that are there and have one of a few scalars, as branches are told apart by. */
export type Tags = ReadonlyMap<string, ReadonlySet<string>>

const maxTags = 4
const maxTagValues = 64

export function tagsOf(values: Comparing, found: Case): Tags | undefined {
  if (found.kind !== 'object') return undefined
  const tags = new Map<string, ReadonlySet<string>>()
  for (const name of found.required.slice(0, maxTags)) {
    const cases = known(values, memberOf(values.budget, found, name)) ?? []
    if (cases.length === 0 || cases.length > maxTagValues) continue
    const keys = cases.flatMap((one) =>
      one.kind === 'literal' && isScalar(one.value) ? [scalarKey(one.value)] : []
    )
    if (keys.length === cases.length) tags.set(name, new Set(keys))
  }
  return tags
}

/** Whether a member of both has another value in each. */
export function toldApart(a: Tags | undefined, b: Tags | undefined): boolean {
  if (!a || !b) return false
  for (const [name, keys] of a) {
    const others = b.get(name)
    if (others && ![...keys].some((key) => others.has(key))) return true
  }
  return false
}

/** Undefined where they cannot be known yet: they are being found, as in a tree of branches. */
function known(values: Comparing, all: All): readonly Case[] | undefined {
  try {
    return values.cases(all)
  } catch (error) {
    if (error instanceof CriaError) return undefined
    throw error
  }
}

/** Whether no value satisfies all of these. */
function none(values: Comparing, all: All, depth: number): boolean {
  if (all.length === 0) return false
  const sets = all.map((place) => known(values, combine([place])))
  const [first, ...others] = sets.filter((set) => set !== undefined)
  let left = first
  for (const other of others) {
    left = left?.filter((a) => other.some((b) => !disjoint(values, a, b, depth + 1)))
  }
  return left !== undefined && left.length === 0
}
