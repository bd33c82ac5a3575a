/** Compiles lib/ to dist/, from nothing, so that no file of a deleted source stays behind. */
import { spawnSync } from 'node:child_process'
import { chmodSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { root } from './setup.mjs'

rmSync(join(root, 'dist'), { recursive: true, force: true })
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc')
const run = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], {
  cwd: root,
  stdio: ['ignore', 2, 2]
})
if (run.status !== 0) process.exit(run.status ?? 1)
chmodSync(join(root, 'dist', 'cli', 'main.js'), 0o755) // npx runs it as a program
