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

async function says(path: string) {
  await using model = await cria.Model.load(path)
  const { text } = await model.generate('Once upon a time', { maxTokens: 60, temperature: 0 })
  return { text, info: model.info }
}

test('a widened model says what the small one says', async () => {
  const path = join(folder, 'wide.gguf')
  widenLlama(demo, path, { width: 512, layers: 8, feedForward: 1024 })
  const { text, info } = await says(path)
  expect(info).toMatchObject({ width: 512, layers: 8, feedForward: 1024, heads: 16, headWidth: 32 })
  expect(text).toBe((await says(demo)).text)
})

test('its width is a multiple of the small one', () => {
  const shape = { width: 300, layers: 8, feedForward: 1024 }
  expect(() => widenLlama(demo, join(folder, 'no.gguf'), shape)).toThrow(/a multiple of 256/)
})

test('a worn model says something else, of the same vocabulary', async () => {
  const path = join(folder, 'worn.gguf')
  wearLlama(demo, path, 0.5)
  const { text, info } = await says(path)
  expect(info.parameters).toBe((await says(demo)).info.parameters)
  expect(text.length).toBeGreaterThan(20)
  await using model = await cria.Model.load(demo, { draft: path })
  expect(model.info.draftBytes).toBeGreaterThan(0)
})
