/** Many requests on one model: shared beginnings, order, deadlines, a queue that is full. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Generation, Model } from '../../lib/index.js'
import { cria } from './support/built.js'

const beginning = 'Once upon a time, in the garden, there lived a shy girl named Lino. '.repeat(4)
const greedy = { temperature: 0, maxTokens: 8 }

describe('a model for many', () => {
  let model: Model
  beforeAll(async () => {
    model = await cria.Model.load(undefined, { sequences: 4 })
  })
  afterAll(() => model.dispose())

  test('a prompt finds what another one began with, and gives the same', async () => {
    const alone = await model.generate(`${beginning}One day`, { ...greedy, cacheKey: 'alone' })
    expect(alone.usage.cachedTokens).toBe(0)
    await model.generate(`${beginning}Far away`, greedy)
    const cached = await model.generate(`${beginning}One day`, greedy)
    expect(cached.usage.cachedTokens).toBeGreaterThan(64)
    expect(cached.usage.cachedTokens).toBeLessThan(cached.usage.promptTokens)
    expect(cached.tokens).toEqual(alone.tokens)
  })

  test('requests that run at once share, too', async () => {
    const ends = ['One day', 'Far away', 'In a house', 'At night']
    const options = { ...greedy, cacheKey: 'at once' }
    const results = await Promise.all(ends.map((end) => model.generate(beginning + end, options)))
    for (const { usage } of results.slice(1)) expect(usage.cachedTokens).toBeGreaterThanOrEqual(64)
    const again = await model.generate(beginning + ends[2], { ...greedy, cacheKey: 'later' })
    expect(again.tokens).toEqual(results[2]?.tokens)
  })

  test('other keys share nothing', async () => {
    await model.generate(beginning, { ...greedy, cacheKey: 'a' })
    const other = await model.generate(beginning, { ...greedy, cacheKey: 'b' })
    const same = await model.generate(beginning, { ...greedy, cacheKey: 'a' })
    expect(other.usage.cachedTokens).toBe(0)
    expect(same.usage.cachedTokens).toBe(same.usage.promptTokens - 1)
  })

  test('sessions with the same system message share it', async () => {
    using first = model.session({ system: beginning })
    using second = model.session({ system: beginning })
    using apart = model.session({ system: beginning, cacheKey: 'apart' })
    await first.send('Who are you?', greedy)
    expect((await second.send('Where are you?', greedy)).usage.cachedTokens).toBeGreaterThan(64)
    expect((await apart.send('Where are you?', greedy)).usage.cachedTokens).toBe(0)
    await expect(first.send('x', { cacheKey: 'y' })).rejects.toThrow('an option of the session')
  })

  test('a timeout ends what runs, with an error of its own', async () => {
    const late = model.generate('Once upon a time', { timeout: 1, logitBias: { 2: -100 } })
    await expect(late).rejects.toMatchObject({ code: 'ERR_CRIA_TIMEOUT' })
    expect((await model.generate('One day', { ...greedy, timeout: 60_000 })).tokens).toHaveLength(8)
  })
})

test('a full queue refuses, and takes others later', async () => {
  // Whole contexts: one runs, one waits.
  await using model = await cria.Model.load(undefined, { contextSize: 64, maxQueue: 1 })
  const long = beginning.slice(0, 110) // more than half of the pages
  const all = [1, 2, 3, 4].map((n) => model.generate(`${n} ${long}`, { temperature: 0 }))
  const ends: unknown[] = await Promise.all(
    all.map((one: Generation) =>
      one.then(
        () => 'done',
        (error) => (error as { code: string }).code
      )
    )
  )
  expect(ends.filter((end) => end === 'ERR_CRIA_QUEUE_FULL').length).toBeGreaterThanOrEqual(1)
  expect(ends.slice(0, 2)).toEqual(['done', 'done'])
  expect((await model.generate('One day', greedy)).tokens).toHaveLength(8)
})

test('a higher priority goes first', async () => {
  await using model = await cria.Model.load(undefined, { contextSize: 64 })
  const long = beginning.slice(0, 110)
  const order: string[] = []
  const run = (name: string, priority: number) =>
    model.generate(`${name} ${long}`, { temperature: 0, priority }).then(() => order.push(name))
  await Promise.all([run('first', 0), run('low', -1), run('middle', 0), run('high', 2)])
  expect(order.indexOf('high')).toBeLessThan(order.indexOf('middle'))
  expect(order.at(-1)).toBe('low')
})
