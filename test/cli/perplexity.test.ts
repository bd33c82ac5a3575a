/** `cria perplexity`: its windows, its arithmetic, and what it refuses. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { windows } from '../../lib/cli/perplexity.js'
import { cria as api } from '../api/support/built.js'
import { tempFile } from '../api/support/gguf.js'
import { cria } from './support.js'

const story =
  `Once upon a time, in the garden, there lived a shy girl. Every day she sang a small song.
One day a dog came into the garden. The dog was happy, and the girl was happy, too. `.repeat(6)

describe('windows', () => {
  test('overlap as the stride says', () => {
    expect(windows(10, 4, 2)).toEqual([
      { begin: 0, end: 4, from: 0 },
      { begin: 2, end: 6, from: 4 },
      { begin: 4, end: 8, from: 6 },
      { begin: 6, end: 10, from: 8 }
    ])
    expect(windows(3, 4, 2)).toEqual([{ begin: 0, end: 3, from: 0 }])
    expect(windows(0, 4, 2)).toEqual([])
  })

  test('score every token once, with enough before it', () => {
    const sizes = fc.record({
      total: fc.integer({ min: 1, max: 500 }),
      size: fc.integer({ min: 1, max: 60 }),
      part: fc.double({ min: 0, max: 1, noNaN: true })
    })
    fc.assert(
      fc.property(sizes, ({ total, size, part }) => {
        const stride = 1 + Math.floor(part * (size - 1))
        let next = 0
        for (const { begin, end, from } of windows(total, size, stride)) {
          expect(from).toBe(next)
          expect(end).toBeGreaterThan(from)
          expect(end - begin).toBeLessThanOrEqual(size)
          expect(from - begin).toBeGreaterThanOrEqual(from === 0 ? 0 : size - stride)
          next = end
        }
        expect(next).toBe(total)
      })
    )
  })
})

test('is the exponential of the mean surprise of every token', async () => {
  const file = tempFile('story.txt', story)
  const args = ['perplexity', file, '-c', '64', '--stride', '20']
  const [plain, json] = await Promise.all([cria(args), cria([...args, '--json', '-q'])])
  const report = JSON.parse(json.stdout)

  await using model = await api.Model.load(undefined, { contextSize: 64 })
  const ids = await model.tokenizer.encode(story)
  let surprise = 0
  for (const { begin, end, from } of windows(ids.length, 63, 20)) {
    const options = { from: 1 + from - begin }
    const { logprobs } = await model.score([1, ...ids.slice(begin, end)], options)
    for (const logprob of logprobs) surprise -= logprob
  }
  const perplexity = Math.exp(surprise / ids.length)
  expect(report).toMatchObject({
    model: 'Cria demo',
    file,
    tokens: ids.length,
    context: 64,
    stride: 20,
    windows: windows(ids.length, 63, 20).length
  })
  expect(report.perplexity).toBeCloseTo(perplexity, 8)
  expect(report.bitsPerByte).toBeCloseTo(surprise / Math.LN2 / Buffer.byteLength(story), 8)
  expect(report.error).toBeGreaterThan(0)
  expect(json.stderr).toBe('')

  expect(plain.code).toBe(0)
  expect(plain.stdout).toContain(`perplexity ${perplexity.toFixed(4)} ±`)
  expect(plain.stdout).toContain(`(${ids.length} tokens, context 64, stride 20)`)
  const running = plain.stderr.split('\n').filter((line) => line.startsWith('window '))
  expect(running).toHaveLength(report.windows)
  expect(running.at(-1)).toContain(`perplexity ${perplexity.toFixed(4)} (${ids.length} tokens)`)
})

test('of standard input, in one window', async () => {
  const { code, stdout, stderr } = await cria(['perplexity', '-'], { input: 'One day.' })
  expect(code).toBe(0)
  expect(stdout).toMatch(
    /^perplexity [\d.]+ ± [\d.]+, [\d.]+ bits a byte \(\d+ tokens, context 512/
  )
  expect(stderr).not.toContain('window')
})

test('what is wrong is one line', async () => {
  const file = tempFile('story.txt', story)
  const [none, missing, empty, stride, small] = await Promise.all([
    cria(['perplexity']),
    cria(['perplexity', 'nowhere.txt']),
    cria(['perplexity', '-']),
    cria(['perplexity', file, '--stride', '512']),
    cria(['perplexity', file, '-c', '1'])
  ])
  expect(none.stderr).toContain('perplexity needs a FILE')
  expect(missing).toMatchObject({ code: 1, stderr: expect.stringContaining('[ERR_CRIA_FILE]') })
  expect(empty.stderr).toContain('expected a text of some tokens')
  expect(stride).toMatchObject({ code: 2, stderr: expect.stringContaining('from 1 to 511') })
  expect(small).toMatchObject({ code: 2, stderr: expect.stringContaining('--ctx-size') })
})
