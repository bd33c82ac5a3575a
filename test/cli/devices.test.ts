/** `--device` and what `cria doctor` says of GPUs, over the plugin of plain loops. */
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { cria } from './support.js'

const plain = fileURLToPath(new URL('../../build/probe/libcria_cuda_plain.so', import.meta.url))
const gpu = { env: { CRIA_CUDA_PLUGIN: plain } }
const none = { env: { CRIA_CUDA_PLUGIN: '/nowhere.so' } }
const story = ['--temp', '0', '-n', '5', 'Once upon a time']

test('run and bench take a device by name', async () => {
  const [wrong, absent, there, here, auto, bench, perplexity] = await Promise.all([
    cria(['run', '--device', 'gpu', ...story]),
    cria(['run', '--device', 'cuda', ...story], none),
    cria(['run', '--device', 'cuda', ...story], gpu),
    cria(['run', ...story]),
    cria(['run', '--device', 'auto', ...story], none),
    cria(['bench', '--device', 'cuda:0', '-p', '8', '-n', '2', '-r', '1'], gpu),
    cria(['perplexity', '--device', 'cuda', '-c', '32', '-q', '-'], {
      ...gpu,
      input: 'One day. '.repeat(20)
    })
  ])
  expect(wrong.code).toBe(2)
  expect(wrong.stderr).toContain("--device must be 'auto', 'cpu', 'cuda', 'cuda:N'")
  expect(absent.code).toBe(1)
  expect(absent.stderr).toContain('there is no /nowhere.so')
  expect(there).toMatchObject({ code: 0, stdout: here.stdout })
  expect(auto).toMatchObject({ code: 0, stdout: here.stdout })
  expect(bench.code).toBe(0)
  expect(bench.stdout).toMatch(/\| CUDA 9\.0, plain \| +1 \|/)
  expect(perplexity.code).toBe(0)
})

test('doctor tells which GPUs there are, or why none', async () => {
  const [found, json, absent, old, lost] = await Promise.all([
    cria(['doctor', '--device', 'cuda'], gpu),
    cria(['doctor', '--json'], gpu),
    cria(['doctor'], none),
    cria(['doctor'], { env: { ...gpu.env, CRIA_CUDA_FAULT: 'old-architecture' } }),
    cria(['doctor', '--device', 'cuda'], { env: { ...gpu.env, CRIA_CUDA_FAULT: 'lost:0' } })
  ])
  expect(found.code).toBe(0)
  expect(found.stdout).toMatch(/^cuda +cuda:0 plain, compute capability 9\.0, .* free of 17.2 GB/m)
  expect(found.stdout).toMatch(/^demo model +works on cuda:0/m)
  expect(JSON.parse(json.stdout)).toMatchObject({
    cuda: { plugin: plain, problem: null, devices: [{ device: 'cuda:0', problem: null }] },
    trial: { works: true, device: 'cpu' }
  })
  expect(absent.code).toBe(0)
  expect(absent.stdout).toMatch(/^cuda +this build has no CUDA plugin: there is no \/nowhere\.so/m)
  expect(old.stdout).toContain('compute capability 6.1')
  expect(lost.code).toBe(1)
  expect(lost.stdout).toMatch(/^demo model +fails: cuda:0 \(plain\) failed while/m)
})
