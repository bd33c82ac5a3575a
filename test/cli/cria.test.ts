/** The program end to end. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { cria, start } from './support.js'

const { version } = createRequire(import.meta.url)('../../package.json') as { version: string }
const stories = fileURLToPath(
  new URL('../../../shared/models/stories260k-f32.gguf', import.meta.url)
)
const rate = /\d+ prompt tokens.* at [\d.]+ tokens\/s; \d+ tokens at [\d.]+ tokens\/s/

describe('help and version', () => {
  test('--help, help COMMAND, COMMAND --help, --version', async () => {
    const [all, topic, command, number] = await Promise.all([
      cria(['--help']),
      cria(['help', 'run']),
      cria(['run', '--help']),
      cria(['--version'])
    ])
    expect(all).toMatchObject({ code: 0, stderr: '' })
    for (const name of ['run', 'chat', 'inspect', 'tokenize', 'bench', 'doctor']) {
      expect(all.stdout).toContain(`  ${name}`)
    }
    expect(topic).toEqual(command)
    expect(topic.stdout).toContain('--temp')
    expect(number).toMatchObject({ code: 0, stdout: `${version}\n` })
  })
})

describe('wrong usage is exit code 2 and one line', () => {
  test.each([
    [[], 'no command given'],
    [['rnu'], 'did you mean run?'],
    [['help', 'chta'], 'did you mean chat?'],
    [['run', '--tmep', '1'], 'did you mean --temp?'],
    [['run', '--temp', '-1', 'x'], '--temp must be a number from 0 to 100, got -1'],
    [['run', 'Once', 'upon'], 'run does not take "upon"; put quotes'],
    [['chat', 'hello'], 'chat does not take "hello"'],
    [['run', '--chat'], '--chat answers a message'],
    [['tokenize'], 'needs a TEXT'],
    [['bench', '-p', '12,x'], '--n-prompt must be whole numbers'],
    [['bench', '-o', 'xml'], '--output must be md, json, csv'],
    [['bench', '-p', '0', '-n', '0'], 'at least one size'],
    [['bench', '-t', '0'], 'threads must be'],
    [['bench', '-b', '16,0'], 'batchSize must be'],
    [['bench', '--kv-type', 'f16,f17'], 'kvType must be'],
    [['run', '-c', '100000', 'x'], '512'],
    [['run', '-m', '', 'x'], 'empty text']
  ])('%j', async (args, message) => {
    const { code, stdout, stderr } = await cria(args)
    expect(stderr).toContain(message)
    expect(stderr).toMatch(/^cria: .*\n$/)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  })
})

describe('failures are exit code 1 and one line, with the stack for CRIA_DEBUG=1', () => {
  test.each([
    [['run', '-m', '/nowhere.gguf', 'x'], 'ERR_CRIA_FILE'],
    [['inspect', '/nowhere.gguf'], 'ERR_CRIA_FILE'],
    [['inspect', fileURLToPath(import.meta.url)], 'ERR_CRIA_BAD_GGUF'],
    [['run', `${'word '.repeat(1000)}`], 'ERR_CRIA_CONTEXT_OVERFLOW']
  ])('%j', async (args, code) => {
    const quiet = await cria(args)
    expect(quiet).toMatchObject({ code: 1, stdout: '' })
    expect(quiet.stderr).toMatch(/^cria: .*\n$/)
    expect(quiet.stderr).toContain(code)
    const loud = await cria(args, { env: { CRIA_DEBUG: '1' } })
    expect(loud.code).toBe(1)
    expect(loud.stderr).toContain('    at ')
  })

  test('an unknown kernel table', async () => {
    const { code, stderr } = await cria(['run', 'x'], { env: { CRIA_CPU: 'sse9' } })
    expect(code).toBe(2)
    expect(stderr).toContain('sse9')
  })
})

describe('run', () => {
  test('prints the text alone on standard output, the rates on standard error', async () => {
    const args = ['run', '--temp', '0', '-n', '20', 'Once upon a time']
    const { code, stdout, stderr } = await cria(args)
    expect(code).toBe(0)
    expect(stdout.length).toBeGreaterThan(20)
    expect(stdout).not.toContain('tokens/s')
    expect(stderr).toMatch(rate)
    expect(await cria([...args, '-q'])).toMatchObject({ stdout, stderr: '' })
    const piped = await cria([...args.slice(0, -1), '-'], { input: 'Once upon a time\n' })
    expect(piped.stdout).toBe(stdout)
    const json = JSON.parse((await cria([...args, '--json'])).stdout)
    expect(json).toMatchObject({ model: 'Cria demo', text: stdout, finishReason: 'length' })
    expect(json.usage.completionTokens).toBe(20)
  })

  test('without a prompt the demo model tells a story', async () => {
    const { code, stdout } = await cria(['run', '-s', '1'])
    expect(code).toBe(0)
    expect(stdout.length).toBeGreaterThan(100)
    expect(stdout).not.toContain('[INST]')
  })

  test('--chat answers, a seed reproduces, --stop ends', async () => {
    const answer = await cria(['run', '--chat', '--temp', '0', 'What is the opposite of hot?'])
    expect(answer.stdout).toMatch(/cold/i)
    const seeded = ['run', '-s', '5', '-n', '30', 'Once']
    const [one, two] = await Promise.all([cria(seeded), cria(seeded)])
    expect(two.stdout).toBe(one.stdout)
    const stopped = await cria(['run', '--temp', '0', '--stop', '.', 'Once upon a time'])
    expect(stopped.stdout).not.toContain('.')
    expect(stopped.stderr).toContain('(stop)')
  })

  test('--schema holds the text to JSON, and a wrong one is told before a model is loaded', async () => {
    const file = join(tmpdir(), `cria-${process.pid}.schema.json`)
    try {
      writeFileSync(file, '{"type": "integer", "minimum": 10, "maximum": 12}')
      const { stdout } = await cria(['run', '--json', '-q', '--schema', file, 'A number: '])
      const { object } = JSON.parse(stdout)
      expect([10, 11, 12]).toContain(object)
      writeFileSync(file, '{"type": "array", "uniqueItems": true}')
      const refused = await cria(['run', '-m', 'none.gguf', '--schema', file, 'x'])
      expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('#/uniqueItems') })
      writeFileSync(file, '{')
      const broken = await cria(['run', '--schema', file, 'x'])
      expect(broken.stderr).toContain('the schema is no JSON')
      const stopped = await cria(['run', '--schema', file, '--stop', 'a', 'x'])
      expect(stopped).toMatchObject({ code: 2, stderr: expect.stringContaining('give no --stop') })
    } finally {
      rmSync(file)
    }
  })

  test('--grammar and --regex hold the text to them', async () => {
    const file = join(tmpdir(), `cria-${process.pid}.gbnf`)
    writeFileSync(file, 'root ::= "- " [a-z]+ "\\n"')
    try {
      const list = await cria(['run', '-q', '--grammar', file, 'A list:'])
      expect(list.stdout).toMatch(/^- [a-z]+\n$/)
    } finally {
      rmSync(file)
    }
    const held = await cria(['run', '--json', '-q', '--regex', '(red|blue)', 'The ball was '])
    expect(JSON.parse(held.stdout)).toMatchObject({
      text: expect.stringMatching(/^(red|blue)$/),
      complete: true
    })
    const wrong = [
      ['--regex', '(a', 'this parenthesis is never closed'],
      ['--grammar', file, 'cannot read the grammar'],
      ['--regex', 'a', '--grammar', file, 'exclude each other']
    ]
    for (const args of wrong) {
      const { code, stderr } = await cria(['run', ...args.slice(0, -1), 'x'])
      expect(code).not.toBe(0)
      expect(stderr).toContain(args.at(-1))
    }
  })

  test.skipIf(!existsSync(stories))('continues as the golden text', async () => {
    const golden = readFileSync(stories.replace('-f32.gguf', '.greedy.txt'), 'utf8').trimEnd()
    for (const table of ['scalar', 'avx2']) {
      const env = { CRIA_CPU: table }
      const args = ['run', '-m', stories, '--temp', '0', '-n', '200', '-t', '1', 'Once upon a time']
      const { code, stdout, stderr } = await cria(args, { env })
      if (code !== 0)
        expect(stderr).toContain(table) // a CPU without AVX2
      else expect(`Once upon a time${stdout}`.slice(0, golden.length)).toBe(golden)
    }
  })

  test('a reader that leaves ends it quietly', async () => {
    const { child, ended } = start(['run', '-q', 'Once upon a time'])
    child.stdout?.once('data', () => child.stdout?.destroy())
    const { code, signal, stderr } = await ended
    expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' })
  })

  test('Ctrl-C ends it cleanly: what came stays, exit code 130', async () => {
    const { child, ended } = start(['run', '--temp', '0', 'Once upon a time'], {
      env: { CRIA_CPU: 'scalar' }
    })
    child.stdout?.once('data', () => child.kill('SIGINT'))
    const { code, signal, stdout, stderr } = await ended
    expect({ code, signal }).toEqual({ code: 130, signal: null })
    expect(stdout.length).toBeGreaterThan(0)
    expect(stderr).toContain('(abort)')
  })
})

describe('chat', () => {
  test('takes each line of standard input as a turn', async () => {
    const input = 'What is the opposite of hot?\n\n/reset\nWho are you?\n/exit\nnever read\n'
    const { code, stdout, stderr } = await cria(['chat', '--temp', '0'], { input })
    expect(code).toBe(0)
    const answers = stdout.trimEnd().split('\n')
    expect(answers).toHaveLength(2)
    expect(answers[0]).toMatch(/cold/i)
    expect(stderr.match(/tokens\/s/g)?.length).toBeGreaterThanOrEqual(2)
  })

  test('an error ends a script', async () => {
    const { code, stderr } = await cria(['chat', '-c', '32'], { input: `${'word '.repeat(99)}\n` })
    expect(code).toBe(1)
    expect(stderr).toContain('ERR_CRIA_CONTEXT_OVERFLOW')
  })

  test('the system message counts', async () => {
    const input = 'Hi\n'
    const [one, two] = await Promise.all([
      cria(['chat', '--temp', '0', '-n', '8'], { input }),
      cria(['chat', '--temp', '0', '-n', '8', '--system', 'You are a pirate.'], { input })
    ])
    const prompt = ({ stderr }: { stderr: string }) => Number(/(\d+) prompt/.exec(stderr)?.[1])
    expect(prompt(two)).toBeGreaterThan(prompt(one))
  })
})

describe('bench', () => {
  const sizes = ['bench', '-p', '8,16', '-n', '4', '-r', '2']

  test('a Markdown table with a row for every size and combination of a load', async () => {
    const { code, stdout } = await cria([...sizes, '-t', '1,2', '-b', '8,16', '--kv-type', 'f16'])
    expect(code).toBe(0)
    const [head, , ...rows] = stdout.trimEnd().split('\n')
    expect(head).toBe('| model | size | params | kernels | threads | batch | kv | test | t/s |')
    const loads = ['1 8 f16', '1 16 f16', '2 8 f16', '2 16 f16']
    expect(rows.map((row) => row.split(' | ').slice(4, 8).join(' '))).toEqual(
      loads.flatMap((load) => ['pp8', 'pp16', 'tg4'].map((name) => `${load} ${name}`))
    )
    for (const row of rows) expect(row).toMatch(/\d+\.\d\d ± \d+\.\d\d \|$/)
  })

  test('JSON and CSV', async () => {
    const [json, csv] = await Promise.all([
      cria([...sizes, '-d', '5', '-o', 'json']),
      cria([...sizes, '-d', '5', '-o', 'csv'])
    ])
    const { machine, reports } = JSON.parse(json.stdout)
    expect(machine).toMatchObject({ memoryBytes: totalmem(), node: process.version })
    expect(machine.cores).toBeGreaterThanOrEqual(machine.usableCores)
    expect(reports[0]).toMatchObject({ kvType: 'f16', model: { name: 'Cria demo' } })
    expect(reports[0].rows).toHaveLength(3)
    expect(csv.stdout.trimEnd().split('\n')).toHaveLength(4)
    expect(csv.stdout).toMatch(
      /^model,.*\n"5.2M Q8_0",5633632,5246208,.*,512,f16,8,0,5,[\d.]+,[\d.]+\n/
    )
  })
})

describe('inspect', () => {
  test('as a table and as JSON', async () => {
    const [table, tensors, json] = await Promise.all([
      cria(['inspect']),
      cria(['inspect', '--tensors']),
      cria(['inspect', '--json'])
    ])
    expect(table.stdout).toContain('general.architecture')
    expect(table.stdout).toContain('Q8_0')
    expect(tensors.stdout).toContain('blk.0.attn_q.weight')
    expect(JSON.parse(json.stdout)).toMatchObject({ version: 3, parameters: 5_246_208 })
  })
})

describe('tokenize', () => {
  test('one id and piece a line, or JSON', async () => {
    const { code, stdout, stderr } = await cria(['tokenize', '--bos', 'Hello </s>'])
    expect(code).toBe(0)
    const lines = stdout.trimEnd().split('\n')
    expect(lines[0]).toBe('1\t<s>')
    expect(lines.length).toBeGreaterThan(4)
    expect(stderr).toBe(`${lines.length} tokens\n`)
    const json = await cria(['tokenize', '--json', '--special', '-'], { input: 'Hello </s>\n' })
    expect(JSON.parse(json.stdout).pieces.at(-1)).toBe('</s>')
  })
})

describe('doctor', () => {
  test('tells what it finds, and which table CRIA_CPU forces', async () => {
    const [plain, forced, json, wrong] = await Promise.all([
      cria(['doctor']),
      cria(['doctor'], { env: { CRIA_CPU: 'scalar' } }),
      cria(['doctor', '--json'], { env: { CRIA_CUDA_PLUGIN: '/nowhere.so' } }),
      cria(['doctor'], { env: { CRIA_CPU: 'sse9' } })
    ])
    expect(plain.code).toBe(0)
    for (const row of ['cria', 'node', 'addon', 'cpu features', 'threads', 'memory', 'cuda']) {
      expect(plain.stdout).toContain(`${row}  `)
    }
    expect(plain.stdout).toMatch(/demo model +works/)
    expect(forced.stdout).toContain('CRIA_CPU=scalar')
    expect(JSON.parse(json.stdout)).toMatchObject({
      version,
      cuda: { devices: [] },
      trial: { works: true, device: 'cpu' }
    })
    expect(wrong.code).toBe(1)
    expect(wrong.stdout).toContain('sse9')
  })
})

test('an addon that cannot be loaded is one line with the remedy', async () => {
  const { code, stderr } = await cria(['--help'], { env: { CRIA_NATIVE: '/nowhere.node' } })
  expect(code).toBe(1)
  expect(stderr).toContain('cria: the native addon cannot be loaded')
  expect(stderr).toContain('npm rebuild cria')
})
