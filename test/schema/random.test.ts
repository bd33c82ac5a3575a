/**
 * Random schemas: a plain validator and a plain reader of the grammar agree on every value, and every text
 * that is drawn from a grammar is valid JSON of its schema.
 */
import { expect, test } from 'vitest'
import { CriaError } from '../../lib/errors.js'
import { compileSchema } from '../../lib/schema/compile.js'
import { Gbnf } from '../support/gbnf.js'
import { jsonOrders } from '../support/json-orders.js'
import { Draw } from './draw.js'
import { isValid } from './reference.js'

/** Undefined: refused. */
function compile(schema: unknown, open: boolean): Gbnf | 'none' | undefined {
  try {
    return new Gbnf(compileSchema(schema, { open }).gbnf)
  } catch (error) {
    if (!(error instanceof CriaError)) throw error
    return /no value satisfies|const is none/.test(error.message) ? 'none' : undefined
  }
}

test('values are accepted if, and only if, they are valid', () => {
  let compiled = 0
  let valid = 0
  for (let seed = 1; seed <= 1500; seed++) {
    const draw = new Draw(seed)
    const schema = draw.schema()
    const rules = compile(schema, true)
    if (!rules) continue
    compiled++
    for (let i = 0; i < 12; i++) {
      const value = draw.value()
      const expected = isValid(schema, value)
      const accepted = rules !== 'none' && jsonOrders(value).some((text) => rules.accepts(text))
      if (expected) valid++
      expect(accepted, `${seed}: ${JSON.stringify(schema)} ${JSON.stringify(value)}`).toBe(expected)
    }
  }
  expect(compiled).toBeGreaterThan(900) // most schemas are compiled, and values are of both sorts
  expect(valid).toBeGreaterThan(1000)
})

test.each([true, false])('what a grammar says is valid (open: %s)', (open) => {
  let drawn = 0
  for (let seed = 2001; seed <= 2800; seed++) {
    const draw = new Draw(seed)
    const schema = draw.schema()
    const rules = compile(schema, open)
    if (!rules || rules === 'none') continue
    for (let i = 0; i < 8; i++) {
      const text = rules.draw(draw.random, 6)
      const about = `${seed}: ${JSON.stringify(schema)} ${text}`
      expect(isValid(schema, JSON.parse(text)), about).toBe(true)
      expect(rules.accepts(text), about).toBe(true)
      drawn++
    }
  }
  expect(drawn).toBeGreaterThan(2000)
})

test('ranges of numbers are exact', () => {
  const draw = new Draw(5)
  const bound = () => draw.int(-2000, 2000) / draw.one([1, 1, 10, 100])
  for (let round = 0; round < 300; round++) {
    const schema: Record<string, unknown> = { type: draw.one(['integer', 'number']) }
    if (draw.random() < 0.8) schema[draw.one(['minimum', 'exclusiveMinimum'])] = bound()
    if (draw.random() < 0.8) schema[draw.one(['maximum', 'exclusiveMaximum'])] = bound()
    const rules = compile(schema, true)
    if (!rules) throw new Error(`refused: ${JSON.stringify(schema)}`)
    for (let i = 0; i < 40; i++) {
      const near = draw.one(
        Object.values(schema)
          .filter((one) => typeof one === 'number')
          .concat(0)
      )
      const value = Number((Number(near) + draw.one([0, 1, -1, 0.01, -0.01, bound()])).toFixed(3))
      const accepted = rules !== 'none' && rules.accepts(JSON.stringify(value))
      expect(accepted, `${JSON.stringify(schema)} ${value}`).toBe(isValid(schema, value))
    }
    if (rules === 'none') continue
    for (let i = 0; i < 10; i++) {
      const text = rules.draw(draw.random)
      expect(isValid(schema, Number(text)), `${JSON.stringify(schema)} ${text}`).toBe(true)
    }
  }
})
