/** `benchmark`: what it measures, and the ways it can end. */
import { expect, test } from 'vitest'
import { cria } from './support/built.js'

const { benchmark } = cria

test('every size at every depth, each with its repetitions', async () => {
  const told: string[] = []
  const { model, rows } = await benchmark(undefined, {
    prompt: [8, 20, 8],
    generate: [4],
    depths: [0, 33],
    repetitions: 3,
    batchSize: 7,
    threads: 1,
    onRow: ({ name }) => told.push(name)
  })
  const names = ['pp8', 'pp20', 'tg4', 'pp8 @ d33', 'pp20 @ d33', 'tg4 @ d33']
  expect(rows.map(({ name }) => name)).toEqual(names)
  expect(told).toEqual(names)
  expect(model).toMatchObject({ threads: 1, batchSize: 7, contextSize: 53 })
  for (const { prompt, generate, seconds, tokensPerSecond, deviation } of rows) {
    expect(seconds).toHaveLength(3)
    expect(Math.min(...seconds)).toBeGreaterThan(0)
    const rates = seconds.map((value) => (prompt + generate) / value)
    expect(tokensPerSecond).toBeCloseTo(rates.reduce((a, b) => a + b, 0) / 3, 6)
    expect(deviation).toBeGreaterThanOrEqual(0)
  }
})

test.each([
  [{ prompt: [0] }, 'prompt must be'],
  [{ prompt: [1.5] }, 'prompt must be'],
  [{ generate: 'many' }, 'generate must be'],
  [{ depths: [-1] }, 'depths must be'],
  [{ repetitions: 0 }, 'repetitions must be'],
  [{ repetition: 3 }, 'did you mean repetitions?'],
  [{ prompt: [], generate: [] }, 'at least one size'],
  [{ prompt: [513] }, 'contextSize'],
  [{ prompt: [64], contextSize: 32 }, 'do not fit']
])('%j is refused', async (options, message) => {
  await expect(benchmark(undefined, options as object)).rejects.toThrow(message)
})

test('a signal ends it, before and during', async () => {
  await expect(benchmark(undefined, { signal: AbortSignal.abort() })).rejects.toThrow('aborted')
  const abort = new AbortController()
  const running = benchmark(undefined, {
    prompt: [4],
    generate: [4],
    repetitions: 10_000,
    signal: abort.signal
  })
  setTimeout(() => abort.abort(new Error('enough')), 50)
  await expect(running).rejects.toThrow('enough')
})

test('an error in onRow ends it with that error', async () => {
  const running = benchmark(undefined, {
    prompt: [4],
    generate: [4],
    repetitions: 2,
    onRow: () => {
      throw new Error('not this row')
    }
  })
  await expect(running).rejects.toThrow('not this row')
})
