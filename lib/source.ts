/** Which file a caller means, and with which sizes. */
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe } from './check.js'
import { badArgument } from './errors.js'
import type { NativeLoadOptions } from './native.js'
import type { LoadSettings, Sizes } from './options.js'

/** The model in the package, loaded where no other is named: a few megabytes, tells small stories. */
export const demoModel = fileURLToPath(new URL('../models/cria-demo-q8_0.gguf', import.meta.url))

/** The path of a model file given as a path, a `file:` URL, or nothing (the demo model). */
export function resolveSource(source: unknown): string {
  if (source === undefined) return demoModel
  if (source instanceof URL || (typeof source === 'string' && /^file:/i.test(source))) {
    try {
      return fileURLToPath(source)
    } catch (cause) {
      throw badArgument(`${source} is no URL of a local file: ${(cause as Error).message}`)
    }
  }
  if (typeof source !== 'string' || source === '') {
    throw badArgument(
      `a model is named by the path or file URL of a GGUF file, or undefined for the demo model; ` +
        `got ${source === '' ? 'an empty text' : describe(source)}`
    )
  }
  if (source.includes('\0')) throw badArgument('the path of a model holds a zero character')
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//i.exec(source)?.[1]
  if (scheme) {
    throw badArgument(`Cria reads local files and does not download; got a ${scheme}: URL`)
  }
  return source
}

/** The path that a caller gives as one, or as a `file:` URL; `what` is it that lies there. */
export function localPath(path: unknown, what: string): string {
  if (path === undefined) throw badArgument(`${what}: expected a path or file URL, got nothing`)
  return resolveSource(path)
}

/** Another library than the one beside the addon, for tests: `CRIA_CUDA_PLUGIN`. */
export function cudaPlugin(): string {
  const path = process.env.CRIA_CUDA_PLUGIN
  return path ? resolve(path) : ''
}

/** The environment chooses the kernel table (`CRIA_CPU=scalar`, `avx2`, …), for tests and doubts. */
export function toNative(
  sizes: Sizes & Partial<Pick<LoadSettings, 'maxQueue'>>
): NativeLoadOptions {
  const { devices, threads, contextSize, batchSize, sequences, kvType, mapped, draft, maxQueue } =
    sizes
  const kernels = process.env.CRIA_CPU ?? ''
  const where = { device: devices, cudaPlugin: cudaPlugin(), kernels, threads }
  const given = {
    ...(maxQueue === undefined ? {} : { maxQueue }),
    ...(draft === undefined ? {} : { draft })
  }
  return { ...where, contextSize, batchSize, sequences, kvType, mapped, ...given }
}
