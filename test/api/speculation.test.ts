import { expect, test } from 'vitest'
import { Model } from '../../lib/index.js'

const line = 'The quick brown fox tells a long story to the small red bird. '
const prompt = line.repeat(6) + line.slice(0, 20)

test('the text is the same with and without guesses, at any temperature', async () => {
  await using model = await Model.load()
  let accepted = 0
  let guessed = 0
  for (const temperature of [0, 0.5, 1]) {
    for (const seed of [1, 2]) {
      const options = { maxTokens: 60, temperature, seed, logprobs: 1 }
      const plain = await model.generate(prompt, { ...options, speculation: 'off' })
      const fast = await model.generate(prompt, options)
      expect(fast.text).toBe(plain.text)
      expect(fast.tokens).toEqual(plain.tokens)
      expect(fast.logprobs).toEqual(plain.logprobs)
      expect(plain.timings).toMatchObject({ guessedTokens: 0, acceptedTokens: 0 })
      expect(fast.timings.acceptedTokens).toBeLessThanOrEqual(fast.timings.guessedTokens)
      accepted += fast.timings.acceptedTokens
      guessed += fast.timings.guessedTokens
    }
  }
  expect(accepted).toBeGreaterThan(0)
  expect(model.stats().tokens).toMatchObject({ guessed, accepted })
})

test('schemas, streams with and without guesses, and aborts share a batch', async () => {
  await using model = await Model.load()
  const schema = { type: 'array', items: { enum: ['red', 'green'] }, minItems: 4, maxItems: 6 }
  const kinds = [
    { maxTokens: 50 },
    { maxTokens: 50, speculation: 'off' as const },
    { maxTokens: 80, schema },
    { maxTokens: 50, banned: ['the', 'a'] }
  ]
  const options = (i: number) => ({ ...kinds[i % 4], temperature: 0.4 * (i % 3), seed: i })
  const want: string[] = []
  for (let i = 0; i < 12; i++) {
    want.push((await model.generate(prompt, { ...options(i), speculation: 'off' })).text)
  }
  const running = want.map((_, i) => model.generate(prompt, options(i)))
  const stray = want.map((_, i) => {
    const abort = new AbortController()
    setTimeout(() => abort.abort(), i)
    return model.generate(prompt, { ...options(i), signal: abort.signal }).then(
      () => {},
      () => {}
    )
  })
  expect(await Promise.all(running.map(async (one) => (await one).text))).toEqual(want)
  await Promise.all(stray)
})

test('a wrong value is refused', async () => {
  await using model = await Model.load()
  await expect(
    model.generate('x', { speculation: 'ahead' as 'off' }).then(() => {})
  ).rejects.toMatchObject({ code: 'ERR_CRIA_BAD_ARGUMENT', message: /speculation/ })
})
