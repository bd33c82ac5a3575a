/**
 * Compiles lib/ to dist/, from nothing, so that no file of a deleted source stays behind; beside it
 * first, so that what runs meanwhile finds its modules.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, renameSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { root } from './setup.mjs'

const dist = join(root, 'dist')
const fresh = join(root, 'build', 'dist')
const remove = (folder) => rmSync(folder, { recursive: true, force: true })
remove(fresh)
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc')
const run = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--outDir', fresh], {
  cwd: root,
  stdio: ['ignore', 2, 2]
})
if (run.status !== 0) process.exit(run.status ?? 1)
chmodSync(join(fresh, 'cli', 'main.js'), 0o755) // npx runs it as a program
remove(dist)
renameSync(fresh, dist)
