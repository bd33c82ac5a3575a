/** A real trained model continues exactly as its reference text, whatever computes it and how. */
import { readFileSync } from 'node:fs'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { cria, shared, stories, tables } from './support/built.js'

const golden = shared('models/stories260k.greedy.txt')
const prompt = 'Once upon a time'

afterEach(() => vi.unstubAllEnvs())

describe.skipIf(stories.missing)('stories260K, greedy (skipped where ../shared is absent)', () => {
  test('the file asks for less than 200 tokens', () => {
    expect(readFileSync(golden.path, 'utf8').startsWith(prompt)).toBe(true)
  })

  describe.each([...new Set(tables)])('with %s kernels', (table) => {
    test.each([
      [1, 1],
      [1, 7],
      [1, undefined],
      [2, 1],
      [2, 7],
      [2, undefined]
    ])('on %i threads, prompt in chunks of %s', async (threads, batchSize) => {
      vi.stubEnv('CRIA_CPU', table)
      await using model = await cria.Model.load(stories.path, { threads, batchSize })
      expect(model.info.kernels).toContain(table)
      expect(model.info.threads).toBe(threads)
      const { text, usage } = await model.generate(prompt, { temperature: 0, maxTokens: 200 })
      const expected = readFileSync(golden.path, 'utf8').replace(/\n$/, '')
      expect((prompt + text).slice(0, expected.length)).toBe(expected)
      expect(usage).toEqual({ promptTokens: 5, cachedTokens: 0, completionTokens: 200 })
    })
  })

  test('the same by token ids, and with a longer prompt', async () => {
    await using model = await cria.Model.load(stories.path)
    const expected = readFileSync(golden.path, 'utf8').replace(/\n$/, '')
    const half = expected.slice(0, expected.indexOf(' ', 180)) // a whole word
    const ids = await model.tokenizer.encode(half, { bos: true })
    const { text } = await model.generate(ids, { temperature: 0, maxTokens: 40 })
    expect(text.length).toBeGreaterThan(40)
    expect(expected.slice(half.length, half.length + text.length)).toBe(text)
  })
})
