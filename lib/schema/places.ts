/** What one schema's own keywords say, as cases; `$ref` and the like are the business of values.ts. */
import {
  type ArrayCase,
  anyArray,
  anyNumber,
  anyObject,
  anyString,
  type Bound,
  type Case,
  literalCase,
  meet,
  type NumberCase,
  type ObjectCase,
  type StringCase
} from './cases.js'
import { type All, combine, type Place, pathOf, type SchemaDocument } from './document.js'
import { formatPattern } from './formats.js'
import { cannot, invalid } from './problem.js'
import { type Condition, parsePattern } from './regex.js'
import { isArray, isObject, type JsonObject } from './snapshot.js'

/** A schema with its checked keywords. */
export interface Schema {
  readonly document: SchemaDocument
  readonly place: Place
  readonly keywords: JsonObject
}

const unlimited = Number.POSITIVE_INFINITY

/** The cases of the keywords that speak of a value's type, and of each type; `enum` is left to others. */
export function ownCases(schema: Schema): Case[] {
  const types = schema.keywords.get('type')
  const names = types === undefined ? undefined : new Set(isArray(types) ? types : [types])
  const wants = (name: string) => names === undefined || names.has(name)
  const cases: Case[] = []
  if (wants('null')) cases.push(literalCase(null))
  if (wants('boolean')) cases.push(literalCase(true), literalCase(false))
  if (wants('number')) cases.push(...numbers(schema, false))
  else if (wants('integer')) cases.push(...numbers(schema, true))
  if (wants('string')) cases.push(...strings(schema))
  if (wants('array')) cases.push(...arrays(schema))
  if (wants('object')) cases.push(...objects(schema))
  return cases
}

function numberAt({ keywords }: Schema, keyword: string): number | undefined {
  const value = keywords.get(keyword)
  return typeof value === 'number' ? value : undefined
}

function numbers(schema: Schema, integer: boolean): Case[] {
  const bound = (keyword: string, exclusive: boolean): Bound | undefined => {
    const value = numberAt(schema, keyword)
    return value === undefined ? undefined : { value, exclusive }
  }
  const own: NumberCase = { ...anyNumber, integer, power: power(schema) }
  const parts: NumberCase[] = [
    { ...own, low: bound('minimum', false), high: bound('maximum', false) },
    { ...own, low: bound('exclusiveMinimum', true), high: bound('exclusiveMaximum', true) }
  ]
  const [first, second] = parts as [NumberCase, NumberCase]
  const both = meet(first, second)
  // Bounds of one keyword pair may exclude each other as well.
  const checked = both && meet(both, both)
  return checked ? [checked] : []
}

function power(schema: Schema): number | undefined {
  const step = numberAt(schema, 'multipleOf')
  if (step === undefined) return undefined
  const exponent = Math.round(Math.log10(step))
  if (Math.abs(exponent) <= 15 && Number(`1e${exponent}`) === step) return exponent
  throw cannot(
    `${pathOf(schema.place)}/multipleOf`,
    `multiples of ${step} are no part of a grammar`,
    'use a power of ten, or list the numbers in enum'
  )
}

function strings(schema: Schema): Case[] {
  const { keywords, place } = schema
  const min = numberAt(schema, 'minLength') ?? 0
  const max = numberAt(schema, 'maxLength') ?? unlimited
  const conditions: Condition[] = []
  const pattern = keywords.get('pattern')
  if (typeof pattern === 'string') {
    conditions.push(...conditionsOf(schema, pattern, `${pathOf(place)}/pattern`))
  }
  const format = keywords.get('format')
  if (typeof format === 'string') {
    const path = `${pathOf(place)}/format`
    conditions.push(...conditionsOf(schema, formatPattern(format, path), path))
  }
  const found: StringCase = { ...anyString, min, max, conditions }
  return min > max ? [] : [found]
}

function conditionsOf({ document }: Schema, source: string, path: string): readonly Condition[] {
  const known = document.patterns.get(source)
  if (known) return known
  const conditions = parsePattern(source, path)
  document.patterns.set(source, conditions)
  return conditions
}

function arrays(schema: Schema): Case[] {
  const { document, place, keywords } = schema
  const items = keywords.get('items')
  // Draft 7 wrote a list of schemas as items, and what follows it as additionalItems.
  const listed = isArray(items)
  const list = listed ? items : (keywords.get('prefixItems') ?? [])
  const listName = listed ? 'items' : 'prefixItems'
  const restName = listed ? 'additionalItems' : 'items'
  const prefix = isArray(list)
    ? list.map((_, i) => combine([document.child(place, listName, i)]))
    : []
  const found: ArrayCase = {
    kind: 'array',
    prefix,
    rest: keywords.has(restName) ? combine([document.child(place, restName)]) : [],
    min: numberAt(schema, 'minItems') ?? 0,
    max: numberAt(schema, 'maxItems') ?? unlimited,
    contains: contained(schema),
    unique: keywords.get('uniqueItems') === true
  }
  return found.min > found.max ? [] : [found]
}

function contained(schema: Schema): ArrayCase['contains'] {
  const { document, place, keywords } = schema
  if (!keywords.has('contains')) return anyArray.contains
  if (keywords.has('maxContains')) {
    throw cannot(
      `${pathOf(place)}/maxContains`,
      'a most of contained elements is not supported',
      'bound all of them with maxItems'
    )
  }
  const min = numberAt(schema, 'minContains') ?? 1
  return min === 0 ? [] : [{ of: combine([document.child(place, 'contains')]), min }]
}

function objects(schema: Schema): Case[] {
  const { document, place, keywords } = schema
  const one = (keyword: string): All | undefined =>
    keywords.has(keyword) ? combine([document.child(place, keyword)]) : undefined
  const names = one('propertyNames')
  const required = keywords.get('required')
  const properties = new Map<string, All>()
  const given = keywords.get('properties')
  if (isObject(given)) {
    for (const name of given.keys()) {
      assertName(name, place)
      properties.set(name, combine([document.child(place, 'properties', name)]))
    }
  }
  const list = isArray(required) ? required.map(String) : []
  for (const name of list) assertName(name, place)
  const patterns = patternsOf(schema)
  const additional = one('additionalProperties')
  const found: ObjectCase = {
    ...anyObject,
    layers:
      properties.size > 0 || patterns.length > 0 || additional
        ? [{ properties, patterns, additional }]
        : [],
    required: [...new Set(list)],
    names: names && names.length > 0 ? [names] : [],
    min: numberAt(schema, 'minProperties') ?? 0,
    max: numberAt(schema, 'maxProperties') ?? unlimited
  }
  return found.min > found.max ? [] : [found]
}

function patternsOf(schema: Schema) {
  const { document, place, keywords } = schema
  const given = keywords.get('patternProperties')
  if (!isObject(given)) return []
  return [...given.keys()].map((source) => {
    const path = `${pathOf(place)}/patternProperties`
    const [condition, ...more] = conditionsOf(schema, source, path)
    if (!condition || more.length > 0) {
      throw cannot(path, 'a look-ahead in the name of a pattern', 'write it without one')
    }
    return { condition, of: combine([document.child(place, 'patternProperties', source)]) }
  })
}

function assertName(name: string, place: Place): void {
  if (/\p{Surrogate}/u.test(name)) {
    throw invalid(pathOf(place), 'a property name has half of a surrogate pair')
  }
}
