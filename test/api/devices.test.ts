/**
 * Models on a GPU whose plugin is plain loops (test/device/plain): what is said of devices, and that
 * every fault is a typed error of a process that lives.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { cria, demo, root, stories } from './support/built.js'

const plain = fileURLToPath(new URL('build/probe/libcria_cuda_plain.so', root))
const folder = mkdtempSync(join(tmpdir(), 'cria-devices-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** What the GPU tests run on: CRIA_CUDA_PLUGIN may name a real plugin, on a machine that has a GPU. */
const tested = process.env.CRIA_CUDA_PLUGIN || plain

beforeEach(() => vi.stubEnv('CRIA_CUDA_PLUGIN', plain))
afterEach(() => vi.unstubAllEnvs())

const greedy = { temperature: 0, maxTokens: 60 }
const onGpu = { devices: 'cuda' }

test('the plain plugin was built with the tests', () => {
  expect(existsSync(plain)).toBe(true)
})

describe('a GPU', () => {
  const prompt = 'Tell me a story about a brave fox named Pip.'
  beforeEach(() => vi.stubEnv('CRIA_CUDA_PLUGIN', tested))

  test.skipIf(stories.missing)('says the same as the CPU (skipped without ../shared)', async () => {
    await using gpu = await cria.Model.load(stories.path, onGpu)
    await using cpu = await cria.Model.load(stories.path)
    const [there, here] = await Promise.all(
      [gpu, cpu].map((model) => model.generate('Once upon a time', { ...greedy, maxTokens: 150 }))
    )
    expect(there?.text).toBe(here?.text)
  })

  // Of quantized weights the CPU rounds the inputs, so near ties may fall the other way.
  test('finds a text as likely as the CPU does', async () => {
    await using gpu = await cria.Model.load(demo, onGpu)
    await using cpu = await cria.Model.load(demo)
    expect(gpu.info).toMatchObject({ device: 'cuda:0', threads: 1 })
    expect(gpu.info.kernels).toMatch(/^CUDA \d+\.\d, \w/)
    expect(cpu.info.device).toBe('cpu')
    const { text } = await cpu.generate(prompt, { temperature: 0, maxTokens: 100 })
    const [there, here] = await Promise.all([gpu, cpu].map((model) => model.score(prompt + text)))
    const differences = here?.logprobs.map((value, i) =>
      Math.abs(value - (there?.logprobs[i] ?? 0))
    )
    expect(differences?.length).toBeGreaterThan(80)
    expect(Math.max(...(differences ?? []))).toBeLessThan(0.3)
  })

  test('computes several requests, forks and embeddings as one alone', async () => {
    await using gpu = await cria.Model.load(demo, { ...onGpu, batchSize: 24, sequences: 4 })
    const prompts = ['Once upon a time', prompt, 'The opposite of hot is']
    const alone: string[] = []
    for (const one of prompts) alone.push((await gpu.generate(one, greedy)).text)
    const together = await Promise.all(prompts.map((one) => gpu.generate(one, greedy)))
    // Kernels may sum in another order where there are more rows: a near tie falls as it likes.
    if (tested === plain) expect(together.map(({ text }) => text)).toEqual(alone)
    for (const { tokens } of together) expect(tokens.length).toBeGreaterThan(0)
    const samples = gpu.generateMany(prompt, { ...greedy, n: 3 })
    expect(new Set((await samples).samples.map(({ text }) => text)).size).toBe(1)
    const [a, b] = await gpu.embed(['a red fox', 'a red fox'])
    expect(a?.length).toBe(gpu.info.width)
    a?.forEach((value, i) => {
      expect(value).toBeCloseTo(b?.[i] ?? Number.NaN, 3)
    })
  })

  test('goes on after a cancelled request', async () => {
    await using gpu = await cria.Model.load(demo, onGpu)
    const abort = new AbortController()
    const generation = gpu.generate(prompt, { signal: abort.signal })
    setImmediate(() => abort.abort())
    await expect(generation).rejects.toThrow()
    expect((await gpu.generate(prompt, { maxTokens: 3 })).tokens).toHaveLength(3)
  })

  test('estimates by its own memory', async () => {
    const estimate = await cria.Model.estimate(demo, onGpu)
    expect(estimate.device).toBe('cuda:0')
    const [device] = (await cria.diagnoseCuda()).devices
    expect(estimate.availableBytes).toBeLessThan(device?.freeBytes ?? 0)
    expect(estimate.availableBytes).toBeGreaterThan((device?.freeBytes ?? 0) / 2)
    await using gpu = await cria.Model.load(demo, onGpu)
    expect(gpu.info.weightBytes).toBe(estimate.weightBytes)
  })

  test('does not take the cached state of a CPU', async () => {
    const path = join(folder, 'talk.session')
    await using cpu = await cria.Model.load(demo)
    const talk = cpu.session()
    await talk.send('Who are you?', greedy)
    await talk.save(path)
    await using gpu = await cria.Model.load(demo, onGpu)
    for (const [model, cached] of [
      [cpu, true],
      [gpu, false]
    ] as const) {
      const again = await model.restore(path)
      const { usage } = await again.send('And what else?', greedy)
      expect(usage.cachedTokens > 0).toBe(cached)
    }
  })

  test('refuses weights that stay in the file', async () => {
    await expect(cria.Model.load(demo, { ...onGpu, mapped: true })).rejects.toMatchObject({
      code: 'ERR_CRIA_UNSUPPORTED'
    })
    await using auto = await cria.Model.load(demo, { devices: 'auto', mapped: true })
    expect(auto.info.device).toBe('cpu')
  })

  test('is described', async () => {
    const cuda = await cria.diagnoseCuda()
    expect(cuda).toMatchObject({ plugin: tested, problem: null })
    expect(cuda.build).not.toBe(null)
    expect(cuda.devices[0]).toMatchObject({ device: 'cuda:0', problem: null })
    expect(cuda.devices[0]?.capability).toMatch(/^\d+\.\d$/)
  })
})

describe('a fault', () => {
  test.each([
    ['no-driver', 'ERR_CRIA_NO_DEVICE', 'no CUDA driver is installed'],
    ['old-driver', 'ERR_CRIA_NO_DEVICE', 'older than the runtime'],
    ['no-device', 'ERR_CRIA_NO_DEVICE', 'shows no CUDA device'],
    ['old-architecture', 'ERR_CRIA_NO_DEVICE', 'compute capability 6.1'],
    ['version', 'ERR_CRIA_NO_DEVICE', 'another version'],
    ['incomplete', 'ERR_CRIA_NO_DEVICE', 'lacks functions'],
    ['no-memory', 'ERR_CRIA_OUT_OF_MEMORY', 'of the memory of cuda:0'],
    ['lost:0', 'ERR_CRIA_BACKEND', 'illegal memory access']
  ])('%s rejects a load with %s', async (fault, code, message) => {
    vi.stubEnv('CRIA_CUDA_FAULT', fault)
    await expect(cria.Model.load(demo, onGpu)).rejects.toMatchObject({
      name: 'CriaError',
      code,
      message: expect.stringContaining(message)
    })
    if (fault.startsWith('lost')) return
    await using auto = await cria.Model.load(demo, { devices: 'auto' })
    expect(auto.info.device).toBe('cpu')
  })

  test('no plugin rejects a load, and auto takes the CPU', async () => {
    vi.stubEnv('CRIA_CUDA_PLUGIN', join(folder, 'none.so'))
    const refused = { code: 'ERR_CRIA_NO_DEVICE', message: expect.stringContaining('build:cuda') }
    await expect(cria.Model.load(demo, onGpu)).rejects.toMatchObject(refused)
    await expect(cria.Model.estimate(demo, onGpu)).rejects.toMatchObject(refused)
    await using auto = await cria.Model.load(demo, { devices: 'auto' })
    expect(auto.info.device).toBe('cpu')
    const { build, problem, devices } = await cria.diagnoseCuda()
    expect([build, devices]).toEqual([null, []])
    expect(problem).toContain('no CUDA plugin')
  })

  test('a device that is not there rejects', async () => {
    await expect(cria.Model.load(demo, { devices: 'cuda:1' })).rejects.toMatchObject({
      code: 'ERR_CRIA_NO_DEVICE',
      message: expect.stringContaining('this process sees 1 CUDA device')
    })
  })

  test('a lost card fails what runs and what comes, and the model is disposed of', async () => {
    vi.stubEnv('CRIA_CUDA_FAULT', 'lost:200')
    const gpu = await cria.Model.load(demo, onGpu)
    const failed = { code: 'ERR_CRIA_BACKEND', message: expect.stringContaining('cuda:0 (plain)') }
    const endless = { maxTokens: 400, stop: [], temperature: 1 }
    const running = [gpu.generate('Once', endless), gpu.generate('Twice', endless)]
    const outcomes = await Promise.allSettled(running)
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    for (const outcome of outcomes) {
      expect((outcome as PromiseRejectedResult).reason).toMatchObject(failed)
    }
    await expect(gpu.generate('Once')).rejects.toMatchObject(failed)
    await gpu.dispose()
    vi.unstubAllEnvs()
    await using cpu = await cria.Model.load(demo)
    expect((await cpu.generate('Once', { maxTokens: 2 })).tokens).toHaveLength(2)
  })
})
