/** The options of the samplers, log-probabilities, banned texts and samples, on the demo model. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CriaError, Model } from '../../lib/index.js'
import { checkGenerate } from '../../lib/options.js'
import { sampleSeed } from '../../lib/samples.js'
import { samplerNames } from '../../lib/sampling.js'

let model: Model
beforeAll(async () => {
  model = await Model.load()
})
afterAll(() => model.dispose())

const refusal = (call: () => unknown): string => {
  try {
    call()
  } catch (error) {
    expect(error).toBeInstanceOf(CriaError)
    expect((error as CriaError).code).toBe('ERR_CRIA_BAD_ARGUMENT')
    return (error as CriaError).message
  }
  throw new Error('nothing was refused')
}

describe('options', () => {
  test.each([
    ['dryMultiplier', 0, 100],
    ['dryBase', 1, 100],
    ['topNSigma', 0, 100],
    ['xtcProbability', 0, 1],
    ['xtcThreshold', 0, 1],
    ['dynamicTemperatureRange', 0, 100],
    ['dynamicTemperatureExponent', 0, 100],
    ['mirostat', 0, 2],
    ['mirostatTau', 1e-6, 100],
    ['mirostatEta', 1e-6, 1],
    ['logprobs', 0, 20]
  ])('%s from %d to %d', (name, min, max) => {
    for (const value of [min, max]) checkGenerate({ [name]: value })
    for (const value of [min - 1, max + 1, Number.NaN, '1', null]) {
      expect(refusal(() => checkGenerate({ [name]: value }))).toContain(name)
    }
  })

  test('the order of the samplers', () => {
    expect(checkGenerate({}).samplers).toEqual(samplerNames)
    expect(checkGenerate({ samplers: ['topK'] }).samplers).toEqual(['topK'])
    expect(refusal(() => checkGenerate({ samplers: ['topk'] }))).toContain('did you mean topK?')
    expect(refusal(() => checkGenerate({ samplers: ['topK', 'topK'] }))).toContain('twice')
    refusal(() => checkGenerate({ samplers: 'topK' }))
  })

  test('texts', () => {
    expect(checkGenerate({ banned: 'a' }).banned).toEqual(['a'])
    for (const bad of [[''], 1, Array(65).fill('a')]) refusal(() => checkGenerate({ banned: bad }))
    for (const bad of [[''], 'a']) refusal(() => checkGenerate({ dryBreakers: bad }))
  })
})

const chains = [
  { dryMultiplier: 0.8 },
  { xtcProbability: 0.5 },
  { topNSigma: 1 },
  { mirostat: 1 as const },
  { mirostat: 2 as const, mirostatTau: 3 },
  { dynamicTemperatureRange: 0.5 },
  { samplers: ['temperature', 'minP', 'topK'] as const },
  { banned: ['the', ','] }
]

test.each(chains)('a seed reproduces in any batch with %j', async (chain) => {
  const ask = (seed: number) =>
    model.generate('Once upon a time', { ...chain, seed, maxTokens: 30 })
  const alone = await ask(5)
  const together = await Promise.all([1, 2, 3, 4, 5, 6].map(ask))
  expect(together[4]?.text).toBe(alone.text)
  expect(new Set(together.map(({ text }) => text)).size).toBeGreaterThan(1)
})

test('log-probabilities of every token, in chunks and result', async () => {
  const options = { temperature: 0, maxTokens: 12, logprobs: 3 }
  const generation = model.generate('Once upon a time', options)
  const chunks = []
  for await (const { tokens, logprobs = [] } of generation) {
    expect(logprobs.map(({ id }) => id)).toEqual(tokens)
    chunks.push(...logprobs)
  }
  const { tokens, logprobs = [] } = await generation
  expect(logprobs).toEqual(chunks)
  expect(logprobs.map(({ id }) => id)).toEqual(tokens)
  for (const { id, logprob, top } of logprobs) {
    expect(top).toHaveLength(3)
    expect(top[0]).toEqual({ id, logprob }) // greedy
  }
  const prompt = await model.tokenizer.encode('Once upon a time', { bos: true })
  const score = await model.score([...prompt, ...tokens], { from: prompt.length })
  for (const [i, value] of score.logprobs.entries()) {
    expect(logprobs[i]?.logprob).toBeCloseTo(value, 4)
  }
  expect(await model.generate('Once', { maxTokens: 2 })).not.toHaveProperty('logprobs')
})

test('a banned text never comes, streamed or not', async () => {
  const free = await model.generate('Once upon a time', { temperature: 0, maxTokens: 40 })
  const banned = [free.text.slice(2, 8), 'garden', 'little', '.']
  const generation = model.generate('Once upon a time', { temperature: 0, maxTokens: 40, banned })
  let text = ''
  for await (const piece of generation.textStream) text += piece
  const result = await generation
  expect(result.text).toBe(text)
  expect(result.text).not.toBe(free.text)
  for (const one of banned) expect(text).not.toContain(one)
  expect(result.tokens).toHaveLength(result.usage.completionTokens)
  expect(model.tokenizer.decode(result.tokens).trim()).toBe(text.trim())
})

describe('samples', () => {
  test('are those of their seeds, and share the prompt', async () => {
    const options = { seed: 7, maxTokens: 20, temperature: 1 }
    const many = model.generateMany('Once upon a time, in a land', { ...options, n: 5 })
    expect(many.length).toBe(5)
    const { samples, best, scores } = await many
    expect(best ?? scores).toBeUndefined()
    for (const [i, { text }] of samples.entries()) {
      const seed = sampleSeed(7n, i)
      const one = await model.generate('Once upon a time, in a land', { ...options, seed })
      expect(text).toBe(one.text)
    }
    const computed = samples.map(({ usage }) => usage.promptTokens - usage.cachedTokens)
    expect(computed.slice(1)).toEqual([1, 1, 1, 1])
  })

  test('the best is judged by its log-probabilities', async () => {
    for (const judge of ['sum', 'mean'] as const) {
      const many = model.generateMany('Once', { seed: 1, n: 6, maxTokens: 15, best: judge })
      const { samples, best, scores = [] } = await many
      const expected = samples.map(({ logprobs = [] }) => {
        const sum = logprobs.reduce((total, { logprob }) => total + logprob, 0)
        return judge === 'sum' ? sum : sum / logprobs.length
      })
      expect(scores).toEqual(expected)
      expect(best).toBe(samples[expected.indexOf(Math.max(...expected))])
    }
  })

  test('each can be iterated and cancelled; errors reject', async () => {
    const many = model.generateMany('Once', { n: 3, maxTokens: 200 })
    const [first, second] = [...many]
    second?.cancel()
    let text = ''
    for await (const piece of first?.textStream ?? []) text += piece
    const { samples } = await many
    expect(samples[0]?.text).toBe(text)
    expect(samples[1]?.finishReason).toBe('abort')
    refusal(() => model.generateMany('Once', { n: 0 }))
    refusal(() => model.generateMany('Once', { best: 'most' as 'sum' }))
    await expect(model.generateMany('Once', { n: 2, topK: -1 })).rejects.toThrow('topK')
  })

  test('seeds are MurmurHash3 finalized', () => {
    expect(sampleSeed(5n, 0)).toBe(5n)
    expect(sampleSeed(0n, 1)).toBe(0xb456bcfc34c2cb2cn) // fmix64(1)
    const seeds = [0n, 1n, 2n].flatMap((seed) => [0, 1, 2].map((i) => sampleSeed(seed, i)))
    expect(new Set(seeds).size).toBe(9)
  })
})
