/** What each keyword of JSON Schema asks of a value. */
import { isRecord } from '../check.js'

/** What is wrong with the value that stands at a path of the arguments; undefined: nothing. */
export type Check = (value: unknown, at: string, depth: number) => string | undefined

/** What compiles the schemas inside a keyword. */
export interface Checks {
  compile(schema: unknown, path: string): Check
  wrong(path: string, why: string): Error
}

interface Place {
  /** That the keyword stands in. */
  readonly schema: Readonly<Record<string, unknown>>
  readonly path: string
  readonly checks: Checks
}

type Keyword = (given: unknown, place: Place) => Check | undefined

const name = (at: string) => at || 'the value'
const inside = (at: string, key: string | number) =>
  typeof key === 'number' ? `${at}[${key}]` : at === '' ? key : `${at}.${key}`

const types: Readonly<Record<string, (value: unknown) => boolean>> = {
  null: (value) => value === null,
  boolean: (value) => typeof value === 'boolean',
  string: (value) => typeof value === 'string',
  number: (value) => typeof value === 'number',
  integer: Number.isInteger,
  array: Array.isArray,
  object: isRecord
}

/** Texts, lists and objects count in code points, elements and keys. */
const sizes = {
  Length: (value: unknown) => (typeof value === 'string' ? [...value].length : undefined),
  Items: (value: unknown) => (Array.isArray(value) ? value.length : undefined),
  Properties: (value: unknown) => (isRecord(value) ? Object.keys(value).length : undefined)
}
const units = { Length: 'characters', Items: 'items', Properties: 'properties' }

function size(kind: keyof typeof sizes, least: boolean): Keyword {
  return (given, { path, checks }) => {
    if (!Number.isInteger(given) || Number(given) < 0) throw checks.wrong(path, 'must be a count')
    const limit = Number(given)
    return (value, at) => {
      const count = sizes[kind](value)
      if (count === undefined || (least ? count >= limit : count <= limit)) return undefined
      return `${name(at)} must have ${least ? 'at least' : 'at most'} ${limit} ${units[kind]}`
    }
  }
}

function bound(words: string, holds: (value: number, limit: number) => boolean): Keyword {
  return (given, { path, checks }) => {
    if (typeof given !== 'number') throw checks.wrong(path, 'must be a number')
    return (value, at) =>
      typeof value !== 'number' || holds(value, given)
        ? undefined
        : `${name(at)} must be ${words} ${given}`
  }
}

const isMultiple = (value: number, unit: number) =>
  Math.abs(value / unit - Math.round(value / unit)) < 1e-9

/** JSON with the keys in order, to compare by value. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    isRecord(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part
  )
}

function pattern(given: unknown, path: string, checks: Checks): RegExp {
  try {
    return new RegExp(String(given), 'u')
  } catch {
    throw checks.wrong(path, 'is no regular expression')
  }
}

function record(given: unknown, { path, checks }: Place): Record<string, unknown> {
  if (!isRecord(given)) throw checks.wrong(path, 'must be an object')
  return given
}

function list(given: unknown, { path, checks }: Place): readonly unknown[] {
  if (!Array.isArray(given)) throw checks.wrong(path, 'must be an array')
  return given
}

function schemas(given: unknown, place: Place): Check[] {
  return list(given, place).map((one, i) => place.checks.compile(one, `${place.path}/${i}`))
}

function first(problems: Iterable<string | undefined>): string | undefined {
  for (const problem of problems) if (problem !== undefined) return problem
  return undefined
}

/** Checks every element or value that `select` gives, each with its key. */
function each(
  select: (value: unknown) => Iterable<readonly [string | number, unknown]>,
  check: Check
): Check {
  return (value, at, depth) => {
    for (const [key, part] of select(value)) {
      const problem = check(part, inside(at, key), depth)
      if (problem !== undefined) return problem
    }
    return undefined
  }
}

function* entries(value: unknown, wanted: (key: string) => boolean = () => true) {
  if (!isRecord(value)) return
  for (const [key, part] of Object.entries(value)) if (wanted(key)) yield [key, part] as const
}

function* elements(value: unknown, from = 0) {
  if (!Array.isArray(value)) return
  for (let i = from; i < value.length; i++) yield [i, value[i] as unknown] as const
}

const count = (checks: readonly Check[], value: unknown, at: string, depth: number) =>
  checks.filter((check) => check(value, at, depth) === undefined).length

export const keywords: Readonly<Record<string, Keyword>> = {
  type(given, { path, checks }) {
    const wanted = [given].flat().map(String)
    const tests = wanted.map((one) => (Object.hasOwn(types, one) ? types[one] : undefined))
    if (tests.includes(undefined)) throw checks.wrong(path, 'names a type that JSON has not')
    return (value, at) =>
      tests.some((test) => test?.(value))
        ? undefined
        : `${name(at)} must be of type ${wanted.join(' or ')}`
  },
  enum(given, place) {
    const allowed = list(given, place).map(canonical)
    const shown = allowed.slice(0, 20).join(', ')
    return (value, at) =>
      allowed.includes(canonical(value)) ? undefined : `${name(at)} must be one of ${shown}`
  },
  const(given) {
    const wanted = canonical(given)
    return (value, at) =>
      canonical(value) === wanted ? undefined : `${name(at)} must be ${wanted}`
  },
  minLength: size('Length', true),
  maxLength: size('Length', false),
  minItems: size('Items', true),
  maxItems: size('Items', false),
  minProperties: size('Properties', true),
  maxProperties: size('Properties', false),
  minimum: bound('at least', (value, limit) => value >= limit),
  maximum: bound('at most', (value, limit) => value <= limit),
  exclusiveMinimum: bound('more than', (value, limit) => value > limit),
  exclusiveMaximum: bound('less than', (value, limit) => value < limit),
  multipleOf: bound('a multiple of', isMultiple),
  pattern(given, { path, checks }) {
    const wanted = pattern(given, path, checks)
    return (value, at) =>
      typeof value !== 'string' || wanted.test(value)
        ? undefined
        : `${name(at)} must match ${String(given)}`
  },
  required(given, place) {
    const wanted = list(given, place).map(String)
    return (value, at) => {
      const missing = isRecord(value) && wanted.find((key) => !Object.hasOwn(value, key))
      return typeof missing === 'string' ? `${inside(at, missing)} is missing` : undefined
    }
  },
  properties(given, place) {
    const parts = Object.entries(record(given, place)).map(
      ([key, schema]) => [key, place.checks.compile(schema, `${place.path}/${key}`)] as const
    )
    return (value, at, depth) =>
      isRecord(value)
        ? first(
            parts.map(([key, check]) =>
              Object.hasOwn(value, key) ? check(value[key], inside(at, key), depth) : undefined
            )
          )
        : undefined
  },
  patternProperties(given, place) {
    const parts = Object.entries(record(given, place)).map(([source, schema]) => {
      const wanted = pattern(source, place.path, place.checks)
      const check = place.checks.compile(schema, `${place.path}/${source}`)
      return each((value) => entries(value, (key) => wanted.test(key)), check)
    })
    return (value, at, depth) => first(parts.map((check) => check(value, at, depth)))
  },
  additionalProperties(given, { schema, path, checks }) {
    const named = Object.keys(isRecord(schema.properties) ? schema.properties : {})
    const patterns = Object.keys(isRecord(schema.patternProperties) ? schema.patternProperties : {})
    const regexps = patterns.map((source) => pattern(source, path, checks))
    const isOther = (key: string) => !named.includes(key) && !regexps.some((one) => one.test(key))
    return each((value) => entries(value, isOther), checks.compile(given, path))
  },
  propertyNames(given, { path, checks }) {
    const check = checks.compile(given, path)
    return each((value) => [...entries(value)].map(([key]) => [key, key]), check)
  },
  dependentRequired(given, place) {
    const rules = Object.entries(record(given, place)).map(([key, wanted]) => {
      const check = keywords.required?.(wanted, place)
      return (value: unknown, at: string, depth: number) =>
        isRecord(value) && Object.hasOwn(value, key) ? check?.(value, at, depth) : undefined
    })
    return (value, at, depth) => first(rules.map((check) => check(value, at, depth)))
  },
  dependentSchemas(given, place) {
    const rules = Object.entries(record(given, place)).map(([key, schema]) => {
      const check = place.checks.compile(schema, `${place.path}/${key}`)
      return (value: unknown, at: string, depth: number) =>
        isRecord(value) && Object.hasOwn(value, key) ? check(value, at, depth) : undefined
    })
    return (value, at, depth) => first(rules.map((check) => check(value, at, depth)))
  },
  prefixItems(given, place) {
    const parts = schemas(given, place)
    return (value, at, depth) =>
      Array.isArray(value)
        ? first(
            parts.slice(0, value.length).map((check, i) => check(value[i], inside(at, i), depth))
          )
        : undefined
  },
  items(given, place) {
    // An array of schemas is how drafts before 2020-12 wrote prefixItems.
    if (Array.isArray(given)) return keywords.prefixItems?.(given, place)
    const { prefixItems } = place.schema
    const from = Array.isArray(prefixItems) ? prefixItems.length : 0
    return each((value) => elements(value, from), place.checks.compile(given, place.path))
  },
  contains(given, { schema, path, checks }) {
    const check = checks.compile(given, path)
    const least = typeof schema.minContains === 'number' ? schema.minContains : 1
    const most = typeof schema.maxContains === 'number' ? schema.maxContains : Infinity
    return (value, at, depth) => {
      if (!Array.isArray(value)) return undefined
      const found = value.filter((one) => check(one, at, depth) === undefined).length
      return found >= least && found <= most ? undefined : `${name(at)} lacks an item it needs`
    }
  },
  uniqueItems(given) {
    if (given !== true) return undefined
    return (value, at) =>
      Array.isArray(value) && new Set(value.map(canonical)).size < value.length
        ? `${name(at)} holds an item twice`
        : undefined
  },
  allOf(given, place) {
    const parts = schemas(given, place)
    return (value, at, depth) => first(parts.map((check) => check(value, at, depth)))
  },
  anyOf(given, place) {
    const parts = schemas(given, place)
    return (value, at, depth) => {
      const problems = parts.map((check) => check(value, at, depth))
      return problems.includes(undefined) ? undefined : [...new Set(problems)].join(', or ')
    }
  },
  oneOf(given, place) {
    const parts = schemas(given, place)
    return (value, at, depth) => {
      const fitting = count(parts, value, at, depth)
      return fitting === 1 ? undefined : `${name(at)} fits ${fitting} of the alternatives, not one`
    }
  },
  not(given, { path, checks }) {
    const check = checks.compile(given, path)
    return (value, at, depth) =>
      check(value, at, depth) === undefined ? `${name(at)} is what it must not be` : undefined
  },
  if(given, { schema, path, checks }) {
    const test = checks.compile(given, path)
    const then = checks.compile(schema.then ?? true, `${path}/../then`)
    const other = checks.compile(schema.else ?? true, `${path}/../else`)
    return (value, at, depth) =>
      (test(value, at, depth) === undefined ? then : other)(value, at, depth)
  }
}
