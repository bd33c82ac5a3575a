/**
 * The package as users get it: packed, then installed into an empty folder with an empty home and
 * no network, once with a prebuilt addon and scripts forbidden, once compiling from source, once
 * without the tools for it.
 */
import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Registry, startRegistry } from './registry.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

interface Finished {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

let work: string
let registry: Registry
let withPrebuilds: string
let sourceOnly: string

/** No setting of this machine or of the npm that runs the tests reaches the npm under test. */
function cleanEnvironment(home: string, path = process.env.PATH): NodeJS.ProcessEnv {
  const own = /^(npm_|NPM_|CRIA|NODE_|VITEST|LD_PRELOAD$|INIT_CWD$|CXX$|CI$)/
  const kept = Object.entries(process.env).filter(([name]) => !own.test(name))
  return {
    ...Object.fromEntries(kept),
    HOME: home,
    PATH: path,
    npm_config_registry: registry.url,
    npm_config_userconfig: join(home, '.npmrc'),
    npm_config_globalconfig: join(home, 'npmrc'),
    npm_config_update_notifier: 'false',
    npm_config_audit: 'false',
    npm_config_fund: 'false'
  }
}

/** Runs a program without blocking this process, which serves the registry. */
function run(
  command: string,
  args: string[],
  cwd: string,
  env: NodeJS.ProcessEnv
): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr += text
    })
    child.on('error', reject)
    child.on('close', (status) => resolve({ status, stdout, stderr }))
  })
}

function must(result: SpawnSyncReturns<string>): string {
  if (result.status !== 0) throw new Error(`${result.stdout}\n${result.stderr}`)
  return result.stdout
}

/** An empty folder with an empty home beside it, and the tarball installed into it. */
async function install(name: string, tarball: string, options: { args?: string[]; path?: string }) {
  const folder = join(work, name, 'app')
  const home = join(work, name, 'home')
  mkdirSync(folder, { recursive: true })
  mkdirSync(home)
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
  const env = cleanEnvironment(home, options.path)
  const args = ['install', '--foreground-scripts', ...(options.args ?? []), tarball]
  const result = await run('npm', args, folder, env)
  return { folder, home, env, result, addons: addonsOf(join(folder, 'node_modules', 'cria')) }
}

function addonsOf(folder: string): string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.node'))
    .sort()
}

/** The installed package generates, from a script and from its bin. */
async function expectGenerates(folder: string, env: NodeJS.ProcessEnv) {
  const script = [
    "import { Model } from 'cria'",
    'const model = await Model.load()',
    "const { text, usage } = await model.generate('Once upon a time', { maxTokens: 8, temperature: 0 })",
    'await model.dispose()',
    'console.log(JSON.stringify({ text, tokens: usage.completionTokens }))'
  ]
  writeFileSync(join(folder, 'story.mjs'), `${script.join('\n')}\n`)
  const fromScript = await run(process.execPath, ['story.mjs'], folder, env)
  expect(fromScript.stderr).toBe('')
  const { text, tokens } = JSON.parse(fromScript.stdout) as { text: string; tokens: number }
  expect(tokens).toBe(8)
  expect(text.length).toBeGreaterThan(8)

  const args = ['run', '-n', '8', '--temp', '0', 'Once upon a time']
  const fromBin = await run(join(folder, 'node_modules', '.bin', 'cria'), args, folder, env)
  expect(fromBin.status, fromBin.stderr).toBe(0)
  expect(fromBin.stdout).toContain(text.trim())
}

/** A folder with just these programs, to serve as PATH. */
function pathOf(name: string, programs: string[]): string {
  const folder = join(work, name)
  mkdirSync(folder)
  for (const program of programs) {
    const found = (process.env.PATH ?? '')
      .split(delimiter)
      .map((place) => join(place, program))
      .find((path) => existsSync(path))
    if (found) symlinkSync(found, join(folder, program))
  }
  return folder
}

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'cria-package-'))
  registry = await startRegistry(root)

  // A copy of exactly the files that npm packs, so that the checkout stays as it is.
  const stage = join(work, 'stage')
  const options = { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 26 } as const
  const [listed] = JSON.parse(must(spawnSync('npm', ['pack', '--dry-run', '--json'], options)))
  for (const { path } of (listed as { files: { path: string }[] }).files) {
    if (path.startsWith('prebuilds/')) continue
    mkdirSync(dirname(join(stage, path)), { recursive: true })
    cpSync(join(root, path), join(stage, path))
  }
  const pack = (folder: string) => {
    mkdirSync(folder)
    must(spawnSync('npm', ['pack', '--pack-destination', folder], { ...options, cwd: stage }))
    return join(folder, readdirSync(folder)[0] as string)
  }
  sourceOnly = pack(join(work, 'source'))
  must(spawnSync('npm', ['run', 'prebuild', '--', '--out', stage], options))
  withPrebuilds = pack(join(work, 'prebuilt'))
})

afterAll(async () => {
  await registry?.close()
  if (work) rmSync(work, { recursive: true, force: true })
})

describe('the packed package', () => {
  test('with a prebuilt addon it needs no script and no compiler', async () => {
    const path = pathOf('no-tools', ['node', 'npm', 'sh', 'env'])
    const args = ['--ignore-scripts']
    const { folder, env, result, addons } = await install('a', withPrebuilds, { args, path })
    expect(result.status, result.stderr).toBe(0)
    expect(addons).toEqual([expect.stringMatching(/^prebuilds\/\w+-\w+\/cria\.\w+\.node$/)])
    await expectGenerates(folder, env)
  })

  test('with a prebuilt addon its install script builds nothing', async () => {
    const { result, addons } = await install('b', withPrebuilds, {})
    expect(result.status, result.stderr).toBe(0)
    expect(addons).toEqual([expect.stringMatching(/^prebuilds\//)])
  })

  test('without one it compiles at installation, with no headers from elsewhere', async () => {
    const { folder, home, env, result, addons } = await install('c', sourceOnly, {})
    expect(result.status, result.stderr).toBe(0)
    expect(addons).toEqual(['build/Release/cria.node'])
    expect(readdirSync(join(folder, 'node_modules', 'cria'))).not.toContain('build-native')
    expect(readdirSync(home).filter((name) => name !== '.npm')).toEqual([])
    await expectGenerates(folder, env)
    expect(registry.misses).toEqual([])
  })

  const tools = ['node', 'npm', 'sh', 'env', 'uname']
  test.each([
    ['CMake', [...tools, 'c++', 'g++', 'make', 'as', 'ld'], 'apt-get install cmake'],
    ['a C++ compiler', [...tools, 'cmake', 'make'], 'apt-get install g++'],
    ['make', [...tools, 'c++', 'g++', 'cmake', 'as', 'ld'], 'apt-get install make']
  ])('without %s the installation names the package to install', async (tool, programs, remedy) => {
    const name = tool.replaceAll(' ', '-')
    const path = pathOf(`no-${name}`, programs)
    const { result } = await install(name, sourceOnly, { path })
    expect(result.status).not.toBe(0)
    const output = result.stdout + result.stderr
    expect(output).toContain(remedy)
    const remedies = [...output.matchAll(/Debian, Ubuntu: (apt-get install \S+)/g)]
    expect([...new Set(remedies.map((match) => match[1]))]).toEqual([remedy])
  })
})
