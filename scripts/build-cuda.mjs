#!/usr/bin/env node
/**
 * `npm run build:cuda [-- --out DIR]`: builds the CUDA plugin with nvcc and puts libcria_cuda.so beside
 * the addon (build/Release), where it is looked for. Takes some minutes; built-in modules only.
 *
 * CUDACXX names an nvcc; else it is looked for on PATH, in CUDA_HOME and in /usr/local/cuda.
 */
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, renameSync, statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = fileURLToPath(new URL('..', import.meta.url))
const library = 'libcria_cuda.so'

function fail(message) {
  console.error(`\ncria: ${message}\n`)
  process.exit(1)
}

function findNvcc() {
  const { CUDACXX, CUDA_HOME, PATH = '' } = process.env
  const folders = [...PATH.split(delimiter), CUDA_HOME && join(CUDA_HOME, 'bin')]
  const named = [...folders, '/usr/local/cuda/bin'].filter(Boolean).map((at) => join(at, 'nvcc'))
  return [CUDACXX, ...named].find((path) => path && existsSync(path))
}

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2] })
  if (error?.code === 'ENOENT') fail(`${command} was not found; install it, and try again`)
  if (status !== 0) fail('the CUDA plugin was not built; the compiler says why above')
}

const { values } = parseArgs({ options: { out: { type: 'string', default: 'build/Release' } } })
const nvcc = findNvcc()
if (!nvcc) {
  fail(
    'nvcc was not found on PATH, in CUDA_HOME or in /usr/local/cuda: install the CUDA toolkit, ' +
      'or name its compiler in CUDACXX. Without a plugin Cria computes on the CPU.'
  )
}
const tree = join(root, 'build-cuda')
const options = ['-DCMAKE_BUILD_TYPE=Release', '-DCRIA_TESTS=OFF', `-DCRIA_NVCC=${nvcc}`]
run('cmake', ['-S', root, '-B', tree, ...options])
const jobs = String(availableParallelism())
run('cmake', ['--build', tree, '--target', 'cria_cuda', '--parallel', jobs])

// In one step, so that a process that has the old one mapped keeps it.
const folder = resolve(root, values.out)
mkdirSync(folder, { recursive: true })
const temporary = join(folder, `.${library}.${process.pid}`)
copyFileSync(join(tree, library), temporary)
renameSync(temporary, join(folder, library))
const megabytes = statSync(join(folder, library)).size / 2 ** 20
console.error(`cria: ${join(folder, library)}: ${megabytes.toFixed(1)} MiB`)
