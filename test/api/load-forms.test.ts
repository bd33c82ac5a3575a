import { afterEach, describe, expect, test } from 'vitest'
import { type LoadOptions, Model } from '../../lib/index.js'

let model: Model | undefined
afterEach(async () => {
  await model?.dispose()
  model = undefined
})

/** What the demo model says, at temperature 0, to a question it knows. */
async function answer(options: LoadOptions): Promise<string> {
  model = await Model.load(undefined, options)
  const messages = [{ role: 'user', content: 'Who are you?' }] as const
  const { text } = await model.generate(messages, { temperature: 0, maxTokens: 24 })
  await model.dispose()
  return text
}

describe('forms of weights and of the cache', () => {
  test('mapped weights say what packed ones say', async () => {
    expect(await answer({ mapped: true })).toBe(await answer({}))
  })

  test('a cache in q8_0 takes about half and says the same', async () => {
    const text = await answer({})
    expect(await answer({ kvType: 'q8_0' })).toBe(text)
    const f16 = await Model.estimate(undefined, { kvType: 'f16' })
    const q8 = await Model.estimate(undefined, { kvType: 'q8_0' })
    expect(q8.kvBytes / f16.kvBytes).toBeGreaterThan(0.5)
    expect(q8.kvBytes / f16.kvBytes).toBeLessThan(0.55)
  })

  test('an estimate knows both forms of weights', async () => {
    const packed = await Model.estimate(undefined, {})
    const mapped = await Model.estimate(undefined, { mapped: true })
    expect(packed.weightBytes).toBeGreaterThan(0)
    expect(packed.weightBytes / mapped.weightBytes).toBeCloseTo(1, 1)
  })
})
