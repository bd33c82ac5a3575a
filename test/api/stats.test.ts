/** Figures and events of a model: what they say, and that nobody pays for what nobody hears. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { describe, expect, onTestFinished, test } from 'vitest'
import { toStats } from '../../lib/stats.js'
import { cria } from './support/built.js'
import { FakeModel } from './support/fake.js'

const { Model } = cria

/** All messages of a channel until the test ends. */
function listen(name: string): Record<string, unknown>[] {
  const heard: Record<string, unknown>[] = []
  const hear = (message: unknown) => heard.push(message as Record<string, unknown>)
  subscribe(name, hear)
  onTestFinished(() => void unsubscribe(name, hear))
  return heard
}

test('figures of the native side take their places', () => {
  const stats = toStats(new FakeModel().stats())
  expect(stats.requests).toEqual({
    queued: 1,
    running: 2,
    paused: 0,
    posted: 7,
    finished: 2,
    aborted: 1,
    failed: 1
  })
  expect(stats.tokens).toEqual({
    prompt: 100,
    cached: 25,
    computed: 80,
    generated: 30,
    guessed: 6,
    accepted: 4
  })
  expect(stats.cacheHitRate).toBe(0.25)
  expect(stats.pages).toEqual({ total: 16, free: 9, used: 3, cached: 4, tokens: 32 })
  expect(toStats({ ...new FakeModel().stats(), promptTokens: 0 }).cacheHitRate).toBe(0)
})

describe('of the demo model', () => {
  test('they follow what it does', async () => {
    const model = await Model.load(undefined, { sequences: 2 })
    expect(model.stats()).toMatchObject({ steps: 0, recent: { stepMs: { mean: 0, max: 0 } } })

    const chat = model.session()
    const options = { temperature: 0, maxTokens: 8 }
    const first = await chat.send('Who are you?', options)
    const second = await chat.send('And who am I?', options)
    const running = model.generate('Once', { logitBias: { 2: -Infinity } })
    for await (const { tokens } of running) {
      if (tokens.length === 0) continue
      expect(model.stats().requests).toMatchObject({ posted: 3, finished: 2, running: 1 })
      break
    }
    await running
    await expect(model.generate([5], { maxTokens: 1 })).resolves.toBeDefined()

    const { requests, tokens, cacheHitRate, pages, steps, recent } = model.stats()
    expect(requests).toEqual({
      queued: 0,
      running: 0,
      paused: 0,
      posted: 4,
      finished: 3,
      aborted: 1,
      failed: 0
    })
    const prompts = first.usage.promptTokens + second.usage.promptTokens
    expect(tokens.prompt).toBeGreaterThan(prompts)
    expect(tokens.cached).toBe(second.usage.cachedTokens)
    expect(cacheHitRate).toBeCloseTo(tokens.cached / tokens.prompt)
    expect(tokens.computed).toBe(tokens.prompt - tokens.cached)
    expect(pages.total).toBe((2 * model.info.contextSize) / pages.tokens)
    expect(pages).toMatchObject({ used: 0, free: pages.total - pages.cached })
    expect(pages.cached).toBeGreaterThan(0)
    expect(steps).toBe(tokens.generated)
    const { mean, p50, p95, p99, max } = recent.stepMs
    expect([p50, p95, p99, max].every((ms, i, all) => ms >= (all[i - 1] ?? 0))).toBe(true)
    expect(mean).toBeGreaterThan(0)
    expect(recent.generatedTokensPerSecond).toBeGreaterThan(0)

    await model.dispose()
    expect(() => model.stats()).toThrow(expect.objectContaining({ code: 'ERR_CRIA_DISPOSED' }))
  })

  test('channels tell the beginning and the end of each request', async () => {
    const started = listen('cria:request:start')
    const ended = listen('cria:request:end')
    const model = await Model.load()
    const result = await model.generate('Once', { temperature: 0, maxTokens: 3 })
    await expect(model.generate([1, 2, 3].concat(Array(600).fill(5)))).rejects.toThrow()
    await model.generate('Once', { temprature: 0 } as object).catch(() => {}) // never posted
    const endless = { logitBias: { 2: -Infinity } }
    const abort = new AbortController()
    const aborted = model.generate('Once', { ...endless, signal: abort.signal })
    abort.abort()
    await aborted.catch(() => {})
    await model.generate('Once', { maxTokens: 1 }) // the engine has ended the one before
    const lost = model.generate('Once', endless)
    await model.dispose()
    await lost.catch(() => {})

    expect(started).toHaveLength(5)
    expect(ended.map(({ reason }) => reason)).toEqual([
      'length',
      'error',
      'abort',
      'length',
      'error'
    ])
    expect(started[0]).toEqual({ model: model.info, id: started[0]?.id, kind: 'generate' })
    expect(ended[0]).toMatchObject({ ...started[0], usage: result.usage })
    expect(ended[0]).not.toHaveProperty('error')
    expect(ended[1]?.error).toMatchObject({ code: 'ERR_CRIA_CONTEXT_OVERFLOW' })
    expect(ended[4]?.error).toMatchObject({ code: 'ERR_CRIA_DISPOSED' })
    expect(started.map(({ id }) => id)).toEqual(ended.map(({ id }) => id))
  })

  test('cria:step brings the news of steps with the figures', async () => {
    const news = listen('cria:step')
    const model = await Model.load()
    const results = await Promise.all(
      ['Once', 'One day'].map((text) => model.generate(text, { maxTokens: 9, seed: 1 }))
    )
    expect(news.length).toBeGreaterThan(0)
    const tokens = news.reduce((sum, message) => sum + Number(message.tokens), 0)
    expect(tokens).toBe(results.reduce((sum, result) => sum + result.tokens.length, 0))
    expect(news.at(-1)).toMatchObject({ model: model.info, stats: { requests: { running: 0 } } })
    await model.dispose()
  })

  test('a listener that throws does no harm to the request', async () => {
    const fail = () => {
      throw new Error('listener')
    }
    const told: unknown[] = []
    const others = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.on('uncaughtException', (error) => told.push(error.message))
    subscribe('cria:request:start', fail)
    subscribe('cria:step', fail)
    const model = await Model.load()
    try {
      expect((await model.generate('Once', { maxTokens: 3, seed: 1 })).tokens).toHaveLength(3)
      await new Promise((resolve) => setImmediate(resolve))
    } finally {
      unsubscribe('cria:request:start', fail)
      unsubscribe('cria:step', fail)
      process.removeAllListeners('uncaughtException')
      for (const other of others) process.on('uncaughtException', other)
      await model.dispose()
    }
    expect(told).toContain('listener')
  })
})
