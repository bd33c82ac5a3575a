/** Awaiting, iterating, cancelling and aborting a generation, over a fake engine. */

import { setImmediate as nextTurn } from 'node:timers/promises'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { CriaError } from '../../lib/errors.js'
import { Generation } from '../../lib/generation.js'
import type { GrammarText } from '../../lib/grammar.js'
import { checkGenerate } from '../../lib/options.js'
import { type Prompt, Request } from '../../lib/request.js'
import type { GenerateOptions } from '../../lib/types.js'
import { FakeModel } from './support/fake.js'

const text: Prompt = { prompt: [{ text: 'hi', special: false }], bos: true, trimStart: false }

let model: FakeModel
let isOpen: boolean

beforeEach(() => {
  model = new FakeModel()
  isOpen = true
})

function generate(
  options: GenerateOptions = {},
  prepare: () => Prompt | Promise<Prompt> = () => text
): Generation {
  const engine = {
    native: model,
    router: model.router,
    info: model.info,
    isDisposed: false,
    assertOpen() {
      if (!isOpen) throw new CriaError('ERR_CRIA_DISPOSED', 'gone')
    },
    assertFits() {},
    compileGrammar: ({ syntax, text }: GrammarText) => model.compileGrammar(syntax, text)
  }
  return new Generation((control) => {
    const order = { settings: checkGenerate(options), sequence: 0, prepare }
    const request = new Request(engine, order, control)
    request.start()
    return request
  })
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

test('it is posted at once, with all options filled in', () => {
  generate({ temperature: 0, seed: 3, stop: 'x', logitBias: { 4: -1 } })
  expect(model.last).toMatchObject({
    ...text,
    id: 1,
    sequence: 0,
    temperature: 0,
    topK: 40,
    seed: 3n,
    stop: ['x'],
    logitBiasIds: Int32Array.of(4),
    logitBiasValues: Float32Array.of(-1)
  })
  expect(model.last).not.toHaveProperty('signal')
})

test('without a seed each request gets another', () => {
  generate()
  generate()
  expect(model.requests[0]?.seed).not.toBe(model.requests[1]?.seed)
})

test('awaiting gives the whole result', async () => {
  const generation = generate()
  model.step(1, 'ab')
  model.step(1, 'c', { reason: 'length' })
  expect(await generation).toEqual({
    text: 'abc',
    tokens: [97, 98, 99],
    finishReason: 'length',
    droppedMessages: 0,
    usage: { promptTokens: 10, cachedTokens: 4, completionTokens: 5 },
    timings: {
      queueMs: 1,
      prefillMs: 20,
      decodeMs: 8,
      guessedTokens: 3,
      acceptedTokens: 2,
      prefillTokensPerSecond: 300,
      decodeTokensPerSecond: 500
    },
    toolCalls: []
  })
})

test('iterating gives each chunk, and awaiting the same one works too', async () => {
  const generation = generate()
  const chunks = collect(generation)
  model.step(1, 'a')
  await nextTurn()
  model.step(1, 'b')
  model.step(1, 'c', {})
  expect(await chunks).toEqual([
    { text: 'a', tokens: [97] },
    { text: 'b', tokens: [98] },
    { text: 'c', tokens: [99] }
  ])
  expect((await generation).text).toBe('abc')
  expect((await generation.then((result) => result)).text).toBe('abc')
})

test('every iterator sees all chunks, whenever it began', async () => {
  const generation = generate()
  const early = collect(generation)
  model.step(1, 'a')
  await nextTurn()
  const middle = collect(generation)
  model.step(1, 'b', {})
  const [one, two, three] = [await early, await middle, await collect(generation)]
  expect(one).toHaveLength(2)
  expect(two).toEqual(one)
  expect(three).toEqual(one)
})

test('several next() may be pending at once', async () => {
  const iterator = generate()[Symbol.asyncIterator]()
  const pending = [iterator.next(), iterator.next(), iterator.next(), iterator.next()]
  model.step(1, 'a')
  model.step(1, 'b', {})
  const values = (await Promise.all(pending)).map(({ value }) => value?.text)
  expect(values).toEqual(['a', 'b', undefined, undefined])
})

test('chunks that wait are read without a turn of the event loop each', async () => {
  const generation = generate()
  for (let i = 0; i < 10_000; i++) model.step(1, 'x')
  model.step(1, '', {})
  let turns = 0
  const counter = setInterval(() => turns++, 0)
  expect(await collect(generation)).toHaveLength(10_000)
  clearInterval(counter)
  expect(turns).toBe(0)
})

test('textStream leaves empty texts out', async () => {
  const generation = generate()
  model.step(1, 'a')
  model.router.deliver([{ request: 1, text: '', tokens: [5] }])
  model.step(1, 'b', {})
  expect(await collect(generation.textStream)).toEqual(['a', 'b'])
  expect(await collect(generation.textStream)).toEqual(['a', 'b'])
  expect((await generation).tokens).toEqual([97, 5, 98])
})

test('toReadableStream is a body of UTF-8', async () => {
  const generation = generate()
  const body = new Response(generation.toReadableStream()).text()
  model.step(1, 'grüß ')
  await nextTurn()
  model.step(1, 'dich 🦙', {})
  expect(await body).toBe('grüß dich 🦙')
})

describe('leaving', () => {
  test('a for await early cancels', async () => {
    const generation = generate()
    model.step(1, 'a')
    for await (const _ of generation) break
    expect(model.cancelled).toEqual([1])
    model.step(1, '', { reason: 'abort' })
    expect(await generation).toMatchObject({ text: 'a', finishReason: 'abort' })
  })

  test('an iteration by an error cancels', async () => {
    const generation = generate()
    model.step(1, 'a')
    const failing = (async () => {
      for await (const _ of generation.textStream) throw new Error('mine')
    })()
    await expect(failing).rejects.toThrow('mine')
    expect(model.cancelled).toEqual([1])
  })

  test('one of two iterations does not cancel, the second one does', async () => {
    const generation = generate()
    const one = generation[Symbol.asyncIterator]()
    const two = generation[Symbol.asyncIterator]()
    await one.return?.()
    await one.return?.()
    expect(model.cancelled).toEqual([])
    await two.return?.()
    expect(model.cancelled).toEqual([1])
    expect(await two.next()).toEqual({ done: true, value: undefined })
  })

  test('after the end cancels nothing', async () => {
    const generation = generate()
    model.step(1, 'a')
    model.step(1, 'b', {})
    for await (const _ of generation) break
    expect(model.cancelled).toEqual([])
  })

  test('cancelling the web stream cancels, even while it waits for the first text', async () => {
    const reader = generate().toReadableStream().getReader()
    const read = reader.read()
    await reader.cancel()
    expect(model.cancelled).toEqual([1])
    await read
  })
})

describe('cancel()', () => {
  test('ends quietly with the text so far', async () => {
    const generation = generate()
    const chunks = collect(generation)
    model.step(1, 'a')
    generation.cancel()
    expect(model.cancelled).toEqual([1])
    model.step(1, '', { reason: 'abort' })
    expect(await generation).toMatchObject({ text: 'a', finishReason: 'abort' })
    expect(await chunks).toHaveLength(1)
  })

  test('before the prompt is ready posts nothing', async () => {
    const generation = generate({}, async () => text)
    generation.cancel()
    expect(await generation).toMatchObject({ text: '', tokens: [], finishReason: 'abort' })
    await nextTurn()
    expect(model.requests).toEqual([])
  })

  test('after the end does nothing', async () => {
    const generation = generate()
    model.step(1, 'a', {})
    await generation
    generation.cancel()
    expect(model.cancelled).toEqual([])
    expect((await generation).finishReason).toBe('stop')
  })
})

describe('an aborted signal', () => {
  test('before: nothing is posted', async () => {
    const generation = generate({ signal: AbortSignal.abort() })
    await expect(generation).rejects.toMatchObject({ name: 'AbortError' })
    await expect(collect(generation)).rejects.toMatchObject({ name: 'AbortError' })
    expect(model.requests).toEqual([])
  })

  test('during: rejects at once, ends iterators with it after what came, stops the engine', async () => {
    const abort = new AbortController()
    const generation = generate({ signal: abort.signal })
    model.step(1, 'a')
    const seen: string[] = []
    const reading = (async () => {
      for await (const chunk of generation) seen.push(chunk.text)
    })()
    await nextTurn()
    abort.abort()
    await expect(generation).rejects.toMatchObject({ name: 'AbortError' })
    await expect(reading).rejects.toMatchObject({ name: 'AbortError' })
    expect(seen).toEqual(['a'])
    expect(model.cancelled).toEqual([1])
    model.step(1, 'late', { reason: 'abort' }) // the engine's last word changes nothing
    await expect(collect(generation)).rejects.toMatchObject({ name: 'AbortError' })
  })

  test('while the prompt is prepared', async () => {
    const abort = new AbortController()
    const generation = generate({ signal: abort.signal }, async () => text)
    abort.abort(new Error('my reason'))
    await expect(generation).rejects.toThrow('my reason')
    await nextTurn()
    expect(model.requests).toEqual([])
  })

  test('after: the result stands', async () => {
    const abort = new AbortController()
    const generation = generate({ signal: abort.signal })
    model.step(1, 'a', {})
    abort.abort()
    expect((await generation).text).toBe('a')
    expect(model.cancelled).toEqual([])
  })

  test('its listener goes when the generation ends', async () => {
    const { signal } = new AbortController()
    const added = vi.spyOn(signal, 'addEventListener')
    const removed = vi.spyOn(signal, 'removeEventListener')
    const generation = generate({ signal })
    model.step(1, 'a', {})
    await generation
    expect(added).toHaveBeenCalledTimes(1)
    expect(removed.mock.calls[0]?.slice(0, 2)).toEqual(added.mock.calls[0]?.slice(0, 2))
  })
})

describe('errors', () => {
  test('of the engine carry their code', async () => {
    const generation = generate()
    model.step(1, '', { reason: 'error', code: 'ERR_CRIA_CONTEXT_OVERFLOW', message: '9 > 8' })
    await expect(generation).rejects.toMatchObject({
      name: 'CriaError',
      code: 'ERR_CRIA_CONTEXT_OVERFLOW',
      message: '9 > 8'
    })
  })

  test('of posting reject, and the next request works', async () => {
    vi.spyOn(model, 'generate').mockImplementationOnce(() => {
      throw Object.assign(new Error('no'), { code: 'ERR_CRIA_BAD_ARGUMENT' })
    })
    await expect(generate()).rejects.toMatchObject({ code: 'ERR_CRIA_BAD_ARGUMENT' })
    const next = generate()
    model.step(model.last.id, 'a', {})
    expect((await next).text).toBe('a')
  })

  test('of preparing the prompt reject', async () => {
    const broken = (): Prompt => {
      throw new CriaError('ERR_CRIA_BAD_ARGUMENT', 'now')
    }
    await expect(generate({}, broken)).rejects.toThrow('now')
    await expect(generate({}, async () => broken())).rejects.toThrow('now')
  })

  test('a disposed model rejects, also when it goes while the prompt is prepared', async () => {
    const late = generate({}, async () => text)
    isOpen = false
    await expect(late).rejects.toMatchObject({ code: 'ERR_CRIA_DISPOSED' })
    await expect(generate()).rejects.toMatchObject({ code: 'ERR_CRIA_DISPOSED' })
    expect(model.requests).toEqual([])
  })

  test('a lost engine ends all that runs', async () => {
    const [one, two] = [generate(), generate()]
    model.router.loseAll(new CriaError('ERR_CRIA_DISPOSED', 'gone'))
    await expect(one).rejects.toMatchObject({ code: 'ERR_CRIA_DISPOSED' })
    await expect(collect(two)).rejects.toMatchObject({ code: 'ERR_CRIA_DISPOSED' })
    model.step(1, 'late', {}) // belongs to nobody
  })

  test('nobody looks: no unhandledRejection; only iterated: none either', async () => {
    const unhandled = vi.fn()
    process.on('unhandledRejection', unhandled)
    generate({ signal: AbortSignal.abort() })
    await collect(generate({ signal: AbortSignal.abort() })).catch(() => {})
    await nextTurn()
    await nextTurn()
    process.off('unhandledRejection', unhandled)
    expect(unhandled).not.toHaveBeenCalled()
  })

  test('catch and finally are there', async () => {
    const onEnd = vi.fn()
    const failed = generate({ signal: AbortSignal.abort() })
    expect(await failed.catch(() => 'caught')).toBe('caught')
    await failed.finally(onEnd).catch(() => {})
    expect(onEnd).toHaveBeenCalledOnce()
  })
})

test('updates of one delivery reach the requests they belong to', async () => {
  const [one, two] = [generate(), generate()]
  const end = {
    reason: 'stop' as const,
    usage: { promptTokens: 1, cachedTokens: 0, completionTokens: 1 },
    timings: { queueMs: 0, prefillMs: 0, decodeMs: 0, guessedTokens: 0, acceptedTokens: 0 }
  }
  model.router.deliver([
    { request: 2, text: 'two', tokens: [2] },
    { request: 1, text: 'one', tokens: [1], end },
    { request: 99, text: 'nobody', tokens: [] },
    { request: 2, text: '!', tokens: [3], end }
  ])
  expect((await one).text).toBe('one')
  expect((await two).text).toBe('two!')
  expect((await one).timings.decodeTokensPerSecond).toBe(0)
})
