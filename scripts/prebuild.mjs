/**
 * `npm run prebuild [-- --out DIR] [--cuda]`: prebuilds/<platform>-<arch>/cria.<libc>.node, stripped, for
 * this machine's platform. prebuildify drives node-gyp; a shim that runs the CMake build stands in
 * for it, in a folder of its own, so that build/Release is left alone.
 *
 * With --cuda the CUDA plugin lies beside it, which a package may do without: it is found where it is,
 * and is many times as large.
 */
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { root } from './setup.mjs'

const { values } = parseArgs({
  options: { out: { type: 'string', default: root }, cuda: { type: 'boolean', default: false } }
})
const stage = join(root, 'build-prebuild')
const shim = join(stage, 'node-gyp')
mkdirSync(stage, { recursive: true })
copyFileSync(join(root, 'package.json'), join(stage, 'package.json')) // the addon's name
const build = join(root, 'scripts', 'build-native.mjs')
const out = join(stage, 'build', 'Release')
const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`
const command = [process.execPath, build, '--out', out].map(quote).join(' ')
writeFileSync(shim, `#!/bin/sh\nexec ${command}\n`, { mode: 0o755 })

const require = createRequire(import.meta.url)
const bin = join(dirname(require.resolve('prebuildify/package.json')), 'bin.js')
const options = ['--napi', '--strip', '--tag-libc', '--node-gyp', shim]
const run = spawnSync(
  process.execPath,
  [bin, ...options, '--cwd', stage, '--out', resolve(values.out)],
  { stdio: 'inherit' }
)
if (run.status !== 0 || !values.cuda) process.exit(run.status ?? 1)
const folder = join(resolve(values.out), 'prebuilds', `${process.platform}-${process.arch}`)
const plugin = spawnSync(
  process.execPath,
  [join(root, 'scripts', 'build-cuda.mjs'), '--out', folder],
  { stdio: 'inherit' }
)
process.exit(plugin.status ?? 1)
