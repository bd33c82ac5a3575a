/** Schemas that are made to take long: each compiles or ends in a typed error, within counted steps. */
import { describe, expect, test } from 'vitest'
import { CriaError } from '../../lib/errors.js'
import { compileSchema } from '../../lib/schema/compile.js'
import { defaultLimits } from '../../lib/schema/problem.js'

const many = <T>(count: number, make: (i: number) => T) =>
  Array.from({ length: count }, (_, i) => make(i))
const byName = <T>(count: number, make: (i: number) => T) =>
  Object.fromEntries(many(count, (i) => [`p${i}`, make(i)]))
const nested = (depth: number, wrap: (inner: object) => object) => {
  let schema = {}
  for (let i = 0; i < depth; i++) schema = wrap(schema)
  return schema
}
const string = (pattern: string, more: object = {}) => ({ type: 'string', pattern, ...more })
const items = (count: number) => many(count, (i) => `item ${i}`)
const letters = many(4000, (i) => String.fromCodePoint(0x4e00 + i)).join('')

/** A library's JSON Schema of an object, with all that is usual in it. */
function usual(fields: number) {
  const kinds = [
    { type: 'string', minLength: 1, maxLength: 100 },
    {
      type: 'string',
      format: 'email',
      pattern: "^[A-Za-z0-9_'+.-]+@([A-Za-z0-9-]+\\.)+[a-z]{2,}$"
    },
    { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
    { type: 'number' },
    { type: 'boolean' },
    { anyOf: [{ type: 'string' }, { type: 'null' }] },
    { type: 'array', items: { type: 'string' } },
    { type: 'string', enum: ['a', 'b', 'c'] },
    { type: 'string', format: 'date-time' },
    { type: 'object', properties: { x: { type: 'number' }, y: { type: 'string', format: 'uuid' } } }
  ]
  return { type: 'object', properties: byName(fields, (i) => structuredClone(kinds[i % 10])) }
}

describe('schemas that compile, in so many steps at most', () => {
  test.each<[string, unknown, number]>([
    ['arrays 90 deep', nested(90, (inner) => ({ type: 'array', items: inner })), 500],
    ['objects 90 deep', nested(90, (a) => ({ type: 'object', properties: { a } })), 4000],
    ['right recursion', { type: 'array', items: { $ref: '#' } }, 20],
    [
      'a chain of 150 references',
      {
        $ref: '#/$defs/p0',
        $defs: { ...byName(150, (i) => ({ $ref: `#/$defs/p${i + 1}` })), p150: {} }
      },
      5000
    ],
    ['5000 branches', { anyOf: many(5000, (i) => ({ const: i })) }, 80_000],
    ['equal branches repeated', string('^(a|a)*$', { maxLength: 9 }), 1000],
    ['plus inside of plus', string('^(x+x+)+y$', { maxLength: 50 }), 5000],
    ['counts inside of counts', string('^(((a{100}){100}){100})$'), 100],
    ['4000 characters in a class', string(`^[${letters.slice(0, 3000)}]+$`), 100],
    ['classes of all there are', string(`^${'[\\s\\S]'.repeat(500)}$`), 100],
    ['a literal of half a megabyte', { const: 'x'.repeat(500_000) }, 20],
    ['an enum of 16,000', { type: 'string', enum: items(16_000) }, 100_000],
    [
      'an object of 1000 properties',
      { type: 'object', properties: byName(1000, () => ({})) },
      50_000
    ],
    ['a length of a million', { type: 'string', maxLength: 1_000_000 }, 20],
    ['an array of a million', { type: 'array', items: { type: 'null' }, minItems: 1_000_000 }, 20]
  ])('%s', (_, schema, most) => {
    const { gbnf, steps } = compileSchema(schema)
    expect(gbnf).toMatch(/^root ::= /)
    expect(steps).toBeGreaterThan(0)
    expect(steps).toBeLessThanOrEqual(Math.min(most, defaultLimits.steps))
  })
})

describe('schemas that are refused, with the place and the limit', () => {
  test.each<[string, () => unknown, ...string[]]>([
    [
      'arrays 100,000 deep',
      () => nested(100_000, (inner) => ({ type: 'array', items: inner })),
      '#/items/items',
      'nested deeper than 200'
    ],
    [
      'an enum of 100,000',
      () => ({ properties: { 'a/b': { type: 'string', enum: items(100_000) } } }),
      '#/properties/a~1b/enum',
      'an array of 100000 values, where 49995 are left'
    ],
    [
      'an enum of 40,000',
      () => ({ type: 'object', properties: { list: { type: 'string', enum: items(40_000) } } }),
      '#/properties/list',
      'more than 100000 steps'
    ],
    [
      'four enums of 10,000',
      () => ({
        type: 'object',
        properties: byName(4, (k) => ({ enum: many(10_000, (i) => i * 4 + k) }))
      }),
      '#/properties/p',
      'more than 100000 steps'
    ],
    ['a literal of 2 MB', () => ({ const: 'x'.repeat(2_000_000) }), 'longer than 1048576 bytes'],
    ['a pattern of a megabyte', () => string('a'.repeat(1_000_000)), '#/pattern', 'at most 4096'],
    [
      'an exponential automaton',
      () => ({ type: 'object', properties: { a: string('^.*a.{30}$', { maxLength: 99 }) } }),
      '#/properties/a',
      'more than 4096 states'
    ],
    [
      'counts of counts of a length',
      () => string('^((a{1,100}){1,100}){1,100}$', { maxLength: 9 }),
      'schema at #'
    ],
    [
      'left recursion',
      () => ({ $ref: '#/$defs/a', $defs: { a: { anyOf: [{ $ref: '#/$defs/a' }, { const: 1 }] } } }),
      'refers to itself'
    ],
    [
      '10,000 objects',
      () => ({ type: 'array', prefixItems: many(10_000, (i) => ({ const: [i] })) }),
      'more than 8000 rules'
    ]
  ])('%s', (_, make, ...words) => {
    let error: unknown
    try {
      compileSchema(make())
    } catch (caught) {
      error = caught
    }
    expect(error).toBeInstanceOf(CriaError)
    expect((error as CriaError).code).toMatch(/^ERR_CRIA_(UNSUPPORTED|BAD_ARGUMENT)$/)
    for (const part of words) expect((error as CriaError).message).toContain(part)
    expect((error as CriaError).message.length).toBeLessThan(500)
  })
})

test('fields cost what they add up to, and what is said again costs once', () => {
  const [fifty, hundred] = [compileSchema(usual(50)), compileSchema(usual(100))]
  expect(fifty.steps).toBeLessThan(15_000)
  expect(hundred.steps - fifty.steps).toBeLessThan(3000)
  const one = compileSchema({ type: 'object', properties: byName(1, () => usual(2).properties.p1) })
  const all = compileSchema({
    type: 'object',
    properties: byName(400, () => usual(2).properties.p1)
  })
  expect(all.steps - one.steps).toBeLessThan(16_000)
  const rules = (gbnf: string, name: string) =>
    gbnf.match(new RegExp(`^${name}\\S* ::=`, 'gm'))?.length
  expect(rules(all.gbnf, 'string')).toBe(1)
  expect(rules(fifty.gbnf, 'integer')).toBe(1)
})

test('names that others must differ from are walked once', () => {
  const open = (count: number) => ({
    type: 'object',
    properties: byName(count, () => ({ type: 'null' })),
    additionalProperties: { type: 'null' }
  })
  const [few, more] = [compileSchema(open(100)).steps, compileSchema(open(1000)).steps]
  expect(more).toBeLessThan(15 * few)
})
