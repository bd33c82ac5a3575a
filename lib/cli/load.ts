/** Loading a model for a command: a progress bar on a terminal, Ctrl-C ends it. */
import { type LoadOptions, Model, type Progress } from '../index.js'
import type { Arguments } from './flags.js'
import { toLoadOptions } from './groups.js'
import { whileInterruptible } from './interrupt.js'
import { bytes } from './output.js'

const showAfterMs = 300
const width = 30

/** Draws a load on standard error, once it takes long enough to be noticed. */
function progressBar(): { onProgress: (progress: Progress) => void; clear: () => void } {
  const start = performance.now()
  let drawn = 0
  return {
    onProgress({ stage, loaded, total }) {
      if (performance.now() - start < showAfterMs || total === 0) return
      const share = Math.min(1, loaded / total)
      const bar = '█'.repeat(Math.round(share * width)).padEnd(width, '░')
      const line = `${stage} ${bar} ${bytes(loaded)} of ${bytes(total)}`
      process.stderr.write(`\r${line.padEnd(drawn)}`)
      drawn = line.length
    },
    clear() {
      if (drawn > 0) process.stderr.write(`\r${' '.repeat(drawn)}\r`)
    }
  }
}

/** The model that `-m` names, or the demo model. */
export async function loadModel(args: Arguments): Promise<Model> {
  const options: LoadOptions = toLoadOptions(args)
  const abort = new AbortController()
  const bar = process.stderr.isTTY && !args.has('quiet') ? progressBar() : undefined
  try {
    return await whileInterruptible(
      () => abort.abort(),
      () =>
        Model.load(args.text('model'), {
          ...options,
          signal: abort.signal,
          onProgress: bar?.onProgress
        })
    )
  } finally {
    bar?.clear()
  }
}
