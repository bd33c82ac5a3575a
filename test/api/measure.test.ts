/** Embeddings and scores of the demo model. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { Model } from '../../lib/index.js'
import { cria } from './support/built.js'
import { script } from './support/script.js'

const story = 'Once upon a time there was a small dog. The dog liked to run in the garden.'

let model: Model
beforeAll(async () => {
  model = await cria.Model.load(undefined, { sequences: 4 })
})
afterAll(() => model.dispose())

const dot = (a: Float32Array, b: Float32Array) =>
  a.reduce((sum, value, i) => sum + value * (b[i] as number), 0)
const withCode = (code: string) => expect.objectContaining({ code: `ERR_CRIA_${code}` })

/** Generations that keep the engine busy until the test ends. */
function busy(): void {
  const running = ['Once', 'One day', 'A small'].map((text) =>
    model.generate(text, { logitBias: { 2: -Infinity } })
  )
  onTestFinished(() => {
    for (const generation of running) generation.cancel()
  })
}

describe('embed', () => {
  test('one text gives one embedding of length 1, several give several in order', async () => {
    const one = await model.embed(story)
    expect(one).toBeInstanceOf(Float32Array)
    expect(one).toHaveLength(model.info.width)
    expect(dot(one, one)).toBeCloseTo(1, 5)
    const texts = Array.from({ length: 70 }, (_, i) => `${story} ${i}`)
    const many = await model.embed([...texts, story])
    expect(many).toHaveLength(71)
    expect(many.at(-1)).toEqual(one)
    expect(many[33]).toEqual(await model.embed(texts[33] as string))
    expect(await model.embed([])).toEqual([])
  })

  test('more texts than the queue takes', async () => {
    await using small = await cria.Model.load(undefined, { contextSize: 64, maxQueue: 1 })
    const texts = Array.from({ length: 40 }, (_, i) => `${i} ${story}`)
    const many = await small.embed(texts)
    expect(many).toHaveLength(40)
    expect(many[39]).toEqual(await model.embed(texts[39] as string))
  })

  test('texts of one meaning are nearer than others', async () => {
    const [dog, puppy, sum] = (await model.embed([
      'The small dog ran in the garden.',
      'The little dog played in the garden.',
      'What is two plus two?'
    ])) as [Float32Array, Float32Array, Float32Array]
    expect(dot(dog, puppy)).toBeGreaterThan(dot(dog, sum))
  })

  test('pooling and length', async () => {
    const [mean, last, raw] = await Promise.all([
      model.embed(story),
      model.embed(story, { pooling: 'last' }),
      model.embed(story, { normalize: false })
    ])
    expect(last).not.toEqual(mean)
    expect(dot(last, last)).toBeCloseTo(1, 5)
    expect(dot(raw, raw)).not.toBeCloseTo(1, 1)
    expect(dot(raw, mean) / Math.sqrt(dot(raw, raw))).toBeCloseTo(1, 5)
  })

  test('ids are taken as they are; a text begins with the beginning-of-text token', async () => {
    const ids = await model.tokenizer.encode(story, { bos: true })
    const [byText, byIds, byArray] = await model.embed([story, ids, Int32Array.from(ids)])
    expect(byIds).toEqual(byText)
    expect(byArray).toEqual(byText)
    expect(await model.embed('')).toEqual((await model.embed([[1]]))[0])
  })

  test('what else runs leaves no trace in the bits', async () => {
    const alone = [await model.embed(story), await model.embed(story, { pooling: 'last' })]
    busy()
    const among = await Promise.all([model.embed(story), model.embed(story, { pooling: 'last' })])
    expect(among).toEqual(alone)
  })

  test('wrong arguments are named', async () => {
    const wrong = (input: unknown, options?: object) =>
      expect(model.embed(input as string, options)).rejects.toThrow(withCode('BAD_ARGUMENT'))
    await wrong(5)
    await wrong(undefined)
    await wrong([5, 6]) // ids of one text go into an array of texts
    await wrong([[]])
    await wrong([[1, 5000]])
    await wrong('a', { pooling: 'max' })
    await wrong('a', { normalise: true })
    await wrong('a', { signal: 3 })
    await expect(model.embed('a', { pooling: 'mean', normalise: 1 } as object)).rejects.toThrow(
      'did you mean normalize?'
    )
  })

  test('one text that does not fit fails the call, and the next one works', async () => {
    const long = 'word '.repeat(600)
    await expect(model.embed([story, long, story])).rejects.toThrow(withCode('CONTEXT_OVERFLOW'))
    await expect(model.embed('x'.repeat(1e6))).rejects.toThrow(withCode('CONTEXT_OVERFLOW'))
    expect(await model.embed(story)).toHaveLength(model.info.width)
  })
})

describe('score', () => {
  test('gives the logarithm of each token’s probability', async () => {
    const { tokens, from, logprobs } = await model.score(story)
    expect(tokens).toEqual(await model.tokenizer.encode(story, { bos: true }))
    expect(from).toBe(1)
    expect(logprobs).toHaveLength(tokens.length - 1)
    for (const value of logprobs) expect(value).toBeLessThan(0)
    const mean = (values: Float32Array) => values.reduce((a, b) => a + b, 0) / values.length
    const { logprobs: noise } = await model.score('garden plus Once who the dog dog was a two')
    expect(mean(logprobs)).toBeGreaterThan(mean(noise))
  })

  test('the likeliest token is what a greedy generation takes', async () => {
    const prompt = await model.tokenizer.encode('Once upon a time', { bos: true })
    const greedy = await model.generate(prompt, { temperature: 0, maxTokens: 5 })
    const scored = async (ids: number[]) =>
      (await model.score(ids, { from: ids.length - 1 })).logprobs[0] as number
    const best = await scored([...prompt, greedy.tokens[0] as number])
    const others = await Promise.all([10, 300, 700, 1500].map((id) => scored([...prompt, id])))
    for (const other of others) expect(best).toBeGreaterThan(other)
  })

  test('the probabilities of all tokens sum to 1', async () => {
    const prompt = [1, ...(await model.tokenizer.encode('One day'))]
    const all = Array.from({ length: model.info.vocabSize }, (_, id) => id)
    const each = await Promise.all(
      all.map((id) => model.score([...prompt, id], { from: prompt.length }))
    )
    const sum = each.reduce((total, { logprobs }) => total + Math.exp(logprobs[0] as number), 0)
    expect(sum).toBeCloseTo(1, 5)
  })

  test('from scores the rest alone, with the same bits', async () => {
    const whole = await model.score(story)
    const rest = await model.score(whole.tokens, { from: 9 })
    expect(rest.logprobs).toEqual(whole.logprobs.slice(8))
    expect((await model.score([1])).logprobs).toHaveLength(0)
    await expect(model.score([1, 2], { from: 3 })).rejects.toThrow(withCode('BAD_ARGUMENT'))
    await expect(model.score([1, 2], { from: 0 })).rejects.toThrow(withCode('BAD_ARGUMENT'))
    await expect(model.score(7 as never)).rejects.toThrow(withCode('BAD_ARGUMENT'))
  })

  test('as long as the context, and the same among generations', async () => {
    const ids = Array.from({ length: model.info.contextSize }, (_, i) => 3 + ((i * 37) % 1900))
    const alone = await model.score(ids)
    expect(alone.logprobs).toHaveLength(ids.length - 1)
    busy()
    expect(await model.score(ids)).toEqual(alone)
    await expect(model.score([...ids, 3])).rejects.toThrow(withCode('CONTEXT_OVERFLOW'))
  })
})

test('an aborted signal ends them with its reason, and leaves nothing behind', async () => {
  const reason = new Error('enough')
  await expect(model.score(story, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  const abort = new AbortController()
  const texts = Array.from({ length: 200 }, (_, i) => `${story} ${i}`)
  const embedding = model.embed(texts, { signal: abort.signal })
  const scoring = model.score(story, { signal: abort.signal })
  abort.abort(reason)
  await expect(embedding).rejects.toBe(reason)
  await expect(scoring).rejects.toBe(reason)
  expect(await model.embed(story)).toHaveLength(model.info.width)
  const { requests, pages } = model.stats()
  expect(requests).toMatchObject({ running: 0, queued: 0 })
  expect(pages.used).toBe(0)
})

test('disposing rejects them', async () => {
  const other = await cria.Model.load()
  const texts = Array.from({ length: 100 }, () => story)
  const ended = Promise.allSettled([other.embed(texts), other.score(story)])
  await other.dispose()
  for (const result of await ended) {
    expect(result).toMatchObject({ status: 'rejected', reason: withCode('DISPOSED') })
  }
  await expect(other.embed('a')).rejects.toThrow(withCode('DISPOSED'))
})

test('they are requests like others on the channels', async () => {
  const kinds: unknown[] = []
  const hear = (message: unknown) => kinds.push((message as { kind: string }).kind)
  for (const name of ['start', 'end']) subscribe(`cria:request:${name}`, hear)
  onTestFinished(() => {
    for (const name of ['start', 'end']) unsubscribe(`cria:request:${name}`, hear)
  })
  await model.embed('a')
  await model.score('a')
  expect(kinds).toEqual(['embed', 'embed', 'score', 'score'])
})

test('many at once warn of nothing and keep the process alive until they end', async () => {
  const out = await script(`
    process.on('warning', (warning) => console.log(warning.message))
    const model = await Model.load()
    const signal = new AbortController().signal
    model.embed(Array(100).fill('Once upon a time'), { signal }).then((all) => console.log(all.length))
  `)
  expect(out).toBe('100\n')
})
