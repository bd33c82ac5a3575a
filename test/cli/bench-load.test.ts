/** `cria bench load`: its plan is the seed's, and it counts what it did. */
import { describe, expect, test } from 'vitest'
import {
  type LoadPlanSettings,
  planLoad,
  quantiles,
  randomNumbers,
  roomFor
} from '../../lib/cli/load-plan.js'
import { cria } from './support.js'

const settings: LoadPlanSettings = {
  conversations: 7,
  rate: 5,
  turns: 3,
  prefix: 20,
  prefixes: 2,
  prompt: 6,
  predict: 4,
  seed: 1
}

describe('the plan', () => {
  test('depends on the seed alone', () => {
    expect(planLoad(settings, 100)).toEqual(planLoad(settings, 100))
    expect(planLoad({ ...settings, seed: 2 }, 100)).not.toEqual(planLoad(settings, 100))
  })

  test('shares beginnings and nothing else', () => {
    const plan = planLoad(settings, 100)
    expect(plan.map(({ group }) => group)).toEqual([0, 1, 0, 1, 0, 1, 0])
    expect(plan[2]?.prefix).toEqual(plan[0]?.prefix)
    expect(plan[1]?.prefix).not.toEqual(plan[0]?.prefix)
    const turns = plan.flatMap((conversation) => conversation.turns.map(String))
    expect(new Set(turns).size).toBe(21)
    for (const { prefix, turns: all } of plan) {
      expect(prefix).toHaveLength(20)
      for (const id of [...prefix, ...all.flat()]) expect(id >= 3 && id < 100).toBe(true)
    }
    expect(roomFor(settings)).toBe(1 + 20 + 3 * 10)
  })

  test('arrivals are a Poisson process of the rate', () => {
    const plan = planLoad({ ...settings, conversations: 4000 }, 100)
    const times = plan.map(({ at }) => at)
    const gaps = times.slice(1).map((time, i) => time - (times[i] as number))
    const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length
    expect(times[0]).toBe(0)
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(0)
    expect(mean).toBeCloseTo(1 / 5, 1)
    // Exponential: the deviation is the mean, and 1/e of the gaps are longer than it.
    const deviation = Math.sqrt(gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length)
    expect(deviation / mean).toBeCloseTo(1, 1)
    expect(gaps.filter((gap) => gap > mean).length / gaps.length).toBeCloseTo(1 / Math.E, 1)
    expect(planLoad({ ...settings, rate: 0 }, 100).every(({ at }) => at === 0)).toBe(true)
  })

  test('its random numbers are spread over [0, 1)', () => {
    const random = randomNumbers(3)
    const values = Array.from({ length: 10_000 }, random)
    expect(values.every((value) => value >= 0 && value < 1)).toBe(true)
    expect(quantiles(values).mean).toBeCloseTo(0.5, 1)
    expect(quantiles(values).p95).toBeCloseTo(0.95, 1)
  })
})

test('quantiles are nearest ranks', () => {
  const values = Array.from({ length: 100 }, (_, i) => 100 - i)
  expect(quantiles(values)).toEqual({ count: 100, mean: 50.5, p50: 50, p95: 95, p99: 99, max: 100 })
  expect(quantiles([7])).toEqual({ count: 1, mean: 7, p50: 7, p95: 7, p99: 7, max: 7 })
  expect(quantiles([])).toEqual({ count: 0, mean: 0, p50: 0, p95: 0, p99: 0, max: 0 })
})

const small = ['--conversations', '12', '--rate', '50', '--turns', '2', '--prefix', '20'].concat(
  ['--prompt', '6', '--predict', '4'] // every answer has all of its tokens
)

test('counts what it did', async () => {
  const { code, stdout } = await cria(['bench', 'load', ...small, '--seed', '9', '--json'])
  expect(code).toBe(0)
  const report = JSON.parse(stdout)
  expect(report).toMatchObject({
    machine: { node: process.version },
    model: { name: 'Cria demo', contextSize: 1 + 20 + 2 * 10 },
    settings: { conversations: 12, rate: 50, turns: 2, seed: 9 },
    requests: 24,
    promptTokens: 12 * (27 + 37),
    generatedTokens: 96,
    firstToken: { count: 24 },
    stats: { requests: { finished: 25, running: 0 } }
  })
  expect(report.generatedTokensPerSecond).toBeCloseTo(96 / report.seconds, 5)
  expect(report.betweenTokens.count).toBeLessThanOrEqual(72)
  expect(report.cancel.count).toBeLessThanOrEqual(12)
  for (const { p50, p95, p99, max } of [report.firstToken, report.betweenTokens, report.cancel]) {
    expect([p50, p95, p99, max]).toEqual([p50, p95, p99, max].toSorted((a, b) => a - b))
  }
  expect(report.firstToken.p50).toBeGreaterThan(0)
  expect(report.eventLoopDelay.count).toBeGreaterThan(0)
  expect(report.cachedTokens).toBeGreaterThan(12 * 27) // each second turn finds its first
})

test('prints a table', async () => {
  const { code, stdout, stderr } = await cria(['bench', 'load', ...small])
  expect(code).toBe(0)
  expect(stderr).toBe('')
  expect(stdout).toContain('24 requests in ')
  expect(stdout).toContain('96 tokens generated')
  for (const name of [
    'time to first token',
    'between tokens',
    'cancel to end',
    'event-loop delay'
  ]) {
    expect(stdout).toMatch(new RegExp(`^\\| ${name}( \\| \\d+\\.\\d){5} \\|$`, 'm'))
  }
})

test('what is wrong names the flag', async () => {
  const wrong = async (...args: string[]) => {
    const { code, stderr } = await cria(['bench', 'load', ...args])
    expect(code).toBe(2)
    return stderr
  }
  expect(await wrong('--turns', '0')).toContain('--turns must be an integer from 1')
  expect(await wrong('--rate', '-1')).toContain('--rate must be a number from 0')
  expect(await wrong('--prompt', '2.5')).toContain('--prompt must be an integer')
  expect(await wrong(...small, '-c', '40')).toContain('--ctx-size must be 41 or more')
  expect(await wrong('--prefix', '5000')).toContain('contextSize')
})
