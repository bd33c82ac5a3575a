/** The keywords of a schema: which there are, what each takes, and how one is refused. */
import { describe } from '../check.js'
import { nearestName } from '../suggest.js'
import { type Place, pathOf } from './document.js'
import { cannot, invalid } from './problem.js'
import { isArray, isObject, type Json, type JsonObject } from './snapshot.js'

type Check = readonly [expected: string, fits: (value: Json) => boolean]

const isSchema = (value: Json) => typeof value === 'boolean' || isObject(value)
const isCount = (value: Json) => typeof value === 'number' && Number.isInteger(value) && value >= 0
const isString = (value: Json) => typeof value === 'string'
const strings: Check = ['an array of strings', (value) => isArray(value) && value.every(isString)]
const count: Check = ['an integer from 0 on', isCount]
const number: Check = ['a number', (value) => typeof value === 'number']
const string: Check = ['a string', isString]
const boolean: Check = ['true or false', (value) => typeof value === 'boolean']
const schema: Check = ['a schema: an object or a boolean', isSchema]
const schemas: Check = [
  'an array of schemas, at least one',
  (value) => isArray(value) && value.length > 0 && value.every(isSchema)
]
const schemaMap: Check = [
  'schemas by name',
  (value) => isObject(value) && [...value.values()].every(isSchema)
]
const anything: Check = ['anything', () => true]

export const typeNames = ['null', 'boolean', 'integer', 'number', 'string', 'array', 'object']
const isType = (value: Json) => typeof value === 'string' && typeNames.includes(value)

const supported: ReadonlyMap<string, Check> = new Map<string, Check>([
  [
    'type',
    [
      `one of ${typeNames.join(', ')}, or an array of them`,
      (value) => isType(value) || (isArray(value) && value.length > 0 && value.every(isType))
    ]
  ],
  ['enum', ['an array of values, at least one', (value) => isArray(value) && value.length > 0]],
  ['const', anything],
  ['properties', schemaMap],
  ['patternProperties', schemaMap],
  ['additionalProperties', schema],
  ['propertyNames', schema],
  ['required', strings],
  ['minProperties', count],
  ['maxProperties', count],
  ['items', ['a schema or an array of schemas', (value) => isSchema(value) || isArray(value)]],
  ['prefixItems', schemas],
  ['additionalItems', schema],
  ['contains', schema],
  ['minContains', count],
  ['maxContains', count],
  ['minItems', count],
  ['maxItems', count],
  ['uniqueItems', boolean],
  ['minLength', count],
  ['maxLength', count],
  ['pattern', string],
  ['format', string],
  ['minimum', number],
  ['maximum', number],
  ['exclusiveMinimum', number],
  ['exclusiveMaximum', number],
  ['multipleOf', ['a number above 0', (value) => typeof value === 'number' && value > 0]],
  ['allOf', schemas],
  ['anyOf', schemas],
  ['oneOf', schemas],
  ['not', schema],
  ['if', schema],
  ['then', schema],
  ['else', schema],
  ['$ref', string],
  ['$defs', schemaMap],
  ['definitions', schemaMap],
  ['$anchor', string],
  ['$id', string],
  ['$schema', string]
])

/** They say nothing about which values are valid. */
const annotations = new Set([
  'title',
  'description',
  'default',
  'examples',
  'deprecated',
  'readOnly',
  'writeOnly',
  '$comment',
  '$vocabulary',
  'contentEncoding',
  'contentMediaType',
  'contentSchema'
])

const refused: Readonly<Record<string, string>> = {
  unevaluatedProperties: 'use additionalProperties, beside all properties',
  unevaluatedItems: 'use items, beside all prefixItems',
  dependentRequired: 'write the allowed combinations as anyOf',
  dependentSchemas: 'write the allowed combinations as anyOf',
  dependencies: 'write the allowed combinations as anyOf',
  $dynamicRef: 'use $ref',
  $dynamicAnchor: 'use $anchor and $ref',
  $recursiveRef: 'use $ref',
  $recursiveAnchor: 'use $anchor and $ref',
  nullable: "write type: ['…', 'null']"
}

/** The keywords of a place, each of the right kind; true and false have none. */
export function keywordsOf(place: Place): JsonObject {
  const { value } = place
  if (typeof value === 'boolean') return new Map()
  const path = pathOf(place)
  if (!isObject(value)) {
    throw invalid(path, `expected a schema (an object or a boolean), got ${describe(value)}`)
  }
  for (const [keyword, given] of value) {
    const check = supported.get(keyword)
    if (!check) refuseUnknown(keyword, path)
    else if (!check[1](given)) {
      throw invalid(`${path}/${keyword}`, `expected ${check[0]}, got ${shown(given)}`)
    }
  }
  if (value.has('if') && (value.has('then') || value.has('else'))) {
    throw cannot(`${path}/if`, 'if, then and else are not supported', 'write the cases as anyOf')
  }
  return value
}

function refuseUnknown(keyword: string, path: string): void {
  if (annotations.has(keyword) || keyword.startsWith('x-')) return
  const name = keyword.length > 40 ? `${keyword.slice(0, 40)}…` : keyword
  const at = `${path}/${name}`
  if (Object.hasOwn(refused, keyword)) {
    throw cannot(at, `${keyword} is not supported`, refused[keyword] as string)
  }
  const nearest = nearestName(keyword.slice(0, 40), [...supported.keys()])
  const hint = nearest ? `did you mean ${nearest}?` : 'take it out, or begin its name with x-'
  throw cannot(at, `there is no keyword ${JSON.stringify(name)}`, hint)
}

function shown(value: Json): string {
  return isObject(value) ? 'an object' : describe(value)
}
