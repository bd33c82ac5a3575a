/** What is refused: by which error, with which place; and hostile schemas, in time and without a crash. */
import { describe, expect, test } from 'vitest'
import { CriaError } from '../../lib/errors.js'
import { compileSchema } from '../../lib/schema/compile.js'

describe('refused, with the place', () => {
  test.each([
    [{ properties: { a: { type: 'strin' } } }, 'BAD_ARGUMENT', '#/properties/a/type'],
    [{ items: { minLenght: 3 } }, 'UNSUPPORTED', 'did you mean minLength'],
    [
      { properties: { 'a/b': { unevaluatedProperties: false } } },
      'UNSUPPORTED',
      '#/properties/a~1b/unevaluatedProperties'
    ],
    [JSON.parse('{"if":{},"then":{}}'), 'UNSUPPORTED', '#/if'],
    [{ dependentRequired: {} }, 'UNSUPPORTED', 'anyOf'],
    [{ multipleOf: 3 }, 'UNSUPPORTED', '#/multipleOf'],
    [{ multipleOf: 0 }, 'BAD_ARGUMENT', '#/multipleOf'],
    [{ type: 'array', uniqueItems: true }, 'UNSUPPORTED', 'uniqueItems'],
    [{ type: 'string', format: 'idn-email' }, 'UNSUPPORTED', '#/format'],
    [{ type: 'string', pattern: '(a)\\1' }, 'UNSUPPORTED', '#/pattern'],
    [{ type: 'string', pattern: 'a(?=b)' }, 'UNSUPPORTED', 'look-around'],
    [{ type: 'string', pattern: '(' }, 'BAD_ARGUMENT', '#/pattern'],
    [{ type: 'string', pattern: '\\bword\\b' }, 'UNSUPPORTED', '\\b'],
    [{ oneOf: [{ type: 'integer' }, { minimum: 2 }] }, 'UNSUPPORTED', 'branches 0 and 1'],
    [{ not: { minimum: 3 } }, 'UNSUPPORTED', '#/not'],
    [{ $ref: 'https://example.com/other.json' }, 'UNSUPPORTED', 'outside the schema'],
    [{ $ref: '#/$defs/none' }, 'BAD_ARGUMENT', 'names nothing'],
    [{ $ref: '#' }, 'BAD_ARGUMENT', 'refers to itself'],
    [
      { anyOf: [{ $ref: '#/$defs/a' }], $defs: { a: { allOf: [{ $ref: '#' }] } } },
      'BAD_ARGUMENT',
      'refers to itself'
    ],
    [
      { properties: { n: { $ref: '#' } }, required: ['n'], type: 'object' },
      'BAD_ARGUMENT',
      'no value satisfies it'
    ],
    [false, 'BAD_ARGUMENT', 'no value satisfies it'],
    [{ type: 'integer', minimum: 3, maximum: 2 }, 'BAD_ARGUMENT', 'no value satisfies it'],
    [{ type: 'integer', minimum: 2 ** 53 }, 'UNSUPPORTED', 'double'],
    [{ type: 'number', minimum: 0, exclusiveMaximum: 0.1 + 0.2 }, 'UNSUPPORTED', 'decimals'],
    [{ type: 'object', minProperties: 2 }, 'UNSUPPORTED', 'minProperties'],
    [{ nullable: true }, 'UNSUPPORTED', "'null'"],
    [{ exclusiveMinimum: true }, 'BAD_ARGUMENT', '#/exclusiveMinimum'],
    ['x', 'BAD_ARGUMENT', 'expected a schema']
  ])('%j', (schema, code, words) => {
    let error: unknown
    try {
      compileSchema(schema)
    } catch (caught) {
      error = caught
    }
    expect(error).toMatchObject({ code: `ERR_CRIA_${code}` })
    expect(String(error)).toContain(words)
  })
})

const nested = (depth: number, wrap: (inner: object) => object) => {
  let schema = {}
  for (let i = 0; i < depth; i++) schema = wrap(schema)
  return schema
}
const many = <T>(count: number, make: (i: number) => T) =>
  Array.from({ length: count }, (_, i) => make(i))
const byName = <T>(count: number, make: (i: number) => T) =>
  Object.fromEntries(many(count, (i) => [`p${i}`, make(i)]))
const circle: Record<string, unknown> = { type: 'object' }
circle.properties = { self: circle }

describe('hostile schemas are compiled or end in a typed error', () => {
  test.each<[string, () => unknown]>([
    ['properties 100,000 deep', () => nested(100_000, (a) => ({ properties: { a } }))],
    ['allOf 100,000 deep', () => nested(100_000, (a) => ({ allOf: [a] }))],
    ['not 100,000 deep', () => nested(100_000, (not) => ({ not }))],
    ['a value of const 100,000 deep', () => ({ const: nested(100_000, (a) => [a]) })],
    ['an enum of 100,000', () => ({ enum: many(100_000, (i) => `item ${i}`) })],
    ['an enum of 40,000', () => ({ enum: many(40_000, (i) => `item ${i}`) })],
    ['100,000 branches', () => ({ anyOf: many(100_000, (i) => ({ const: i })) })],
    [
      '1000 branches of oneOf',
      () => ({ oneOf: many(1000, (i) => ({ type: 'array', minItems: i })) })
    ],
    ['20,000 properties', () => ({ type: 'object', properties: byName(20_000, () => ({})) })],
    [
      'a chain of 10,000 $ref',
      () => ({ $ref: '#/$defs/p0', $defs: byName(10_000, (i) => ({ $ref: `#/$defs/p${i + 1}` })) })
    ],
    [
      'anyOf to the eighth power',
      () => ({ allOf: many(8, () => ({ anyOf: many(20, (i) => ({ minimum: i })) })) })
    ],
    ['schemas that double', () => nested(60, (a) => ({ allOf: [a, { anyOf: [a, a] }] }))],
    ['an exponential automaton', () => ({ type: 'string', pattern: '^.*a.{30}$', maxLength: 99 })],
    [
      'nested counts',
      () => ({ type: 'string', pattern: '^((a{1,100}){1,100}){1,100}$', maxLength: 9 })
    ],
    ['many groups', () => ({ type: 'string', pattern: `${'('.repeat(3000)}a${')'.repeat(500)}` })],
    [
      'a pattern that backtracks',
      () => ({ enum: [`${'a'.repeat(5000)}b`], pattern: '^(a|aa|a*)*$' })
    ],
    ['a circle', () => circle],
    [
      'a schema that is a getter that throws',
      () => ({
        get type() {
          throw new Error('no')
        }
      })
    ],
    ['a Proxy without an end', () => endless()],
    [
      'a Proxy that lies',
      () => new Proxy({}, { ownKeys: () => ['a'], getOwnPropertyDescriptor: () => undefined })
    ],
    ['a Date', () => new Date()],
    ['a function in it', () => ({ properties: { a: () => {} } })],
    ['a bigint in it', () => ({ minimum: 3n })],
    ['NaN in it', () => ({ minimum: Number.NaN })],
    ['a sparse array', () => ({ enum: new Array(10) })]
  ])('%s', (_, make) => {
    try {
      const { gbnf } = compileSchema(make())
      expect(gbnf).toMatch(/^root ::= /)
    } catch (error) {
      expect(error).toBeInstanceOf(CriaError)
      expect((error as CriaError).code).toMatch(/^ERR_CRIA_(UNSUPPORTED|BAD_ARGUMENT)$/)
      expect((error as CriaError).message.length).toBeLessThan(500)
    }
  })

  test('keys of an object that mean something to JavaScript are keys', () => {
    const schema = JSON.parse('{"__proto__": {"type": "string"}, "type": "integer"}') as unknown
    expect(() => compileSchema(schema)).toThrow(/no keyword "__proto__"/)
    const named = { type: 'object', required: ['constructor', 'toString'] }
    expect(compileSchema(named).gbnf).toContain('constructor')
  })
})

function endless(): object {
  return new Proxy(
    {},
    {
      ownKeys: () => ['not'],
      getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }),
      get: () => endless()
    }
  )
}
