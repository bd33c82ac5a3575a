/** The models that say what a small one says and cost what a large one costs: bench/speculation.mjs. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { cria, demo, root } from '../api/support/built.js'

const { wearLlama, widenLlama } = await import(
  new URL('bench/support/widened-llama.mjs', root).href
)
const folder = mkdtempSync(join(tmpdir(), 'cria-widened-'))
afterAll(() => rmSync(folder, { recursive: true }))

const story =
  'Once upon a time, in the garden, there lived a shy girl named Lino. Every day she sang.'

/** What a model makes of a text. */
async function judge(path: string) {
  await using model = await cria.Model.load(path)
  const { logprobs } = await model.score(story)
  return { logprobs: Array.from(logprobs), info: model.info }
}

/** The greatest difference between two. */
const apart = (a: readonly number[], b: readonly number[]) =>
  Math.max(...a.map((value, i) => Math.abs(value - (b[i] as number))))

test('a widened model says what the small one says', async () => {
  const path = join(folder, 'wide.gguf')
  widenLlama(demo, path, { width: 512, layers: 8, feedForward: 1024 })
  const { logprobs, info } = await judge(path)
  expect(info).toMatchObject({ width: 512, layers: 8, feedForward: 1024, heads: 16, headWidth: 32 })
  // The same network, but for sums in another order and the rounding of its norms.
  expect(apart(logprobs, (await judge(demo)).logprobs)).toBeLessThan(0.25)
})

test('its width is a multiple of the small one', () => {
  const shape = { width: 300, layers: 8, feedForward: 1024 }
  expect(() => widenLlama(demo, join(folder, 'no.gguf'), shape)).toThrow(/a multiple of 256/)
})

test('a worn model says something else, of the same vocabulary', async () => {
  const path = join(folder, 'worn.gguf')
  wearLlama(demo, path, 0.5)
  const worn = await judge(path)
  const whole = await judge(demo)
  expect(worn.info.parameters).toBe(whole.info.parameters)
  expect(apart(worn.logprobs, whole.logprobs)).toBeGreaterThan(0.25)
  await using model = await cria.Model.load(demo, { draft: path })
  expect(model.info.draftBytes).toBeGreaterThan(0)
})
