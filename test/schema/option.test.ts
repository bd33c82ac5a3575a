/** The option schema through a generation: the grammar handed over, the value parsed and validated. */
import { beforeEach, expect, test } from 'vitest'
import { Generation } from '../../lib/generation.js'
import type { GrammarText } from '../../lib/grammar.js'
import type { NativeGrammar } from '../../lib/native.js'
import { checkGenerate } from '../../lib/options.js'
import { Request } from '../../lib/request.js'
import type { StandardResult } from '../../lib/schema/standard.js'
import type { GenerateOptions, ObjectResult } from '../../lib/types.js'
import { FakeModel } from '../api/support/fake.js'

const object = { type: 'object', properties: { a: { type: 'integer' } }, required: ['a'] }
let model: FakeModel
let held: GrammarText[]
const compiled: NativeGrammar = {}

beforeEach(() => {
  model = new FakeModel()
  held = []
})

function generate(options: GenerateOptions) {
  const engine = {
    native: model,
    router: model.router,
    info: model.info,
    isDisposed: false,
    assertOpen() {},
    assertFits() {},
    compileGrammar: async (grammar: GrammarText) => {
      held.push(grammar)
      return compiled
    }
  }
  return new Generation<ObjectResult<unknown>>((control) => {
    const prompt = { prompt: [{ text: 'x', special: false }], bos: true, trimStart: false }
    const settings = checkGenerate(options)
    const request = new Request(engine, { settings, sequence: 0, prepare: () => prompt }, control)
    request.start()
    return request
  })
}

/** The grammar comes later, and the request with it. */
const posted = () => new Promise(setImmediate)

function library(
  validate: (value: unknown) => StandardResult<unknown> | Promise<StandardResult<unknown>>,
  jsonSchema: unknown = { input: () => object }
) {
  return { '~standard': { version: 1 as const, vendor: 'lib', validate, jsonSchema } }
}

test('the grammar is handed over once for each generation, and compiled once', async () => {
  generate({ schema: object })
  generate({ schema: structuredClone(object) })
  expect(held).toHaveLength(2)
  expect(held[0]).toMatchObject({ syntax: 'gbnf', text: expect.stringContaining('root ::=') })
  expect(held[1]).toEqual(held[0])
  await posted()
  expect(model.requests).toHaveLength(2)
  expect(model.requests[0]).not.toHaveProperty('schema')
  expect(model.requests[0]?.grammar).toBe(compiled)
})

test('a schema that changed since is compiled again', () => {
  const schema = structuredClone(object) as Record<string, unknown>
  generate({ schema })
  schema.required = []
  generate({ schema })
  expect(held[1]).not.toEqual(held[0])
})

test('the result has the value', async () => {
  const generation = generate({ schema: object })
  await posted()
  model.step(1, '{"a":')
  model.step(1, ' 3}')
  model.step(1, '', {})
  expect(await generation).toMatchObject({
    text: '{"a": 3}',
    object: { a: 3 },
    finishReason: 'stop'
  })
})

test.each(['length', 'abort'] as const)('a text cut off (%s) has none', async (reason) => {
  const generation = generate({ schema: { type: 'integer' } })
  await posted()
  model.step(1, '12')
  model.step(1, '', { reason })
  const result = await generation
  expect(result.finishReason).toBe(reason)
  expect(result).not.toHaveProperty('object')
})

test('without a schema there is no object', async () => {
  const generation = generate({})
  await posted()
  model.step(1, '1')
  model.step(1, '', {})
  expect(await generation).not.toHaveProperty('object')
})

test('a library validates, and may change the value, at once or later', async () => {
  const doubled = (value: unknown) => ({ value: { b: (value as { a: number }).a * 2 } })
  const now = generate({ schema: library(doubled) })
  const later = generate({ schema: library(async (value) => doubled(value)) })
  await posted()
  for (const id of [1, 2]) {
    model.step(id, '{"a":4}')
    model.step(id, '', {})
  }
  expect((await now).object).toEqual({ b: 8 })
  expect((await later).object).toEqual({ b: 8 })
})

test('what a library refuses rejects with its issues', async () => {
  const issues = [{ message: 'too small', path: ['a', { key: 0 }] }]
  for (const validate of [() => ({ issues }), async () => ({ issues })]) {
    const generation = generate({ schema: library(validate) })
    await posted()
    model.step(model.requests.length, '{"a":4}')
    model.step(model.requests.length, '', {})
    const error = await generation.catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'ERR_CRIA_VALIDATION', cause: issues })
    expect(String(error)).toContain('a.0: too small')
  }
})

test('an abort while a library validates rejects with its reason', async () => {
  const controller = new AbortController()
  const never = () => new Promise<StandardResult<unknown>>(() => {})
  const generation = generate({ schema: library(never), signal: controller.signal })
  await posted()
  model.step(1, '{"a":4}')
  model.step(1, '', {})
  controller.abort(new Error('enough'))
  await expect(generation).rejects.toThrow('enough')
})

test.each<[string, unknown, string]>([
  [
    'a schema that no grammar holds to',
    { type: 'array', uniqueItems: true },
    'ERR_CRIA_UNSUPPORTED'
  ],
  ['no schema', 'x', 'ERR_CRIA_BAD_ARGUMENT'],
  ['an array', [], 'ERR_CRIA_BAD_ARGUMENT'],
  ['a library without JSON Schema', library((value) => ({ value }), null), 'ERR_CRIA_UNSUPPORTED'],
  [
    'a library that cannot say it',
    library((value) => ({ value }), {
      input: () => {
        throw new Error('a Date')
      }
    }),
    'ERR_CRIA_UNSUPPORTED'
  ]
])('%s is refused before anything runs', async (_, schema, code) => {
  const options = { schema } as GenerateOptions
  expect(() => checkGenerate(options)).toThrow(expect.objectContaining({ code }))
  expect(model.requests).toEqual([])
})

test('stop beside a schema is refused', () => {
  expect(() => checkGenerate({ schema: true, stop: 'x' })).toThrow(/schema or stop/)
})
