/** The parts of bench/peers that need no peer: it is not installed where tests run. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { root } from '../api/support/built.js'

const part = (name: string) => import(new URL(`bench/${name}.mjs`, root).href)
const { quantile, summarize } = await part('peers/statistics')
const { best, comparisons, loadSummary } = await part('peers/results')
const { parseOptions, UsageError, help } = await part('peers/options')
const { compareTexts, sharedPrefix } = await part('peers/check')
const { checkTexts, measureCase } = await part('peers/measure')
const { serveCases, speedCases } = await part('peers/cases')
const { table, toMarkdown } = await part('peers/report')
const { toSvg } = await part('peers/chart')
const { inChild } = await part('peers/child')
const { withResults } = await part('peers/docs')
const { put, resume, writeWhole } = await part('peers/store')
const llamaBench = await part('peers/engines/llama-bench')
const nodeLlamaCpp = await part('peers/engines/node-llama-cpp')

const file = (name: string) => readFileSync(new URL(name, root), 'utf8')

const versions = { Cria: '1 (abc)', peer: '2' }
const measured = {
  model: 'm<1>',
  name: 'pp512',
  kvType: 'f16',
  threads: 2,
  versions,
  rounds: [
    { Cria: { '': [100, 120] }, peer: { plain: [50], flash: [55] }, other: { '': [220] } },
    { Cria: { '': [90] }, peer: { plain: [61], flash: [60] }, other: { '': [90] } },
    { Cria: { '': [120] }, peer: { plain: [60], flash: [80] }, other: { '': [80] } }
  ]
}
const results = {
  machine: {
    cpu: 'A CPU',
    usableCores: 2,
    memoryBytes: 8e9,
    os: 'linux',
    node: 'v20',
    kernels: 'avx2'
  },
  check: [{ model: 'm', peer: 'peer', setting: 'plain', shared: 48, of: 48, text: 'a', versions }],
  cases: [measured],
  load: [
    {
      model: 'm',
      fileBytes: 5e6,
      cold: true,
      rounds: [{ readSeconds: 0.5, loadSeconds: 0.6 }],
      versions: { Cria: '2 (def)' }
    }
  ]
}

describe('statistics', () => {
  test('quantiles lie between the two nearest', () => {
    expect([0, 0.25, 0.5, 1].map((q) => quantile([4, 1, 2, 3], q))).toEqual([1, 1.75, 2.5, 4])
    expect(quantile([7], 0.9)).toBe(7)
    expect(() => quantile([], 0.5)).toThrow(RangeError)
  })

  test('numbers are ordered as numbers', () => {
    expect(summarize([10, 9, 100])).toEqual({ median: 10, q1: 9.5, q3: 55, min: 9, max: 100 })
  })
})

describe('ratios', () => {
  test('the best setting of a round counts, by the mean of its repetitions', () => {
    expect(best({ a: [10, 20], b: [14] })).toEqual({ label: 'a', rate: 15, runs: 2 })
  })

  test('are of the same round, each peer by itself', () => {
    const [peer, other] = comparisons(measured)
    expect(peer).toMatchObject({ peer: 'peer', label: 'flash', own: { median: 110, min: 90 } })
    expect(peer.ratio).toMatchObject({ min: 90 / 61, median: 1.5, max: 2 })
    expect(other.ratio).toMatchObject({ min: 0.5, median: 1, max: 1.5 })
  })

  test('a peer that does not measure the case has no row', () => {
    expect(comparisons({ rounds: [{ Cria: { '': [1] } }] })).toEqual([])
  })

  test('a load is held against reading', () => {
    const rounds = [2, 3, 4].map((loadSeconds) => ({ readSeconds: 2, loadSeconds }))
    expect(loadSummary({ rounds }).ratio).toMatchObject({ median: 1.5, min: 1, max: 2 })
  })
})

describe('the command line', () => {
  test('defaults, lists and --quick', () => {
    expect(parseOptions([])).toMatchObject({ rounds: 7, prompt: [512], depths: [0], models: [] })
    const given = [
      '-p',
      '0',
      '-n',
      '8, 16',
      '-d',
      '0,64',
      '-m',
      'a',
      '-m',
      'b',
      '--kv-type',
      'q8_0'
    ]
    expect(parseOptions(given)).toMatchObject({
      prompt: [],
      generate: [8, 16],
      depths: [0, 64],
      models: ['a', 'b'],
      kvTypes: ['q8_0']
    })
    expect(parseOptions(['--quick', '--rounds', '3'])).toMatchObject({ rounds: 3, prompt: [128] })
  })

  test.each([
    [['--round', '3'], '--round'],
    [['stray'], 'stray'],
    [['--rounds'], '--rounds'],
    [['--rounds', '0'], '--rounds takes a whole number from 1 to 1000; got "0"'],
    [['-t', '257'], '--threads takes a whole number from 1 to 256'],
    [['-p', '12,x'], '--n-prompt takes whole numbers'],
    [['-p', '-1'], '--n-prompt'],
    [['--type', 'q4_0,q9'], '--type takes f16, q4_0'],
    [['--shape', '3b'], '--shape takes 1.1b, 7b'],
    [['--measure', 'all'], '--measure takes speed, stream, serve, load'],
    [['--kv-type', ''], '--kv-type takes f16, q8_0; got ""']
  ])('%j is wrong usage', (args, message) => {
    expect(() => parseOptions(args)).toThrow(UsageError)
    expect(() => parseOptions(args)).toThrow(message)
  })

  test('every flag of the help is understood', () => {
    const flags = [...help.matchAll(/--([a-z][\w-]*)(?: [A-Z])?/g)].map(([flag]) => flag)
    expect(flags.length).toBeGreaterThan(15)
    const values: Record<string, string> = {
      '--shape': '7b',
      '--type': 'f16',
      '--measure': 'load',
      '--kv-type': 'f16'
    }
    for (const flag of flags) {
      const [name = '', value] = flag.split(' ')
      const args = value === undefined ? [name] : [name, values[name] ?? '3']
      expect(() => parseOptions(args), flag).not.toThrow()
    }
  })
})

describe('the program', () => {
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [fileURLToPath(new URL('bench/peers/run.mjs', root)), ...args], {
      encoding: 'utf8'
    })

  test('wrong usage is exit code 2 and one line, before anything is set up', () => {
    const { status, stdout, stderr } = run('--rounds', 'many')
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(stderr).toBe('peers: --rounds takes a whole number from 1 to 1000; got "many"\n')
  })

  test('--help', () => {
    expect(run('--help')).toMatchObject({ status: 0, stdout: help, stderr: '' })
  })
})

describe('Cria as an engine, each measurement in a process of its own', () => {
  const path = fileURLToPath(new URL('models/cria-demo-q8_0.gguf', root))
  const work = { path, tokens: 8, depth: 4, kvType: 'f16', threads: 1, batchSize: 512 }

  test.each(['pp', 'tg', 'stream'])('%s gives a rate for every repetition', async (kind) => {
    const request = { ...work, kind, prompt: 'Once', repetitions: 2 }
    const { rates } = await inChild('cria', request)
    expect(rates).toHaveLength(2)
    expect(Math.min(...rates)).toBeGreaterThan(0)
  })

  test('text, read, load and describe', async () => {
    const ask = (kind: string) => inChild('cria', { ...work, kind, prompt: 'Once' })
    const [text, read, load, described] = await Promise.all(
      ['text', 'read', 'load', 'describe'].map(ask)
    )
    expect(text.ids).toHaveLength(8)
    expect(text.prompt[0]).toBe(1)
    expect(Math.min(read.seconds, load.seconds)).toBeGreaterThan(0)
    expect(described.machine).toMatchObject({ node: process.version })
  })

  test('serve gives tokens per second, and how long readers waited', async () => {
    const load = { conversations: 3, rate: 0, turns: 2, prefix: 8, prefixes: 1, seed: 1 }
    const request = { kind: 'serve', path, threads: 1, load: { ...load, prompt: 4, predict: 5 } }
    const { rates, figures } = await inChild('cria', request)
    expect(figures).toMatchObject({ requests: 6, promptTokens: 105, generatedTokens: 30 })
    expect(rates).toEqual([30 / figures.seconds])
    expect(figures.firstToken.count).toBe(6)
  })

  test('what it refuses ends the measurement with its message', async () => {
    const request = { ...work, kind: 'pp', path: '/nowhere.gguf', repetitions: 1 }
    await expect(inChild('cria', request)).rejects.toThrow(/^cria: .*nowhere\.gguf/)
  })
})

describe('cases and settings', () => {
  test('every size at every depth with each KV type', () => {
    const options = { prompt: [512], generate: [128], depths: [0, 64], kvTypes: ['f16', 'q8_0'] }
    const cases = speedCases(['/x/m.gguf'], { ...options, threads: 2 })
    expect(cases).toHaveLength(8)
    expect(cases[3]).toMatchObject({ model: 'm', name: 'tg128 @ d64', kind: 'tg', depth: 64 })
  })

  test('conversations at once: one stream, several, and a load', () => {
    const cases = serveCases(['/x/m.gguf'], { threads: 2 })
    const all = cases.map(({ load }: { load: { conversations: number } }) => load.conversations)
    expect(all).toEqual([1, 8, 8])
    expect(cases[1]).toMatchObject({ model: 'm', name: '8 streams', kind: 'serve' })
  })

  test('node-llama-cpp: a quantized cache needs flash attention; streams try one thread', () => {
    const labels = (work: object) =>
      nodeLlamaCpp.variants(work).map(({ label }: { label: string }) => label)
    const plain = { kind: 'pp', kvType: 'f16', threads: 2 }
    expect(labels(plain)).toEqual(['flash attention', 'plain attention'])
    expect(labels({ ...plain, kvType: 'q8_0' })).toEqual(['flash attention'])
    expect(labels({ ...plain, kind: 'stream' })).toHaveLength(4)
  })

  test('llama-bench: flags are those of its help', () => {
    const own = llamaBench.readHelp(
      ' -fa, --flash-attn <0|1>\n -gp <pp,tg>\n -rtr, --repack\n -b, x'
    )
    expect(own).toEqual({ name: 'ik_llama.cpp', flags: ['-gp', '-rtr', '-fa', '-b'] })
    const newer = llamaBench.readHelp('  -d, --n-depth <n>\n  -fa, --flash-attn <0|1>\n')
    expect(newer).toEqual({ name: 'llama.cpp', flags: ['-d', '-fa'] })
    expect(() => llamaBench.readHelp('usage: ls')).toThrow('llama-bench')

    const work = { kind: 'tg', tokens: 8, depth: 64, kvType: 'f16', path: 'm', threads: 2 }
    const request = { ...work, batchSize: 512, repetitions: 1, settings: ['-fa', '1'] }
    const line = (flags: string[]) => llamaBench.toArguments({ ...request, flags }).join(' ')
    const head = '-m m -t 2 -r 1 -o json -p 0'
    expect(line(own.flags)).toBe(`${head} -n 0 -gp 64,8 -b 512 -fa 1`)
    expect(line(newer.flags)).toBe(`${head} -n 8 -d 64 -fa 1`)
    expect(llamaBench.measures({ kind: 'pp', depth: 64 }, own)).toBe(false)
    expect(llamaBench.measures({ kind: 'stream', depth: 0 }, newer)).toBe(false)
    expect(llamaBench.variants(work, own)).toHaveLength(4)
  })
})

describe('the check of the engines', () => {
  const text = (ids: number[], letters = 'a text') => ({ ids, text: letters })
  const own = text([1, 2, 3, 4, 5, 6, 7, 8, 9])
  const late = text([1, 2, 3, 4, 5, 6, 7, 8, 7])

  test('where two texts part', () => {
    expect(sharedPrefix([1, 2, 3], [1, 2, 4])).toBe(2)
    expect(sharedPrefix([1, 2], [1, 2, 4])).toBe(2)
  })

  test('exact weights must agree to the end, others at the beginning', () => {
    expect(compareTexts(own, late, { exact: false })).toEqual({ shared: 8, of: 9, problems: [] })
    expect(compareTexts(own, late, { exact: true }).problems).toHaveLength(1)
    expect(compareTexts(own, text([1, 2, 4]), { exact: false }).problems).toHaveLength(2)
    expect(compareTexts(own, text(own.ids.slice(0, 8)), { exact: true }).problems).toHaveLength(1)
  })

  test('a text is sane: whole characters, several tokens', () => {
    expect(compareTexts(own, text(own.ids, 'a\uFFFD'), { exact: true }).problems).toHaveLength(1)
    const stuck = text(Array(9).fill(1))
    expect(compareTexts(stuck, stuck, { exact: true }).problems).toHaveLength(2)
  })
})

describe('measuring, with engines that pretend', () => {
  const asked: string[] = []
  const engine = (name: string, labels: string[], answer: object) => ({
    name,
    measures: () => true,
    variants: () => labels.map((label) => ({ label, setting: label })),
    ask: async ({ setting }: { setting?: string }) => {
      asked.push(`${name} ${setting ?? ''}`.trim())
      return answer
    }
  })
  const told: string[] = []
  const tell = (line: string) => told.push(line)

  test('a trial chooses a setting, then engines take turns', async () => {
    asked.length = 0
    const engines = [
      engine('Cria', [''], { rates: [30] }),
      {
        ...engine('peer', ['flash', 'plain'], {}),
        ask: async ({ setting }: { setting: string }) => {
          asked.push(`peer ${setting}`)
          return { rates: [setting === 'plain' ? 10 : 9] }
        }
      },
      { ...engine('other', ['x'], { rates: [1] }), measures: () => false }
    ]
    const work = { path: '/x/m.gguf', model: 'm', name: 'pp8', kind: 'pp' }
    expect(llamaBench.measures({ kind: 'serve' }, { flags: [] })).toBe(false)
    const kept: number[] = []
    const keep = ({ rounds }: { rounds: object[] }) => kept.push(rounds.length)
    const result = await measureCase(engines, work, { rounds: 2, repetitions: 1 }, tell, keep)
    const round = ['Cria', 'peer plain']
    expect(asked).toEqual(['peer flash', 'peer plain', ...round, ...round])
    expect(result.trial).toEqual({ peer: { flash: [9], plain: [10] } })
    expect(result.rounds).toEqual(Array(2).fill({ Cria: { '': [30] }, peer: { plain: [10] } }))
    expect(kept).toEqual([1, 2])
    expect(result).not.toHaveProperty('path') // of this machine alone
    expect(told.at(-1)).toBe('m pp8: 3.00 × peer')
  })

  test('texts that part end the run', async () => {
    const text = (ids: number[]) => ({ prompt: [1], ids, text: 'a text' })
    const own = engine('Cria', [''], text([1, 2, 3, 4, 5]))
    const check = (model: string, ids: number[]) =>
      checkTexts([own, engine('peer', ['flash'], text(ids))], [{ model }], { threads: 1 }, tell)
    expect(await check('m-f32', [1, 2, 3, 4, 5])).toMatchObject([{ shared: 5, of: 5 }])
    await expect(check('m-q8_0', [1, 2, 3, 4, 6])).rejects.toThrow('m-q8_0, flash: only 4 of')
  })
})

describe('results that are kept', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cria-peers-'))
  afterAll(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'kept.json')
  const told: string[] = []
  const again = (machine: object) => resume(path, { machine }, (line: string) => told.push(line))

  test('nothing is kept at first', () => {
    expect(again(results.machine)).toEqual({ ...results, check: [], cases: [], load: [] })
    expect(resume(undefined, results)).toMatchObject({ cases: [] })
  })

  test('a later run on the same machine goes on', () => {
    writeWhole(path, JSON.stringify(results))
    expect(readdirSync(folder)).toEqual(['kept.json'])
    expect(again(results.machine)).toEqual(results)
    expect(told.at(-1)).toContain('adding to')
  })

  test('that of another machine starts anew', () => {
    expect(again({ ...results.machine, cpu: 'B' }).cases).toEqual([])
    expect(told.at(-1)).toContain('starts anew')
  })

  test('a row takes the place of the same one', () => {
    const grown = structuredClone(results)
    const newer = { Cria: '3' }
    put(grown, 'cases', { ...measured, rounds: [] }, newer)
    put(grown, 'cases', { ...measured, threads: 1 }, newer)
    put(grown, 'load', { model: 'm', cold: false, rounds: [] }, newer)
    put(grown, 'check', { ...results.check[0], shared: 8 }, newer)
    expect(grown.cases.map((row) => row.versions)).toEqual([newer, newer])
    expect(grown.cases.map(({ threads, rounds }) => [threads, rounds.length])).toEqual([
      [2, 0],
      [1, 3]
    ])
    expect(grown.load.map(({ cold }) => cold)).toEqual([true, false])
    expect(grown.check.map(({ shared }) => shared)).toEqual([8])
  })
})

describe('what is written', () => {
  test('a Markdown table, aligned', () => {
    expect(table(['name', 'x:'], [['ä', '10']])).toBe(
      '| name |   x |\n| ---- | --: |\n| ä    |  10 |'
    )
  })

  test('a report with machine, check, ratios and loads', () => {
    const text = toMarkdown(results)
    expect(text).toContain('A CPU, 2 cores, 8 GB')
    expect(text).toContain('Cria 1 (abc) and 2 (def), peer 2.')
    expect(text).toContain('Each process timed 1 to 2 runs.')
    expect(text).toContain('m against peer, all 48 tokens equal')
    expect(text).toMatch(
      /m<1> +\| pp512 .* 3 \| +110\.0 \(90\.0–120\.0\) \| peer, flash .*\*\*1\.50\*\*/
    )
    expect(text).not.toContain('event-loop')
    const times = { p50: 1, p95: 2, p99: 3 }
    const seen = (generatedTokens: number) => ({
      generatedTokens,
      seconds: 2,
      firstToken: times,
      betweenTokens: times,
      eventLoopDelay: times
    })
    const waits = [{ Cria: seen(8) }, { Cria: seen(10) }]
    expect(toMarkdown({ ...results, cases: [{ ...measured, waits }] })).toMatch(
      /m<1> +\| pp512 +\| Cria +\| +4\.5 \| +1\.0 \| +2\.0 \| +1\.0 \| +3\.0 \| +3\.0 \|/
    )
    expect(text).toMatch(/5 MB, cold .*\*\*1\.20\*\*/)
  })

  test('a picture with a row for every comparison, within its frame', () => {
    const svg = toSvg(results)
    expect(svg).toContain('prefers-color-scheme: dark')
    expect(svg).toContain('m&#60;1&#62; · pp512')
    expect(svg.match(/>1\.50×</g)).toHaveLength(1)
    const width = Number(/ width="(\d+)"/.exec(svg)?.[1])
    const places = [...svg.matchAll(/ (?:x|x1|x2|cx)="([^"]*)"/g)].map(([, x]) => Number(x))
    expect(places.length).toBeGreaterThan(10)
    for (const x of places) expect(x >= 0 && x <= width, String(x)).toBe(true)
  })

  test('the documents show what is stored', () => {
    const stored = JSON.parse(file('bench/results/peers.json'))
    const page = file('docs/benchmarks.md')
    expect(withResults(page, stored)).toBe(page)
    expect(toSvg(stored)).toBe(file('docs/benchmarks.svg'))
    expect(withResults(page, results)).toContain('A CPU')
    expect(() => withResults('no place', results)).toThrow('docs/benchmarks.md')
  })
})
