/** Readers that do not read: their generation waits, and nothing else does. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Feed, mostUnread } from '../../lib/feed.js'
import type { GenerateOptions, Model } from '../../lib/index.js'
import { cria } from './support/built.js'
import { script } from './support/script.js'

/** A busy machine may take its time. */
const patience = { timeout: 20_000 }

describe('a feed', () => {
  function open() {
    const told: string[] = []
    const feed = new Feed<number>({
      abandon: () => told.push('abandon'),
      pause: () => told.push('pause'),
      resume: () => told.push('resume')
    })
    const push = (count: number) => {
      for (let i = 0; i < count; i++) feed.push(i)
    }
    return { feed, push, told }
  }

  test('pauses when its reader is far behind, and goes on when it has caught up', async () => {
    const { feed, push, told } = open()
    const reader = feed.reader()
    push(mostUnread - 1)
    expect(told).toEqual([])
    push(5)
    expect(told).toEqual(['pause'])
    while (told.length === 1) await reader.next()
    expect(told).toEqual(['pause', 'resume'])
    const next = await reader.next()
    expect(next.value).toBeGreaterThan(mostUnread / 2)
    push(mostUnread)
    expect(told).toEqual(['pause', 'resume', 'pause'])
  })

  test('follows the foremost reader', async () => {
    const { feed, push, told } = open()
    feed.reader()
    const ahead = feed.reader()
    push(40)
    for (let i = 0; i < 40; i++) await ahead.next()
    push(40)
    expect(told).toEqual([])
    await ahead.return()
    expect(told).toEqual(['pause'])
  })

  test.each([
    ['nobody reads', () => {}],
    [
      'somebody waits for the end',
      (feed: Feed<number>) => {
        feed.reader()
        feed.wantAll()
      }
    ]
  ])('is not paused where %s', (_, prepare) => {
    const { feed, push, told } = open()
    prepare(feed)
    push(1000)
    expect(told).toEqual([])
  })

  test('goes on when somebody begins to wait for the end', () => {
    const { feed, push, told } = open()
    feed.reader()
    push(100)
    feed.wantAll()
    expect(told).toEqual(['pause', 'resume'])
  })
})

describe('a generation that nobody reads', () => {
  const long: GenerateOptions = { temperature: 0, maxTokens: 300, logitBias: { 2: -Infinity } }
  let model: Model
  beforeAll(async () => {
    model = await cria.Model.load(undefined, { sequences: 2 })
  })
  afterAll(() => model.dispose())

  /** Starts one and takes its first chunk alone. */
  async function begin(options = long) {
    const generation = model.generate('Once upon a time', options)
    const reader = generation[Symbol.asyncIterator]()
    const first = await reader.next()
    return { generation, reader, tokens: [...(first.value?.tokens ?? [])] }
  }
  const isPaused = () => expect.poll(() => model.stats().requests.paused, patience).toBe(1)

  test('waits, while others run, and then gives what it gives alone', async () => {
    const alone = await model.generate('Once upon a time', long)
    const { reader, tokens } = await begin()
    await isPaused()
    const { generated } = model.stats().tokens
    const other = await model.generate('One day', { ...long, maxTokens: 150 })
    expect(other.tokens).toHaveLength(150)
    expect(model.stats().tokens.generated - generated).toBe(150)
    expect(model.stats().pages.used).toBe(0)
    for await (const chunk of reader) tokens.push(...chunk.tokens)
    expect(tokens).toEqual(alone.tokens)
    expect(model.stats().requests).toMatchObject({ paused: 0, running: 0 })
  })

  test('goes on when it is awaited', async () => {
    const { generation } = await begin()
    await isPaused()
    expect((await generation).tokens).toHaveLength(300)
  })

  test('is cancelled, and times out, all the same', async () => {
    const cancelled = await begin()
    await isPaused()
    await cancelled.reader.return?.()
    await expect.poll(() => model.stats().requests.paused, patience).toBe(0)
    expect((await cancelled.generation).finishReason).toBe('abort')

    const timed = await begin({ ...long, timeout: 3000 })
    await isPaused()
    await expect.poll(() => model.stats().requests.failed, patience).toBe(1)
    await expect(timed.generation).rejects.toMatchObject({ code: 'ERR_CRIA_TIMEOUT' })
  })

  test('a stream that nobody pulls holds it as well', async () => {
    const stream = model.generate('Once upon a time', long).toReadableStream()
    await isPaused()
    const text = await new Response(stream).text()
    expect(text).toBe((await model.generate('Once upon a time', long)).text)
  })

  test('does not keep the process alive', async () => {
    const out = await script(`
      const model = await Model.load()
      const options = { maxTokens: 300, logitBias: { 2: -Infinity } }
      const reader = model.generate('Once', options)[Symbol.asyncIterator]()
      await reader.next()
      process.on('exit', () => console.log(model.stats().requests.finished))
    `)
    expect(out).toBe('0\n')
  })
})
