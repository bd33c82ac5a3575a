/**
 * Brings a checkout to where its commands run: dependencies, native addon, TypeScript. Each step
 * looks first whether its inputs changed since it last succeeded, so that a second run costs
 * milliseconds. Built-in modules only: it starts on a fresh clone.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))
const stamps = join(root, 'node_modules', '.cache', 'cria', 'setup.json')

function readJson(path) {
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {}
}

/** Runs a step with its output on standard error; ends with its exit status where it fails. */
function step(title, command, args) {
  console.error(`cria: ${title} …`)
  const run = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2] })
  if (run.error) throw run.error
  if (run.status !== 0) {
    console.error(`cria: ${title} failed (${command} ${args.join(' ')})`)
    process.exit(run.status ?? 1)
  }
}

/** A digest of path, size and time of change of every file under these paths. */
function fingerprint(paths) {
  const hash = createHash('sha256').update(process.version)
  const visit = (path) => {
    const stat = statSync(join(root, path), { throwIfNoEntry: false })
    if (!stat) return
    if (stat.isDirectory()) {
      for (const name of readdirSync(join(root, path)).sort()) visit(join(path, name))
    } else {
      hash.update(`${path}\0${stat.size}\0${stat.mtimeMs}\n`)
    }
  }
  for (const path of paths) visit(path)
  return hash.digest('hex')
}

/** Runs `build` unless `outputs` exist and `inputs` are as they were when it last succeeded. */
function unlessFresh(name, inputs, outputs, build) {
  const print = fingerprint(inputs)
  const known = readJson(stamps)
  if (known[name] === print && outputs.every((path) => existsSync(join(root, path)))) return
  build()
  mkdirSync(dirname(stamps), { recursive: true })
  writeFileSync(stamps, JSON.stringify({ ...known, [name]: print }))
}

/** Whether node_modules holds what package-lock.json asks for. */
function dependenciesFresh() {
  const wanted = readJson(join(root, 'package-lock.json')).packages
  const installed = readJson(join(root, 'node_modules', '.package-lock.json')).packages ?? {}
  return Object.entries(wanted).every(([path, { version, optional }]) => {
    if (path === '') return true
    return installed[path] ? installed[path].version === version : optional
  })
}

/**
 * Installs, builds the addon (with `tests`: the C++ tests and the probe addon too) and compiles
 * lib/ to dist/, each only where needed.
 */
export function setup({ tests = false } = {}) {
  if (!dependenciesFresh()) {
    const npm = process.env.npm_execpath
    const args = ['ci']
    if (npm) step('installing dependencies', process.execPath, [npm, ...args])
    else step('installing dependencies', 'npm', args)
  }
  const native = ['csrc', 'CMakeLists.txt', 'scripts/build-native.mjs', 'package-lock.json']
  const compile = ['scripts/build-native.mjs', ...(tests ? ['--tests'] : [])]
  if (tests) {
    const outputs = ['build/Release/cria.node', 'build/probe/cria_probe.node']
    const folders = readdirSync(join(root, 'test')).filter((name) => hasCxx(join('test', name)))
    unlessFresh('tests', [...native, ...folders.map((name) => `test/${name}`)], outputs, () =>
      step('building the native core and its tests', process.execPath, compile)
    )
  } else {
    unlessFresh('native', native, ['build/Release/cria.node'], () =>
      step('building the native core', process.execPath, compile)
    )
  }
  const typescript = ['lib', 'tsconfig.json', 'tsconfig.build.json', 'package-lock.json']
  unlessFresh('typescript', typescript, ['dist/index.js', 'dist/cli/main.js'], () =>
    step('compiling TypeScript', process.execPath, ['scripts/build-ts.mjs'])
  )
}

function hasCxx(folder) {
  return (
    statSync(join(root, folder)).isDirectory() &&
    readdirSync(join(root, folder)).some((name) => /\.(cpp|h)$/.test(name))
  )
}
