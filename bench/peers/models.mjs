/** The GGUF files of a run: those in the repository, and random ones that are made once and kept. */
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SHAPES, writeRandomLlama } from '../support/random-llama.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = fileURLToPath(new URL('models', import.meta.url))

export const demoModel = join(root, 'models/cria-demo-q8_0.gguf')
/** A trained F32 model of 260 thousand weights; a clone elsewhere does not have it. */
export const storiesModel = join(root, '../shared/models/stories260k-f32.gguf')

/** The path of the random model of a shape and type, made where it is not there yet. */
export function randomModel(shape, type, tell) {
  const name = `${shape}-${type}`
  const path = join(folder, `${name}.gguf`)
  if (existsSync(path)) return path
  tell(`making ${name}.gguf`)
  mkdirSync(folder, { recursive: true })
  writeRandomLlama(path, { shape: SHAPES[shape], type, name: `random ${name}` })
  return path
}
