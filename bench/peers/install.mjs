/** Installs the peer into bench/peers/node_modules: the lock file's versions, and its CPU build alone. */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('.', import.meta.url))
const readJson = (path) => JSON.parse(readFileSync(join(folder, path), 'utf8'))

const BUILDS = {
  'linux-x64': 'linux-x64',
  'linux-arm64': 'linux-arm64',
  'darwin-x64': 'mac-x64',
  'darwin-arm64': 'mac-arm64-metal' // also computes on the CPU
}

export function installPeer(tell) {
  const version = readJson('package.json').dependencies['node-llama-cpp']
  const build = BUILDS[`${process.platform}-${process.arch}`]
  if (!build) {
    throw new Error(
      `node-llama-cpp has no CPU build for ${process.platform} on ${process.arch}; measure on ` +
        Object.keys(BUILDS).join(', ')
    )
  }
  const packages = ['node-llama-cpp', `@node-llama-cpp/${build}`]
  if (packages.every((name) => installedVersion(name) === version)) return
  tell(`installing node-llama-cpp ${version}`)
  // The builds are its optional dependencies, for GPUs too and large; this one is asked for by name.
  const args = ['install', '--no-save', '--omit=optional', `${packages[1]}@${version}`]
  const npm = process.env.npm_execpath
  const [command, ...first] = npm ? [process.execPath, npm] : ['npm']
  const run = spawnSync(command, [...first, ...args], { cwd: folder, stdio: ['ignore', 2, 2] })
  if (run.error) throw run.error
  if (run.status !== 0) throw new Error(`npm ${args.join(' ')} failed in bench/peers`)
}

function installedVersion(name) {
  const path = join('node_modules', name, 'package.json')
  return existsSync(join(folder, path)) ? readJson(path).version : undefined
}
