/** The documents tell the truth: links, commands, flags, options, tables and examples. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { brokenLinks, unknownCommands } from '../arch/rules.js'
import { filesUnder, manifest, readFile, root } from '../arch/tree.js'
import { anchors, brokenAnchors, namedCommands, shownCommands } from './documents.js'

const folders = ['docs', 'csrc', 'bench', 'examples']
const documents = [
  ...['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md'].map(readFile),
  ...folders.flatMap((folder) => filesUnder(folder, /\.md$/))
]
const users = documents.filter(({ path }) => /^README|^docs\//.test(path))

/** Runs Node in the project, as the README's reader would: standard input is empty. */
function node(args: readonly string[]) {
  const { CRIA_CPU: _, CRIA_DEBUG: __, ...env } = process.env
  return spawnSync(process.execPath, args, { cwd: root, env, input: '', encoding: 'utf8' })
}

const cria = (...args: readonly string[]) => node([join('dist', 'cli', 'main.js'), ...args])

describe('links', () => {
  test.each(documents)('of $path lead somewhere', (file) => {
    expect(brokenLinks(file, (path) => existsSync(join(root, path)))).toEqual([])
    expect(brokenAnchors(file, documents)).toEqual([])
  })

  test('a heading that is not there is seen', () => {
    const file = { path: 'docs/a.md', text: '# A `B`, c!\n[x](#a-b-c) [y](#d) [z](b.md#top)' }
    expect(anchors(file)).toEqual(['a-b-c'])
    expect(brokenAnchors(file, [file])).toEqual([
      'docs/a.md:2: docs/a.md has no heading #d',
      'docs/a.md:2: docs/b.md has no heading #top'
    ])
  })
})

describe('commands', () => {
  const flags = new Map<string, string[]>()

  beforeAll(() => {
    const rows = cria('--help').stdout.matchAll(
      /^ {2}([a-z]+(?: [a-z]+)?)(?: \[?[A-Z]+\]?)? {2,}/gm
    )
    for (const [, name = ''] of rows) {
      const help =
        cria('help', ...name.split(' '))
          .stdout.split('\n\n')
          .at(-1) ?? ''
      const named = help.matchAll(/^ {2}(?:(-\w), | {4})(--[\w-]+)/gm)
      flags.set(
        name,
        [...named].flatMap(([, short, long = '']) => (short ? [short, long] : [long]))
      )
    }
    expect([...flags.keys()]).toContain('run')
    expect(flags.get('run')).toContain('-m')
  })

  test.each(documents)('of npm that $path names are scripts', (file) => {
    expect(unknownCommands(file, Object.keys(manifest.scripts))).toEqual([])
  })

  test.each(users)('of cria that $path names exist', (file) => {
    const known = [...flags.keys(), 'help']
    expect(namedCommands(file).filter(({ command }) => !known.includes(command))).toEqual([])
  })

  test.each(users)('of cria that $path shows are understood, or refused as it shows', (file) => {
    for (const { where, args, answer } of shownCommands(file)) {
      if (answer.startsWith('cria: ')) {
        expect(cria(...args).stderr.split('\n')[0], where).toBe(answer)
        continue
      }
      const long = flags.has(args.slice(0, 2).join(' ')) ? 2 : 1
      const command = args.slice(0, long).join(' ')
      const rest = args.slice(long)
      if (command.startsWith('-')) continue
      expect([...flags.keys()], where).toContain(command)
      const given = rest.filter((word) => /^--?[a-z]/.test(word))
      for (const flag of given) expect(flags.get(command), `${where} ${flag}`).toContain(flag)
    }
  })

  test('each command and flag has its row in docs/cli.md', () => {
    const sections = readFile('docs/cli.md').text.split(/^## /m)
    for (const [command, all] of flags) {
      const heading = new RegExp(`^\`cria ${command}(\`| [^a-z])`)
      const section = sections.find((text) => heading.test(text)) ?? ''
      const own = command === 'chat' ? ['/reset', '/exit'] : all
      for (const flag of own) expect(section, `${command} ${flag}`).toContain(`\`${flag}`)
    }
    // What the section on chat says instead of a table.
    const shared = flags
      .get('run')
      ?.filter((flag) => !['--chat', '--json', '--schema', '--grammar', '--regex'].includes(flag))
    expect(flags.get('chat')).toEqual(shared)
  })

  test('command lines are taken apart as a shell does', () => {
    const text = '```text\n$ echo x | npx cria run -n 3 "a b" | head\nanswer\n```\n$ cria no'
    expect(shownCommands({ path: 'a.md', text })).toEqual([
      { where: 'a.md:2', args: ['run', '-n', '3', 'a b'], answer: 'answer' }
    ])
    expect(namedCommands({ path: 'a.md', text: 'as `cria fly` does' })).toEqual([
      { where: 'a.md:1', command: 'fly' }
    ])
  })
})

describe('docs/api.md', () => {
  const api = readFile('docs/api.md').text

  test('has a row for every option and every error', () => {
    const program = `
      import { checkGenerate, checkLoad } from 'cria'
      import { errorCodes } from './dist/errors.js'
      const names = [checkLoad({}), checkGenerate({}), errorCodes].map(Object.keys)
      console.log(JSON.stringify(names.flat()))`
    const names: string[] = JSON.parse(node(['--input-type=module', '-e', program]).stdout)
    expect(names.length).toBeGreaterThan(25)
    const rows = [...api.matchAll(/^\| `(\w+)` +\|/gm)].map(([, name]) => name)
    expect(names.filter((name) => !rows.includes(name))).toEqual([])
  })

  test('names everything that the package exports', () => {
    const index = readFile('lib/index.ts').text.replaceAll(/\/\*[\s\S]*?\*\//g, '')
    const values = [...index.matchAll(/^export \{([^}]*)\}/gm)].flatMap(([, list = '']) =>
      list.split(',').map((name) => name.trim())
    )
    const names = values.filter((name) => !name.startsWith('type '))
    expect(names).toContain('Model')
    const named = (name: string) => new RegExp(`\`${name}\\b`).test(api)
    expect(names.filter((name) => !named(name))).toEqual([])
  })
})

test('docs/formats.md lists every type with its id and size, and what is computed', () => {
  const formats = readFile('docs/formats.md').text.replaceAll(/ +/g, ' ') // cells unpadded
  const source = readFile('csrc/quant/dtype.cpp').text
  const types = [...source.matchAll(/\{(\d+), "(\w+)", (\d+), (\d+), (kComputed|kKnown)\}/g)]
  expect(types.length).toBeGreaterThan(30)
  for (const [, id, name, weights, bytes, known] of types) {
    const bits = Number(((Number(bytes) * 8) / Number(weights)).toFixed(4))
    const row = `| ${name} | ${id} | ${weights} | ${bytes} | ${bits} |`
    if (known === 'kComputed') expect(formats).toContain(row)
    else expect(formats, name).toMatch(new RegExp(`(?<!\\w)${name}[,.]`))
  }
})

describe('programs', () => {
  const examples = filesUnder('examples', /\.(mjs|ts)$/)

  test.each(examples)('$path runs', ({ path }) => {
    const run = node([path])
    expect(run.stderr).toBe('')
    expect(run.status).toBe(0)
    expect(run.stdout).not.toBe('')
  })

  test('there are some, and the README names each', () => {
    expect(examples.length).toBeGreaterThanOrEqual(2)
    for (const { path } of examples) expect(readFile('README.md').text).toContain(`(${path})`)
  })

  test('the first program of the README tells a story', () => {
    const blocks = readFile('README.md').text.matchAll(/^```js\n([\s\S]*?)^```/gm)
    const first = [...blocks].map(([, code = '']) => code).find((code) => code.includes('import '))
    const run = node(['--input-type=module', '-e', first ?? ''])
    expect(run.stderr).toBe('')
    expect(run.stdout.split(/\s+/).length).toBeGreaterThan(10)
  })
})
