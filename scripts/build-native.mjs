#!/usr/bin/env node
/**
 * Builds the native addon from source with cmake-js and puts `cria.node` where node-gyp-build looks
 * for it: build/Release/, which holds exactly one `.node`. Runs at `npm install` where no prebuilt
 * addon fits, so it uses built-in modules and the package's own dependencies only.
 *
 *   node scripts/build-native.mjs [--tests] [--out DIR]
 *   node scripts/build-native.mjs --tree DIR [--sanitize LIST] [--tests]
 *
 *   --tests          also the C++ tests, and the probe addon and a CUDA plugin of plain loops, both
 *                    in build/probe
 *   --out DIR        put cria.node there instead of build/Release
 *   --tree DIR       build in DIR and copy nothing: the addons stay in DIR/Release
 *   --sanitize LIST  instrument with these sanitizers: address,undefined or thread (needs --tree)
 *
 * CXX names another compiler than the first of g++, clang++, c++.
 */
import { spawnSync } from 'node:child_process'
import {
  accessSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync
} from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { basename, delimiter, dirname, join, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = fileURLToPath(new URL('..', import.meta.url))

/** How to get each tool, by package manager. */
const REMEDIES = {
  'a C++20 compiler': {
    'Debian, Ubuntu': 'apt-get install g++',
    'Fedora, RHEL': 'dnf install gcc-c++',
    Alpine: 'apk add g++',
    macOS: 'xcode-select --install'
  },
  'CMake 3.20 or later': {
    'Debian, Ubuntu': 'apt-get install cmake',
    'Fedora, RHEL': 'dnf install cmake',
    Alpine: 'apk add cmake',
    macOS: 'brew install cmake'
  },
  'make or ninja': {
    'Debian, Ubuntu': 'apt-get install make',
    'Fedora, RHEL': 'dnf install make',
    Alpine: 'apk add make',
    macOS: 'xcode-select --install'
  }
}

function fail(message) {
  console.error(`\ncria: ${message}\n`)
  process.exit(1)
}

/** Absolute path of the first of these programs that PATH (or the name itself) leads to. */
function which(...names) {
  for (const name of names) {
    const folders = name.includes('/') ? [''] : (process.env.PATH ?? '').split(delimiter)
    for (const folder of folders) {
      const path = resolve(folder, name)
      try {
        accessSync(path, constants.X_OK)
        if (statSync(path).isFile()) return path
      } catch {}
    }
  }
  return undefined
}

function compilesCxx20(compiler) {
  const source =
    '#include <concepts>\n#include <span>\nint f(std::span<const int> s) { return s[0]; }\n'
  const args = ['-std=c++20', '-fsyntax-only', '-x', 'c++', '-']
  return spawnSync(compiler, args, { input: source }).status === 0
}

function hasVersion(cmake, major, minor) {
  const out = spawnSync(cmake, ['--version'], { encoding: 'utf8' }).stdout ?? ''
  const found = /version (\d+)\.(\d+)/.exec(out)
  return !!found && (+found[1] > major || (+found[1] === major && +found[2] >= minor))
}

/** The compiler, CMake and generator; ends with the packages to install where one is missing. */
function findTools() {
  const compiler = process.env.CXX ? which(process.env.CXX) : which('g++', 'clang++', 'c++')
  const cmake = which('cmake')
  const ninja = which('ninja', 'ninja-build')
  const missing = []
  if (!compiler || !compilesCxx20(compiler)) missing.push('a C++20 compiler')
  if (!cmake || !hasVersion(cmake, 3, 20)) missing.push('CMake 3.20 or later')
  if (!ninja && !which('make')) missing.push('make or ninja')
  if (missing.length > 0) {
    const named = process.env.CXX ? ` (CXX names ${process.env.CXX})` : ''
    const lines = missing.map((tool) => {
      const ways = Object.entries(REMEDIES[tool]).map(([system, how]) => `    ${system}: ${how}`)
      return `  ${tool} was not found. Install it with\n${ways.join('\n')}`
    })
    fail(
      `the native addon cannot be built from source on this machine${named}:\n` +
        `${lines.join('\n')}\nThen run the installation again.`
    )
  }
  return { compiler, generator: ninja ? 'Ninja' : 'Unix Makefiles' }
}

/** What the tree was configured with; undefined for a fresh one. */
function readCache(tree) {
  const file = join(tree, 'CMakeCache.txt')
  if (!existsSync(file)) return undefined
  const entries = readFileSync(file, 'utf8').matchAll(/^([A-Za-z_]+)(?::[A-Z]+)?=(.*)$/gm)
  return Object.fromEntries([...entries].map((match) => [match[1], match[2]]))
}

function cmakeJs(args) {
  const require = createRequire(import.meta.url)
  const bin = join(dirname(require.resolve('cmake-js/package.json')), 'bin', 'cmake-js')
  const run = spawnSync(process.execPath, [bin, ...args, '--log-level', 'warn'], {
    cwd: root,
    stdio: ['ignore', 2, 2] // a build's chatter never mixes with a command's output
  })
  if (run.status !== 0) fail('the native build failed; the compiler says why above.')
}

/** Replaces `folder`'s addon in one step, so that a process that has it mapped keeps the old one. */
function place(addon, folder) {
  mkdirSync(folder, { recursive: true })
  const temporary = join(folder, `.${basename(addon)}.${process.pid}`)
  copyFileSync(addon, temporary)
  renameSync(temporary, join(folder, basename(addon)))
}

const { values } = parseArgs({
  options: {
    tests: { type: 'boolean', default: false },
    out: { type: 'string' },
    tree: { type: 'string' },
    sanitize: { type: 'string', default: '' }
  }
})
if (values.sanitize && !values.tree) fail('--sanitize needs a --tree of its own.')

const tree = resolve(root, values.tree ?? 'build-native')
const { compiler, generator } = findTools()
let cache = readCache(tree)
const fits =
  existsSync(join(tree, generator === 'Ninja' ? 'build.ninja' : 'Makefile')) &&
  resolve(cache?.CMAKE_HOME_DIRECTORY ?? '') === resolve(root) &&
  cache?.CMAKE_CXX_COMPILER === compiler &&
  cache?.CRIA_SANITIZE === values.sanitize
if (!fits) {
  rmSync(tree, { recursive: true, force: true })
  cache = undefined
}
const common = ['--out', tree, '--generator', generator, '--cc', 'cc', '--cxx', compiler]
if (!cache || (values.tests && cache.CRIA_TESTS !== 'ON')) {
  const sanitize = values.sanitize ? [`--CDCRIA_SANITIZE=${values.sanitize}`] : []
  cmakeJs(['configure', ...common, `--CDCRIA_TESTS=${values.tests ? 'ON' : 'OFF'}`, ...sanitize])
}
const target = values.tests ? [] : ['--target', 'cria']
cmakeJs(['build', ...common, ...target, '--parallel', String(availableParallelism())])

if (!values.tree) {
  place(join(tree, 'Release', 'cria.node'), resolve(root, values.out ?? 'build/Release'))
  if (values.tests) {
    for (const name of ['cria_probe.node', 'libcria_cuda_plain.so']) {
      place(join(tree, 'Release', name), join(root, 'build', 'probe'))
    }
  }
}
// An installed package is built once; its tree would only take space.
if (root.includes(`${sep}node_modules${sep}`)) rmSync(tree, { recursive: true })
