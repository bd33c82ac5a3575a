import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { Model } from '../../lib/index.js'
import { demoModel as demo } from '../../lib/source.js'
import { root } from './support/built.js'

const { SHAPES, writeRandomLlama } = await import(
  new URL('bench/support/random-llama.mjs', root).href
)
const folder = mkdtempSync(join(tmpdir(), 'cria-draft-'))
afterAll(() => rmSync(folder, { recursive: true }))

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

describe('a draft model', () => {
  const options = (temperature: number) => ({ maxTokens: 60, temperature, seed: 7 })
  const begin = 'Once upon a time there was'

  test('leaves the text as it is', async () => {
    // The demo model guesses what it will say itself: the best draft there is.
    await using model = await Model.load(demo, { draft: demo })
    await using plain = await Model.load()
    expect(model.info.draftBytes).toBeGreaterThan(model.info.weightBytes)
    for (const temperature of [0, 0.8]) {
      const want = await plain.generate(begin, options(temperature))
      const got = await model.generate(begin, options(temperature))
      expect(got.text).toBe(want.text)
      expect(got.tokens).toEqual(want.tokens)
    }
    const { guessed, accepted } = model.stats().tokens
    expect(guessed).toBeGreaterThanOrEqual(accepted)
  })

  test('chats, schemas and streams go on with it side by side', async () => {
    await using model = await Model.load(demo, { draft: pathToFileURL(demo), sequences: 4 })
    await using plain = await Model.load(demo, { sequences: 4 })
    const schema = { type: 'object', properties: { name: { type: 'string', maxLength: 12 } } }
    const run = (one: Model) =>
      Promise.all(
        [0, 1, 2, 3, 4, 5].map(async (i) => {
          const more = i % 2 ? { schema } : { banned: ['the'] }
          return (await one.generate(`${begin} ${i}`, { ...options(i / 5), ...more })).text
        })
      )
    expect(await run(model)).toEqual(await run(plain))
    const session = model.session()
    const other = plain.session()
    for (const message of ['Hello!', 'And then?']) {
      const { text } = await session.send(message, options(0))
      expect(text).toBe((await other.send(message, options(0))).text)
    }
  })

  test('is counted by the estimate', async () => {
    const sizes = { contextSize: 128 }
    const alone = await Model.estimate(demo, sizes)
    const both = await Model.estimate(demo, { ...sizes, draft: demo })
    expect(both.draftBytes).toBeGreaterThan(0)
    expect(both.totalBytes).toBe(alone.totalBytes + both.draftBytes)
  })

  test('of another vocabulary is refused, and a file that is none', async () => {
    const refusal = (draft: string) =>
      Model.load(demo, { draft }).then(
        () => 'loaded',
        (error) => `${error.code}: ${error.message}`
      )
    const other = join(folder, 'other.gguf')
    writeRandomLlama(other, { shape: SHAPES.tiny, type: 'q8_0', name: 'other' })
    expect(await refusal(other)).toMatch(
      /ERR_CRIA_BAD_ARGUMENT: draft: expected a model of the same vocabulary, but it has 512 tokens/
    )
    expect(await refusal('missing.gguf')).toMatch(/ERR_CRIA_FILE: .*missing\.gguf/)
    expect(await refusal('')).toMatch(/ERR_CRIA_BAD_ARGUMENT/)
    expect(await refusal(7 as never)).toMatch(/ERR_CRIA_BAD_ARGUMENT: load options: draft/)
  })
})
