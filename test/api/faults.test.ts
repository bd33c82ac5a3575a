/** Faults that one caller makes, and that nobody else may feel. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test, vi } from 'vitest'
import { CriaError } from '../../lib/errors.js'
import { Router } from '../../lib/router.js'
import { cria } from './support/built.js'
import { script } from './support/script.js'

vi.mock('../../lib/native.js', () => ({ native: {}, nativePath: '' }))

const { Model } = cria
const folder = mkdtempSync(join(tmpdir(), 'cria-faults-'))
afterAll(() => rmSync(folder, { recursive: true }))

test('a request that throws does not keep updates from the others', () => {
  const router = new Router()
  const lost: Error[] = []
  const seen: string[] = []
  const bad = router.open({
    update() {
      throw new TypeError('mine')
    },
    lost: (error) => lost.push(error)
  })
  const good = router.open({ update: ({ text }) => seen.push(text), lost: () => {} })
  const update = (request: number, text: string) => ({ request, text, tokens: [] })
  router.deliver([update(bad, 'a'), update(good, 'b'), update(bad, 'c'), update(good, 'd')])
  expect(seen).toEqual(['b', 'd'])
  expect(lost).toHaveLength(1)
  expect(lost[0]).toBeInstanceOf(CriaError)
})

test('a signal that cannot be listened to is refused', async () => {
  const model = await Model.load()
  const signal = { aborted: false, addEventListener() {} } as unknown as AbortSignal
  await expect(model.generate('x', { signal })).rejects.toThrow('AbortSignal')
  expect((await model.generate('Once', { maxTokens: 2 })).tokens).toHaveLength(2)
  await model.dispose()
})

test('a prompt of many megabytes is refused', async () => {
  const model = await Model.load()
  const text = 'a'.repeat(50_000_000)
  await expect(model.generate(text)).rejects.toMatchObject({ code: 'ERR_CRIA_CONTEXT_OVERFLOW' })
  await model.dispose()
})

test('a metadata key of any name is a plain property', async () => {
  const text = (value: string) => {
    const bytes = Buffer.from(value)
    const size = Buffer.alloc(8)
    size.writeBigUInt64LE(BigInt(bytes.length))
    return Buffer.concat([size, bytes])
  }
  const head = Buffer.alloc(24)
  head.write('GGUF\x03')
  head.writeBigUInt64LE(1n, 16) // one metadata entry, no tensors
  const path = join(folder, 'proto.gguf')
  writeFileSync(
    path,
    Buffer.concat([head, text('__proto__'), Buffer.from([8, 0, 0, 0]), text('x')])
  )
  const { metadata } = await Model.inspect(path)
  expect(Object.entries(metadata)).toEqual([['__proto__', 'x']])
  expect(Object.getPrototypeOf(metadata)).toBe(Object.prototype)
})

test('the process ends after a dispose during a generation and a collection', async () => {
  const out = await script(
    `let model = await Model.load()
    const generation = model.generate('Once', { temperature: 0, seed: 1 })
    generation.catch(() => {})
    for await (const _ of generation) break
    model.generate('Once').catch(({ code }) => console.log(code))
    void model.dispose()
    model = undefined
    for (let i = 0; i < 5; i++) { gc(); await new Promise(setImmediate) }`,
    ['--expose-gc']
  )
  expect(out).toBe('ERR_CRIA_DISPOSED\n')
})
