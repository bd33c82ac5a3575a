/** Files that are no models: each a typed error, from every call that opens one. */
import { chmodSync, mkdtempSync, readFileSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { cria, demo } from './support/built.js'
import { patched, tempFile } from './support/gguf.js'

const { Model, Tokenizer } = cria
const calls = [
  ['load', (path: string) => Model.load(path)],
  ['inspect', (path: string) => Model.inspect(path)],
  ['estimate', (path: string) => Model.estimate(path)],
  ['Tokenizer.load', (path: string) => Tokenizer.load(path)]
] as const

const bytes = readFileSync(demo)

describe.each(calls)('%s', (_, call) => {
  test('a missing file', async () => {
    await expect(call('/nowhere/at/all.gguf')).rejects.toMatchObject({
      name: 'CriaError',
      code: 'ERR_CRIA_FILE',
      message: expect.stringContaining('/nowhere/at/all.gguf')
    })
  })

  test('a folder, and a file that may not be read', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'cria-'))
    await expect(call(folder)).rejects.toMatchObject({ code: 'ERR_CRIA_FILE' })
    if (process.getuid?.() === 0) return // root may read everything
    const path = tempFile('secret.gguf', bytes)
    chmodSync(path, 0)
    await expect(call(path)).rejects.toMatchObject({ code: 'ERR_CRIA_FILE' })
  })

  test.each([
    ['an empty file', new Uint8Array()],
    ['a text', 'this is no model at all, but it is long enough for a header'],
    ['three bytes', 'GGU'],
    ['the magic alone', 'GGUF'],
    ['a wrong version', Buffer.concat([Buffer.from('GGUF\xff\0\0\0', 'latin1'), bytes.subarray(8)])]
  ])('%s', async (_name, content) => {
    const error = await call(tempFile('bad.gguf', content)).catch((reason: unknown) => reason)
    expect(error).toMatchObject({
      name: 'CriaError',
      code: expect.stringMatching(/^ERR_CRIA_(FILE|BAD_GGUF|UNSUPPORTED)$/)
    })
  })

  test('a header cut anywhere', async () => {
    const headerEnd = 60_000
    for (const size of [4, 8, 15, 23, 24, 100, 1000, 5000, 20_000, headerEnd / 2]) {
      const error = await call(tempFile('cut.gguf', bytes.subarray(0, size))).catch(
        (e: unknown) => e
      )
      expect(error).toMatchObject({ name: 'CriaError', code: 'ERR_CRIA_BAD_GGUF' })
      expect((error as { offset: number }).offset).toBeLessThanOrEqual(size)
    }
  })

  test.each([undefined, null, 5, '', 'a\0b', {}, [], new URL('https://example.org/a.gguf'), true])(
    'the source %s',
    async (source) => {
      if (source === undefined) return // the demo model
      await expect(call(source as string)).rejects.toMatchObject({ code: 'ERR_CRIA_BAD_ARGUMENT' })
    }
  )
})

test('a URL of the net is not taken for a path', async () => {
  await expect(Model.load('https://example.org/a.gguf')).rejects.toThrow('does not download')
})

test('weights cut off', async () => {
  for (const size of [bytes.length - 1, bytes.length >> 1, bytes.length - 4096]) {
    const path = tempFile('cut.gguf', bytes.subarray(0, size))
    await expect(Model.load(path)).rejects.toMatchObject({ code: 'ERR_CRIA_BAD_GGUF' })
  }
})

test('another architecture is refused by name', async () => {
  await expect(Model.load(patched(demo, 'llama', 'lLaMa'))).rejects.toMatchObject({
    code: 'ERR_CRIA_UNSUPPORTED',
    message: expect.stringContaining('lLaMa')
  })
})

test('a context that no memory holds', async () => {
  const load = Model.load(demo, { contextSize: 512, sequences: 4096, batchSize: 65_536 })
  const error = await load.then(
    (model) => model.dispose(),
    (reason: unknown) => reason
  )
  if (error) expect(error).toMatchObject({ code: 'ERR_CRIA_OUT_OF_MEMORY' })
})

test('a context longer than the trained one is refused with both numbers', async () => {
  const load = Model.load(demo, { contextSize: 100_000 })
  await expect(load).rejects.toMatchObject({ code: 'ERR_CRIA_BAD_ARGUMENT' })
  await expect(load).rejects.toThrow(/512.*100000/)
})

test('a file that shrinks while it is loaded does not end the process', async () => {
  const path = tempFile('shrinking.gguf', bytes)
  const model = await Model.load(path)
  truncateSync(path, 4096)
  const generation = model.generate('Once', { maxTokens: 3 })
  // Pages that were read may still be there; what may not happen is a crash.
  await generation.then(
    () => {},
    (error: unknown) => expect(error).toMatchObject({ name: 'CriaError' })
  )
  await model.dispose()
})
