/** Scripts that run in a process, or a worker, of their own. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { root } from './built.js'

const run = promisify(execFile)

/** What such a script begins with. */
export const importCria = `import { Model } from ${JSON.stringify(new URL('dist/index.js', root).href)}\n`

/** Gives what the script prints; rejects where it fails, crashes or does not end. */
export async function script(code: string, flags: readonly string[] = []): Promise<string> {
  const args = [...flags, '--input-type=module', '-e', importCria + code]
  return (await run(process.execPath, args, { timeout: 60_000 })).stdout
}
