/** Generating with the demo model: the whole path, from text to text. */
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Model } from '../../lib/index.js'
import { cria, demo } from './support/built.js'
import { patched } from './support/gguf.js'

const { Model: Cria } = cria
const greedy = { temperature: 0, maxTokens: 24 } as const

let model: Model
beforeAll(async () => {
  model = await Cria.load(undefined, { sequences: 4 })
})
afterAll(() => model.dispose())

describe('a generation', () => {
  test('iterated gives the text that it gives awaited', async () => {
    const generation = model.generate('Once upon a time', greedy)
    let text = ''
    const tokens: number[] = []
    for await (const chunk of generation) {
      text += chunk.text
      tokens.push(...chunk.tokens)
    }
    const result = await generation
    expect(result).toMatchObject({ text, tokens, finishReason: 'length' })
    expect(tokens).toHaveLength(24)
    expect(result.usage.completionTokens).toBe(24)
    expect(result.timings.prefillTokensPerSecond).toBeGreaterThan(0)
    expect(result.timings.decodeTokensPerSecond).toBeGreaterThan(0)
    expect((await model.generate('Once upon a time', greedy)).text).toBe(text)
  })

  test('from messages answers in the chat format and stops by itself', async () => {
    const messages = [{ role: 'user', content: 'What is the opposite of hot?' }] as const
    const { text, finishReason } = await model.generate(messages, { temperature: 0 })
    expect(text).toMatch(/cold/i)
    expect(text).toBe(text.trimStart())
    expect(finishReason).toBe('stop')
  })

  test('ids and text are the same prompt', async () => {
    const ids = await model.tokenizer.encode('A small dog', { bos: true })
    const [byText, byIds, byArray] = await Promise.all([
      model.generate('A small dog', greedy),
      model.generate(ids, greedy),
      model.generate(Int32Array.from(ids), greedy)
    ])
    expect(byIds.tokens).toEqual(byText.tokens)
    expect(byArray.tokens).toEqual(byText.tokens)
    expect(byIds.usage.promptTokens).toBe(ids.length)
  })

  test('a seed reproduces it, another one does not', async () => {
    const run = (seed: number) => model.generate('Once', { seed, temperature: 1.5, maxTokens: 40 })
    const [one, again, other] = [await run(7), await run(7), await run(8)]
    expect(again.tokens).toEqual(one.tokens)
    expect(other.tokens).not.toEqual(one.tokens)
  })

  test('several at once give what each gives alone', async () => {
    const prompts = ['Once upon a time', 'The cat', 'One day', 'Who are you?', 'My friend Pip is']
    const options = (seed: number) => ({ seed, temperature: 1, maxTokens: 30 })
    const alone = []
    for (const [i, prompt] of prompts.entries())
      alone.push(await model.generate(prompt, options(i)))
    const together = await Promise.all(
      prompts.map((prompt, i) => model.generate(prompt, options(i)))
    )
    expect(together.map(({ tokens }) => tokens)).toEqual(alone.map(({ tokens }) => tokens))
  })

  test('ends at a stop text that spans tokens, and leaves it out', async () => {
    const { text } = await model.generate('Once upon a time', { ...greedy, maxTokens: 60 })
    const stop = text.slice(20, 33) // from the middle of a word to the middle of another
    const stopped = await model.generate('Once upon a time', { ...greedy, maxTokens: 60, stop })
    expect(stopped.text).toBe(text.slice(0, text.indexOf(stop)))
    expect(stopped.finishReason).toBe('stop')
    const streamed: string[] = []
    const generation = model.generate('Once upon a time', { ...greedy, maxTokens: 60, stop })
    for await (const part of generation.textStream) streamed.push(part)
    expect(streamed.join('')).toBe(stopped.text)
  })

  test('logitBias bans and forces tokens', async () => {
    const free = await model.generate('Once upon a time', greedy)
    const first = free.tokens[0] as number
    const banned = await model.generate('Once upon a time', {
      ...greedy,
      logitBias: { [first]: -Infinity }
    })
    expect(banned.tokens).not.toContain(first)
    const forced = await model.generate('Once', { ...greedy, logitBias: new Map([[500, 10_000]]) })
    expect(new Set(forced.tokens)).toEqual(new Set([500]))
  })

  test('control tokens in a text of a user are text', async () => {
    const { usage } = await model.generate('</s></s></s>', { maxTokens: 1 })
    expect(usage.promptTokens).toBeGreaterThan(6)
    const messages = [{ role: 'user', content: '</s>' }] as const
    expect((await model.generate(messages, { maxTokens: 1 })).usage.promptTokens).toBeGreaterThan(
      10
    )
  })
})

describe('aborting', () => {
  test('before', async () => {
    const generation = model.generate('Once', { signal: AbortSignal.abort() })
    await expect(generation).rejects.toMatchObject({ name: 'AbortError' })
  })

  test('during, and the next request works', async () => {
    const abort = new AbortController()
    const generation = model.generate('Once upon a time', { signal: abort.signal })
    let chunks = 0
    const reading = (async () => {
      for await (const _ of generation) if (++chunks === 3) abort.abort()
    })()
    await expect(reading).rejects.toMatchObject({ name: 'AbortError' })
    await expect(generation).rejects.toMatchObject({ name: 'AbortError' })
    expect((await model.generate('Once', greedy)).tokens).toHaveLength(24)
  })

  test('after', async () => {
    const abort = new AbortController()
    const generation = model.generate('Once', { ...greedy, signal: abort.signal })
    await generation
    abort.abort()
    expect((await generation).finishReason).toBe('length')
  })

  test('by a deadline gives its TimeoutError', async () => {
    const busy = Array.from({ length: 3 }, () =>
      model.generate('Once', { signal: AbortSignal.timeout(5) })
    )
    for (const generation of busy) {
      await expect(generation).rejects.toMatchObject({ name: 'TimeoutError' })
    }
  })

  test('cancel() keeps the text so far; leaving the loop cancels', async () => {
    const generation = model.generate('Once upon a time')
    let first = ''
    for await (const { text } of generation) {
      first = text
      break
    }
    const { text, finishReason, usage } = await generation
    expect(text.startsWith(first)).toBe(true)
    expect(finishReason).toBe('abort')
    expect(usage.completionTokens).toBeLessThan(400)
  })
})

describe('what does not fit', () => {
  test('a prompt past the context is refused with both numbers', async () => {
    const generation = model.generate('word '.repeat(2000))
    await expect(generation).rejects.toMatchObject({
      code: 'ERR_CRIA_CONTEXT_OVERFLOW',
      message: expect.stringMatching(/\d+.*512/)
    })
    await expect(model.generate(Array(512).fill(5))).rejects.toMatchObject({
      code: 'ERR_CRIA_CONTEXT_OVERFLOW'
    })
    await expect(model.generate('x'.repeat(5_000_000))).rejects.toMatchObject({
      code: 'ERR_CRIA_CONTEXT_OVERFLOW'
    })
  })

  test('a full context ends the text by length', async () => {
    await using small = await Cria.load(demo, { contextSize: 32 })
    expect(small.info.contextSize).toBe(32)
    const ban = { logitBias: { 2: -Infinity } }
    const { usage, finishReason } = await small.generate('Once upon a time', ban)
    expect(finishReason).toBe('length')
    expect(usage.promptTokens + usage.completionTokens).toBe(32)
  })

  test.each([
    [undefined, 'got undefined'],
    [null, 'got null'],
    [5, 'got 5'],
    [{ role: 'user', content: 'x' }, 'got an object'],
    [[], 'empty array'],
    [new Int32Array(), 'no token'],
    [[1.5], 'token 0'],
    [[1, -1], 'token 1'],
    [[1, 2048], 'token 1'],
    [[1, 'x'], 'token 1'],
    [[Number.NaN], 'token 0'],
    [['x'], 'message 0']
  ])('the prompt %j is refused', async (input, message) => {
    const generation = model.generate(input as unknown as string)
    await expect(generation).rejects.toMatchObject({ code: 'ERR_CRIA_BAD_ARGUMENT' })
    await expect(generation).rejects.toThrow(message)
  })

  test('wrong options reject, and never throw', async () => {
    const generation = model.generate('x', { temprature: 1 } as object)
    await expect(generation).rejects.toThrow('did you mean temperature?')
  })
})

describe('a conversation', () => {
  test('keeps its cache: the next turn costs only what is new, and changes nothing', async () => {
    using chat = model.session({ system: 'Answer in one sentence.' })
    const options = { temperature: 0, maxTokens: 40 }
    const first = await chat.send('Who are you?', options)
    expect(first.usage.cachedTokens).toBe(0)
    const second = await chat.send('What is the opposite of hot?', options)
    expect(second.usage.cachedTokens).toBeGreaterThan(first.usage.promptTokens / 2)
    const third = await chat.send('And of big?', options)
    expect(third.usage.cachedTokens).toBeGreaterThan(second.usage.cachedTokens)
    expect(third.usage.cachedTokens).toBeLessThan(third.usage.promptTokens)
    const fresh = await model.generate(chat.messages.slice(0, -1), {
      ...options,
      cacheKey: 'fresh'
    })
    expect(fresh.tokens).toEqual(third.tokens)
    expect(fresh.usage.cachedTokens).toBe(0)
  })

  test('goes on after an abort, and after a reset', async () => {
    using chat = model.session()
    const aborted = chat.send('Tell me a story.', { signal: AbortSignal.timeout(20) })
    await expect(aborted).rejects.toMatchObject({ name: 'TimeoutError' })
    const options = { temperature: 0 }
    const { text } = await chat.send('What is the opposite of hot?', options)
    chat.reset()
    expect((await chat.send('What is the opposite of hot?', options)).text).toBe(text)
    expect(chat.messages).toHaveLength(2)
  })

  test('past the context is an error, and the conversation stays', async () => {
    await using small = await Cria.load(demo, { contextSize: 64 })
    using chat = small.session()
    await chat.send('Who are you?', { maxTokens: 10 })
    const before = chat.messages
    await expect(chat.send('word '.repeat(100))).rejects.toMatchObject({
      code: 'ERR_CRIA_CONTEXT_OVERFLOW'
    })
    expect(chat.messages).toEqual(before)
    expect((await chat.send('Hi', { maxTokens: 4 })).usage.completionTokens).toBeGreaterThan(0)
  })
})

describe('loading', () => {
  test('by URL, by text of a URL, by path; nothing is the demo model', async () => {
    const url = pathToFileURL(demo)
    for (const source of [url, url.href, demo, undefined]) {
      await using loaded = await Cria.load(source, { contextSize: 32 })
      expect(loaded.info).toMatchObject({ name: 'Cria demo', contextSize: 32, vocabSize: 2048 })
    }
  })

  test('two models at once', async () => {
    await using other = await Cria.load(demo, { threads: 1, batchSize: 3 })
    expect(other.info).toMatchObject({ threads: 1, batchSize: 3 })
    const [one, two] = await Promise.all([
      model.generate('Once upon a time', greedy),
      other.generate('Once upon a time', greedy)
    ])
    expect(two.tokens).toEqual(one.tokens)
  })

  test('tells how far it is', async () => {
    const seen: { stage: string; loaded: number; total: number }[] = []
    await using _ = await Cria.load(demo, { onProgress: (progress) => seen.push(progress) })
    expect(seen.length).toBeGreaterThan(0)
    expect(seen.at(-1)?.loaded).toBe(seen.at(-1)?.total)
    for (const { stage, loaded, total } of seen) {
      expect(stage).toMatch(/\w/)
      expect(loaded).toBeLessThanOrEqual(total)
    }
  })

  test('an onProgress that throws ends the load with its error, and the next load works', async () => {
    const load = Cria.load(demo, {
      onProgress() {
        throw new Error('mine')
      }
    })
    await expect(load).rejects.toThrow('mine')
    await using again = await Cria.load(demo)
    expect(again.info.layers).toBe(6)
  })

  test('an aborted signal ends it, before and during', async () => {
    await expect(Cria.load(demo, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      name: 'AbortError'
    })
    const abort = new AbortController()
    const load = Cria.load(demo, { signal: abort.signal })
    abort.abort(new Error('my reason'))
    await expect(load).rejects.toThrow('my reason')
  })

  test('another chat template goes through the template engine, with the same answer', async () => {
    const path = patched(demo, 'loop_messages', 'turn_messages')
    await using other = await Cria.load(path)
    const messages = [{ role: 'user', content: 'Who are you?' }] as const
    const options = { temperature: 0, maxTokens: 40 }
    const [one, two] = await Promise.all([
      model.generate(messages, options),
      other.generate(messages, options)
    ])
    expect(two.tokens).toEqual(one.tokens)
    expect(two.usage).toEqual(one.usage)
    const wrong = other.generate([messages[0], messages[0]])
    await expect(wrong).rejects.toThrow('Conversation roles must alternate')
  })
})

describe('disposing', () => {
  test('while generations run: they reject, iterators too; later calls as well', async () => {
    const other = await Cria.load(demo)
    const chat = other.session()
    const endless = { logitBias: { [other.tokenizer.eosId as number]: -Infinity } }
    const running = [
      other.generate('Once', endless),
      other.generate('The', endless),
      chat.send('Hi', endless)
    ]
    const outcomes = running.map((generation) =>
      expect(generation).rejects.toMatchObject({ code: 'ERR_CRIA_DISPOSED' })
    )
    const chunks = other.generate('A', endless)[Symbol.asyncIterator]()
    await chunks.next()
    const reading = (async () => {
      while (!(await chunks.next()).done);
    })()
    const read = expect(reading).rejects.toMatchObject({ code: 'ERR_CRIA_DISPOSED' })
    await Promise.all([other.dispose(), other.dispose()])
    await Promise.all([...outcomes, read])
    await other.dispose()
    await expect(other.generate('x')).rejects.toMatchObject({ code: 'ERR_CRIA_DISPOSED' })
    await expect(chat.send('x')).rejects.toMatchObject({ code: 'ERR_CRIA_DISPOSED' })
    expect(() => other.session()).toThrow('disposed')
    expect(other.info.name).toBe('Cria demo')
    expect(other.tokenizer.encodeSync('a b')).toHaveLength(2)
    chat.dispose()
  })

  test('gives memory back, time after time', async () => {
    const round = async () => {
      await using other = await Cria.load(demo)
      await other.generate('Once', { maxTokens: 2 })
    }
    for (let i = 0; i < 5; i++) await round()
    const before = process.memoryUsage().rss
    for (let i = 0; i < 20; i++) await round()
    expect(process.memoryUsage().rss - before).toBeLessThan(40e6)
  })
})

test('an estimate is what the model then says', async () => {
  const options = { contextSize: 128, batchSize: 16 }
  const estimate = await Cria.estimate(demo, options)
  await using loaded = await Cria.load(demo, options)
  const { weightBytes, kvBytes, scratchBytes, contextSize } = loaded.info
  expect(estimate).toMatchObject({ weightBytes, kvBytes, scratchBytes, contextSize })
  expect(estimate.totalBytes).toBe(weightBytes + kvBytes + scratchBytes)
  expect(estimate.draftBytes).toBe(0)
  expect(estimate.availableBytes).toBeGreaterThan(1e6)
})

test('inspect reads the header', async () => {
  const inspection = await Cria.inspect()
  expect(inspection).toMatchObject({ version: 3, parts: 1, parameters: 5_246_208 })
  expect(inspection.metadata['general.architecture']).toBe('llama')
  expect(inspection.metadata['tokenizer.ggml.tokens']).toMatchObject({ length: 2048 })
  expect(inspection.tensors).toHaveLength(56)
  expect(inspection.tensors.find(({ name }) => name === 'token_embd.weight')).toMatchObject({
    type: 'Q8_0',
    shape: [256, 2048]
  })
})
