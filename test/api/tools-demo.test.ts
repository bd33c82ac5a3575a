/** Tools on the demo model, which knows none: what it must write, it writes. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Model } from '../../lib/index.js'
import type { Tool } from '../../lib/tools/types.js'
import { cria } from './support/built.js'

let model: Model
beforeAll(async () => {
  model = await cria.Model.load()
})
afterAll(() => model.dispose())

const garden: Tool = {
  description: 'What grows.',
  schema: {
    type: 'object',
    properties: {
      season: { enum: ['spring', 'summer', 'autumn', 'winter'] },
      share: { type: 'integer', minimum: 0, maximum: 100 }
    },
    required: ['season', 'share'],
    additionalProperties: false
  },
  run: ({ season }) => `Roses, in ${season}.`
}

const pond: Tool = {
  description: 'Fish.',
  schema: { type: 'object', properties: { deep: { type: 'boolean' } }, required: ['deep'] },
  run: () => 'Two.'
}

const question = [{ role: 'user', content: 'What grows in the garden?' }] as const

test('a required call fits its schema, whatever is drawn', async () => {
  const options = { tools: { garden }, toolChoice: 'required', maxTokens: 200 } as const
  const all = await Promise.all(
    Array.from({ length: 12 }, (_, seed) =>
      model.generate(question, { ...options, temperature: 1.5, seed })
    )
  )
  // A list of many calls may be cut off by the limit: then none of it is run.
  const calls = all.flatMap(({ toolCalls }) => toolCalls.filter(({ round }) => round === 1))
  expect(calls.length).toBeGreaterThan(6)
  for (const { name, error } of calls) {
    expect(name).toBe('garden')
    expect(error).toBeUndefined()
  }
})

test('the tool that is named is the one that is called', async () => {
  const session = model.session()
  const { toolCalls, messages } = await session.send('What grows?', {
    tools: { garden, pond },
    toolChoice: { name: 'pond' },
    temperature: 0,
    maxTokens: 100
  })
  expect(toolCalls[0]).toMatchObject({ name: 'pond', arguments: { deep: expect.any(Boolean) } })
  expect(session.messages.slice(1)).toEqual(messages)
  session.dispose()
})

test('with a schema, the answer is of it where it is no call', async () => {
  const { object, finishReason, toolCalls } = await model.generate(question, {
    tools: { garden },
    toolChoice: { name: 'garden' },
    schema: {
      type: 'object',
      properties: { fine: { type: 'boolean' } },
      required: ['fine'],
      additionalProperties: false
    },
    temperature: 0,
    maxTokens: 200,
    maxToolRounds: 1
  })
  expect(toolCalls.length).toBeGreaterThan(0)
  if (finishReason === 'stop') expect(typeof object?.fine).toBe('boolean')
  else expect(object).toBeUndefined()
})

test('tools, schemas, aborts and plain requests in one batch: the plain ones are as alone', async () => {
  const plain = () => model.generate('Once upon a time', { temperature: 0, maxTokens: 40 })
  const alone = (await plain()).text
  const schema = { type: 'object', properties: { a: { type: 'boolean' } }, required: ['a'] }
  const mixed = Array.from({ length: 18 }, (_, seed) => {
    const abort = new AbortController()
    const options = { temperature: 1, maxTokens: 60, seed, signal: abort.signal }
    const tools = { garden }
    if (seed % 4 === 0) setTimeout(() => abort.abort(), 5 * seed)
    if (seed % 3 === 0)
      return model.generate(question, { ...options, tools, toolChoice: 'required' })
    if (seed % 3 === 1) return model.generate(question, { ...options, tools, schema })
    return model.generate(question, { ...options, schema })
  })
  const neighbours = [plain(), plain(), plain()]
  for (const end of await Promise.allSettled(mixed)) {
    if (end.status === 'fulfilled')
      for (const call of end.value.toolCalls) expect(call.error).toBeUndefined()
    else expect(['AbortError', 'CriaError']).toContain((end.reason as Error).name)
  }
  for (const { text } of await Promise.all(neighbours)) expect(text).toBe(alone)
  await expect.poll(() => model.stats().requests.running).toBe(0)
})
