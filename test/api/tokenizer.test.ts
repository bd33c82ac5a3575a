/** Text to ids and back, and the event loop meanwhile. */
import { readFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Tokenizer } from '../../lib/index.js'
import { cria, demo, llama2Vocab, shared } from './support/built.js'

let tokenizer: Tokenizer
beforeAll(async () => {
  tokenizer = await cria.Tokenizer.load(demo)
})

test('what the vocabulary is', () => {
  expect(tokenizer).toMatchObject({ vocabSize: 2048, bosId: 1, eosId: 2 })
  expect(tokenizer.pieceOf(1)).toBe('<s>')
  expect(tokenizer.idOf('</s>')).toBe(2)
  expect(tokenizer.idOf('no such piece')).toBeNull()
})

test('bos and special count only when asked', async () => {
  const plain = await tokenizer.encode('a</s>')
  expect(plain).not.toContain(2)
  expect(await tokenizer.encode('a</s>', { special: true })).toContain(2)
  expect(await tokenizer.encode('a', { bos: true })).toEqual([1, ...(await tokenizer.encode('a'))])
  expect(tokenizer.encodeSync('a</s>')).toEqual(plain)
  expect(await tokenizer.encode('')).toEqual([])
})

test('any text comes back, whole and in pieces', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 60 }), async (text) => {
      const ids = await tokenizer.encode(text)
      expect(tokenizer.decode(ids)).toBe(text)
      const decoder = tokenizer.decoder()
      const parts = ids.map((id) => decoder.push(id))
      expect(parts.join('') + decoder.flush()).toBe(text)
      for (const part of parts) expect(Buffer.from(part).toString()).toBe(part) // whole code points
    }),
    { seed: 1, numRuns: 200 }
  )
})

test('decode leaves control tokens out unless asked', () => {
  const ids = tokenizer.encodeSync('hi', { bos: true })
  expect(tokenizer.decode(ids)).toBe('hi')
  expect(tokenizer.decode([...ids, 2], { special: true })).toContain('</s>')
  expect(tokenizer.decode([])).toBe('')
  expect(tokenizer.decode(new Set(ids))).toBe('hi')
})

describe('refuses', () => {
  const bad = (value: unknown) => value as never

  test.each([undefined, null, 5, ['a'], {}])('the text %j', async (text) => {
    await expect(tokenizer.encode(bad(text))).rejects.toMatchObject({
      code: 'ERR_CRIA_BAD_ARGUMENT'
    })
    expect(() => tokenizer.encodeSync(bad(text))).toThrow('expected a text')
  })

  test.each([[[-1]], [[2048]], [[1.5]], [['1']], [[Number.NaN]], [2], [null], ['12']])(
    'the ids %j',
    (ids) => {
      expect(() => tokenizer.decode(bad(ids))).toThrow(/token/)
      if (Array.isArray(ids)) expect(() => tokenizer.pieceOf(bad(ids[0]))).toThrow('token 0')
    }
  )

  test('long text in encodeSync, wrong options', async () => {
    expect(() => tokenizer.encodeSync('x'.repeat(8193))).toThrow('use encode')
    await expect(tokenizer.encode('x', bad({ Bos: true, b: 1 }))).rejects.toThrow('no option')
    await expect(tokenizer.encode('x', bad({ bos: 1 }))).rejects.toThrow('true or false')
    expect(() => tokenizer.idOf(bad(1))).toThrow('expected a text')
  })
})

test('the event loop goes on while a megabyte is encoded', async () => {
  const text = 'The quick brown fox, once upon a time, jumped. '.repeat(22_000)
  expect(text.length).toBeGreaterThan(1e6)
  await tokenizer.encode(text.slice(0, 10_000))
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  await sleep(20)
  delay.reset()
  const ids = await tokenizer.encode(text)
  delay.disable()
  expect(ids.length).toBeGreaterThan(100_000)
  // On a busy machine the system takes its share; what must not be seen is the whole encoding.
  expect(delay.max / 1e6).toBeLessThan(200)
  expect(tokenizer.decode(ids)).toBe(text)
})

const vectors = shared('vocab/llama2-spm.inp')
describe.skipIf(vectors.missing)(
  'the Llama 2 vocabulary (skipped where ../shared is absent)',
  () => {
    test('gives the published ids for all 46 texts', async () => {
      const llama2 = await cria.Tokenizer.load(llama2Vocab.path)
      const texts = readFileSync(vectors.path, 'utf8').split('\n__ggml_vocab_test__\n').slice(0, 46)
      const lines = readFileSync(vectors.path.replace(/inp$/, 'out'), 'utf8').split('\n')
      const expected = lines
        .slice(0, texts.length)
        .map((line) => line.trim().split(/\s+/).filter(Boolean).map(Number))
      expect(texts).toHaveLength(46)
      for (const [i, text] of texts.entries()) {
        expect(await llama2.encode(text), JSON.stringify(text)).toEqual(expected[i])
        expect(llama2.decode(expected[i] ?? [])).toBe(text)
      }
    })
  }
)
