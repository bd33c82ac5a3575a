/** `npm start [-- PROMPT]`: from a fresh clone to a story of the demo model. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { root, setup } from './setup.mjs'

setup()
const words = process.argv.slice(2)
const args = [join(root, 'dist', 'cli', 'main.js'), 'run']
const run = spawnSync(
  process.execPath,
  [...args, ...(words.length ? words : ['Once upon a time'])],
  {
    stdio: 'inherit'
  }
)
process.exit(run.status ?? 1)
