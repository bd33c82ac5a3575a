/**
 * The built package, as a user has it: `dist/` with its worker and the addon. Types come from the
 * sources, so that checking them needs no build; `npm test` builds before it runs.
 */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const root = new URL('../../../', import.meta.url)

/** A module of the package, by its path under lib/. */
export async function built<M>(module: string): Promise<M> {
  return (await import(new URL(`dist/${module}`, root).href)) as M
}

export type Cria = typeof import('../../../lib/index.js')
export const cria = await built<Cria>('index.js')

/** A file under ../shared, or why the tests that need it are skipped. */
export function shared(name: string): { path: string; missing: boolean } {
  const path = fileURLToPath(new URL(`../shared/${name}`, root))
  return { path, missing: !existsSync(path) }
}

export const demo = fileURLToPath(new URL('models/cria-demo-q8_0.gguf', root))
export const stories = shared('models/stories260k-f32.gguf')
export const llama2Vocab = shared('vocab/llama2-spm.gguf')

/** The kernel tables that this CPU runs. */
export const tables = cria
  .diagnose()
  .cpu.tables.filter(({ supported }) => supported)
  .map(({ name }) => name)
