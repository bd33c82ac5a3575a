/** `kernelBenchmark`: what it tells, what it refuses, and the ways it can end. */
import { expect, test } from 'vitest'
import { cria } from './support/built.js'

const { diagnose, kernelBenchmark } = cria
const best = diagnose().cpu.selected?.variant

test('each kernel that was asked for, with figures beside the limits of the same run', async () => {
  const told: string[] = []
  const { limits, rows } = await kernelBenchmark({
    ops: ['matmul', 'rmsnorm', 'quantize'],
    types: ['q4_k', 'f16', 'f32', 'q8_32'],
    places: ['l1', 'memory'],
    shapes: [[64, 512]],
    tokens: [1, 3],
    threads: 2,
    samples: 1,
    onLimits: ({ threads }) => told.push(`${threads} threads`),
    onRow: ({ op, type, tokens }) => told.push(`${op} ${type} ${tokens}`)
  })
  const names = rows.map(({ op, type, place, tokens }) => `${op} ${type} ${place} ${tokens}`)
  expect(names.slice(0, 4)).toEqual([
    'matmul q4_k l1 1',
    'matmul q4_k l1 3',
    'matmul q4_k memory 1',
    'matmul q4_k memory 3'
  ])
  // Products of three types; the others have one row each, of one type.
  expect(names).toHaveLength(3 * 2 * 2 + 2 + 2)
  expect(told[0]).toBe('2 threads')
  expect(told.slice(1)).toEqual(rows.map(({ op, type, tokens }) => `${op} ${type} ${tokens}`))
  expect(limits).toMatchObject({ threads: 2 })
  expect(limits.barrierMicroseconds).toBeGreaterThan(0)
  expect(limits.memoryBytes).toBeGreaterThan(2 ** 25)
  expect(limits.ceilings.map(({ table, threads }) => [table, threads])).toEqual([
    [best, 1],
    [best, 2]
  ])
  const ceiling = limits.ceilings[1]
  for (const row of rows) {
    expect(row).toMatchObject({ table: best, threads: 2, right: true })
    expect(row.error).toBeLessThanOrEqual(1)
    if (row.op === 'matmul' && row.place === 'memory') {
      expect(row).toMatchObject({ rows: 64, cols: 512 })
      expect(row.operations).toBe(2 * 64 * 512 * row.tokens)
    }
    const seconds = (row.microseconds ?? 0) / 1e6
    expect(row.bestMicroseconds).toBeGreaterThan(0)
    expect(row.microseconds).toBeGreaterThanOrEqual(row.bestMicroseconds ?? 0)
    expect(row.gigabytesPerSecond).toBeCloseTo(row.bytes / seconds / 1e9, 6)
    expect(row.gigaopsPerSecond).toBeCloseTo(row.operations / seconds / 1e9, 6)
    const bandwidth = ceiling?.[row.place] ?? Number.NaN
    const peak = (row.type === 'q4_k' ? ceiling?.dotGops : ceiling?.fmaGops) ?? Number.NaN
    expect(row.bandwidthShare).toBeCloseTo((row.gigabytesPerSecond ?? 0) / bandwidth, 6)
    expect(row.arithmeticShare).toBeCloseTo((row.gigaopsPerSecond ?? 0) / peak, 6)
  }
})

test('attention and store_kv, at depths', async () => {
  const asked = { places: ['l2', 'memory'], tokens: [1, 40], threads: 2, samples: 1 } as const
  const sizes = (rows: readonly { cols: number; rows: number; tokens: number; place: string }[]) =>
    rows.map(({ place, rows, cols, tokens }) => `${place} ${rows}x${cols} ${tokens}`)
  const { limits, rows } = await kernelBenchmark({ ...asked, ops: ['attention'], types: ['q8_0'] })
  expect(sizes(rows).slice(1)).toEqual([
    'memory 4096x64 1',
    'memory 40x64 40',
    'memory 4096x128 1',
    'memory 40x128 40'
  ])
  expect(rows[0]).toMatchObject({ place: 'l2', cols: 64, tokens: 1 })
  for (const row of rows) {
    expect(row).toMatchObject({ op: 'attention', type: 'q8_0', right: true })
    const peak = limits.ceilings[1]?.fmaGops ?? Number.NaN
    expect(row.arithmeticShare).toBeCloseTo((row.gigaopsPerSecond ?? 0) / peak, 6)
  }
  expect(rows[1]?.operations).toBe(4 * 32 * 64 * 4096)
  expect(rows[1]?.bytes).toBe(4 * 4096 * 2 * 64 * (8.5 / 8))

  const store = await kernelBenchmark({ ...asked, ops: ['store_kv'], depths: [0, 70] })
  expect(store.rows.every(({ right }) => right)).toBe(true)
  expect(sizes(store.rows.filter(({ type, cols }) => type === 'f16' && cols === 128))).toEqual([
    'memory 1x128 1',
    'memory 71x128 1',
    'memory 40x128 40',
    'memory 110x128 40'
  ])
})

test('a table by name, and no memory where none is asked for', async () => {
  const { limits, rows } = await kernelBenchmark({
    ops: ['add'],
    tables: ['scalar'],
    places: ['l1', 'l2'],
    threads: 1,
    samples: 1
  })
  expect(rows.map(({ table, place }) => [table, place])).toEqual([
    ['scalar', 'l1'],
    ['scalar', 'l2']
  ])
  expect(limits).toMatchObject({ memoryBytes: 0, ceilings: [{ table: 'scalar', memory: null }] })
})

test.each([
  [{ ops: ['matmull'] }, 'ops: no "matmull"; did you mean matmul?'],
  [{ ops: 'matmul' }, 'ops must be an array of names'],
  [{ types: ['q4k_'] }, 'did you mean q4_k?'],
  [{ places: ['disk'] }, 'known: l1, l2, memory'],
  [{ places: [3] }, 'places: no 3'],
  [{ tables: ['sse9'] }, 'sse9'],
  [{ tables: [''] }, 'tables must be'],
  [{ shapes: [[4096, 4095]] }, 'shapes must be up to 100 pairs'],
  [{ shapes: [4096] }, 'shapes must be'],
  [{ shapes: [[2 ** 21, 256]] }, 'shapes must be'],
  [{ tokens: [0] }, 'tokens must be'],
  [{ tokens: [65_537] }, 'tokens must be'],
  [{ depths: [-1] }, 'depths must be up to 100 integers from 0 to 65536'],
  [{ depths: 4096 }, 'depths must be'],
  [{ threads: 0 }, 'threads must be'],
  [{ samples: 1.5 }, 'samples must be'],
  [{ all: 'yes' }, 'all must be true or false'],
  [{ place: ['l1'] }, 'did you mean places?'],
  [{ ops: ['exp'], types: ['q4_0'] }, 'no kernel is left'],
  [{ ops: [] }, 'no kernel is left']
])('%j is refused', async (options, message) => {
  await expect(kernelBenchmark(options as object)).rejects.toThrow(message)
})

test('a shape that memory has no room for', async () => {
  const shapes = [[2 ** 20, 2 ** 16]] as const
  const running = kernelBenchmark({ ops: ['matmul'], types: ['f32'], places: ['memory'], shapes })
  await expect(running).rejects.toMatchObject({ code: 'ERR_CRIA_OUT_OF_MEMORY' })
})

test('a signal ends it, before and during, and the event loop turns meanwhile', async () => {
  await expect(kernelBenchmark({ signal: AbortSignal.abort() })).rejects.toThrow('aborted')
  const abort = new AbortController()
  let turns = 0
  const turning = setInterval(() => turns++, 1)
  const running = kernelBenchmark({ samples: 10_000, signal: abort.signal })
  setTimeout(() => abort.abort(new Error('enough')), 200)
  await expect(running).rejects.toThrow('enough')
  clearInterval(turning)
  expect(turns).toBeGreaterThan(2)
})

test('an error in a callback ends it with that error', async () => {
  const fail = () => {
    throw new Error('not this')
  }
  const few = { ops: ['add'], places: ['l1'], samples: 1 } as const
  await expect(kernelBenchmark({ ...few, onLimits: fail })).rejects.toThrow('not this')
  await expect(kernelBenchmark({ ...few, onRow: fail })).rejects.toThrow('not this')
})
