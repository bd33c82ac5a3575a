/** Schemas held to by the demo model, at a temperature where it would write anything: each text is valid. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Model } from '../../lib/index.js'
import { cria } from '../api/support/built.js'
import { Draw } from './draw.js'
import { isValid } from './reference.js'

let model: Model

beforeAll(async () => {
  model = await cria.Model.load(undefined, { threads: 2 })
})
afterAll(() => model.dispose())

const schemas: Record<string, { readonly [keyword: string]: unknown }> = {
  person: {
    type: 'object',
    properties: {
      name: { type: 'string', minLength: 1, maxLength: 12 },
      age: { type: 'integer', minimum: 0, maximum: 120 },
      height: { type: 'number', exclusiveMinimum: 0, maximum: 2.5 },
      tags: { type: 'array', items: { enum: ['big', 'small', 'é😀'] }, maxItems: 3 }
    },
    required: ['name', 'age', 'height']
  },
  union: {
    oneOf: [
      {
        type: 'object',
        properties: { kind: { const: 'word' }, word: { type: 'string', pattern: '^[a-z]{2,5}$' } },
        required: ['kind', 'word']
      },
      {
        type: 'object',
        properties: {
          kind: { const: 'number' },
          value: { type: 'integer', multipleOf: 10, maximum: 500 }
        },
        required: ['kind', 'value']
      }
    ]
  },
  tree: {
    type: 'object',
    properties: {
      value: { type: 'boolean' },
      children: { type: 'array', items: { $ref: '#' }, maxItems: 1 }
    },
    required: ['value']
  },
  others: {
    type: 'object',
    properties: { ab: { type: 'null' } },
    additionalProperties: { type: 'integer', minimum: 0, maximum: 9 },
    maxProperties: 3
  },
  patterns: {
    type: 'object',
    patternProperties: { '^x': { type: 'boolean' } },
    additionalProperties: false,
    minProperties: 1,
    maxProperties: 2
  },
  listed: { enum: Array.from({ length: 500 }, (_, i) => `item ${i * i}`) },
  dates: { type: 'array', items: { type: 'string', format: 'date' }, minItems: 2, maxItems: 2 },
  long: { type: 'string', minLength: 20, maxLength: 40_000 }
}

test.each(Object.entries(schemas))('%s', async (_, schema) => {
  const generations = Array.from({ length: 6 }, (_, seed) =>
    model.generate('Once upon a time', {
      schema,
      seed,
      temperature: 1.5,
      topK: 0,
      topP: 1,
      minP: 0,
      maxTokens: 150
    })
  )
  let whole = 0
  for (const { text, object, finishReason } of await Promise.all(generations)) {
    if (finishReason !== 'stop') {
      expect(object).toBeUndefined()
      continue
    }
    whole++
    expect(object).toEqual(JSON.parse(text))
    expect(isValid(schema, object), text).toBe(true)
  }
  if (!('maxLength' in schema)) expect(whole).toBeGreaterThan(0)
})

test('random schemas: the engine takes every grammar, and what is whole is valid', async () => {
  let whole = 0
  let refused = 0
  const one = async (seed: number) => {
    const schema = new Draw(seed).schema() as boolean
    try {
      const options = { seed, temperature: 1, topK: 0, maxTokens: 40 }
      const { object, text, finishReason } = await model.generate('1 and', { schema, ...options })
      if (finishReason !== 'stop') return
      whole++
      expect(isValid(schema, object), `${seed}: ${JSON.stringify(schema)} ${text}`).toBe(true)
    } catch (error) {
      // By the compiler, that is, and never by the engine for its grammar.
      expect(String(error)).toMatch(/^CriaError: schema/)
      refused++
    }
  }
  for (let seed = 5000; seed < 5240; seed += 8) {
    await Promise.all(Array.from({ length: 8 }, (_, i) => one(seed + i)))
  }
  expect(whole).toBeGreaterThan(80)
  expect(refused).toBeLessThan(100)
})

test('a session too, and its next turn is free again', async () => {
  using chat = model.session()
  const { object } = await chat.send('How old are you?', {
    schema: { type: 'integer', minimum: 1, maximum: 99 },
    seed: 1
  })
  expect(object).toBeGreaterThanOrEqual(1)
  expect(chat.messages.at(-1)).toEqual({ role: 'assistant', content: String(object) })
  const next = await chat.send('Who are you?', { temperature: 0, maxTokens: 8 })
  expect(next).not.toHaveProperty('object')
})

test('a schema that no grammar holds to rejects', async () => {
  const generation = model.generate('x', { schema: { type: 'array', uniqueItems: true } })
  await expect(generation).rejects.toMatchObject({ code: 'ERR_CRIA_UNSUPPORTED' })
})
