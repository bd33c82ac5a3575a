/** Model files with something changed in them. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** A file in a folder of its own, which goes with the test. */
export function tempFile(name: string, bytes: Uint8Array | string): string {
  const folder = mkdtempSync(join(tmpdir(), 'cria-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, name)
  writeFileSync(path, bytes)
  return path
}

/** A copy in which every occurrence of a text is another one of the same length. */
export function patched(path: string, from: string, to: string): string {
  if (from.length !== to.length) throw new Error('the texts must have the same length')
  const bytes = readFileSync(path)
  const wanted = Buffer.from(from)
  let at = bytes.indexOf(wanted)
  if (at === -1) throw new Error(`${from} is not in ${path}`)
  for (; at !== -1; at = bytes.indexOf(wanted, at + 1)) bytes.write(to, at)
  return tempFile('patched.gguf', bytes)
}
