/** `cria bench kernels` and its roofline. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import type { KernelReport, KernelRow } from '../../lib/index.js'
import { built } from '../api/support/built.js'
import { cria } from './support.js'

const { roofline } = await built<typeof import('../../lib/cli/roofline.js')>('cli/roofline.js')

const folder = mkdtempSync(join(tmpdir(), 'cria-kernels-'))
afterAll(() => rmSync(folder, { recursive: true }))

const few = [
  'bench',
  'kernels',
  '--op',
  'add,matmul',
  '--type',
  'f32,q8_0',
  '--place',
  'l1',
  '-r',
  '1'
]
const short = [...few, '--tokens', '1', '-t', '1']

describe('wrong usage is exit code 2 and one line', () => {
  test.each([
    [['--op', 'matmull'], 'did you mean matmul?'],
    [['--place', 'l3'], 'places: no "l3"; did you mean l1?'],
    [['--shape', '4096'], '--shape must be outputs and inputs'],
    [['--shape', '31x256'], 'shapes must be'],
    [['--tokens', '1,x'], '--tokens must be whole numbers'],
    [['--depth', '70000'], 'depths must be'],
    [['--table', 'sse9'], 'sse9'],
    [['-t', '0'], 'threads must be'],
    [['-o', 'xml'], '--output must be md, json, csv'],
    [['--typ', 'q4_0'], 'did you mean --type?'],
    [['now'], 'bench kernels does not take "now"']
  ])('%j', async (args, message) => {
    const { code, stdout, stderr } = await cria(['bench', 'kernels', ...args])
    expect(stderr).toContain(message)
    expect(stderr).toMatch(/^cria: .*\n$/)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  })

  test('the misspelt second word', async () => {
    const { stderr } = await cria(['bench', 'kernals'])
    expect(stderr).toContain('bench does not take "kernals"; did you mean bench kernels?')
  })
})

test('help of the two words', async () => {
  const [topic, command] = await Promise.all([
    cria(['help', 'bench', 'kernels']),
    cria(['bench', 'kernels', '--help'])
  ])
  expect(topic).toEqual(command)
  expect(topic.stdout).toContain('usage: cria bench kernels [FLAGS]')
})

test('md: the limits, then a row for each kernel', async () => {
  const { code, stdout, stderr } = await cria(short)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const [limits = '', sizes = '', rows = ''] = stdout.split('\n\n')
  expect(limits).toMatch(/^\| table \| threads \| dot GOP\/s/)
  expect(sizes).toMatch(/^L1 .*, L2 /)
  const table = `${sizes}\n${rows}`.split('\n').filter((line) => line.startsWith('|'))
  const cells = table.map((line) => line.split('|').map((cell) => cell.trim()))
  expect(cells.slice(2).map(([, op, type]) => `${op} ${type}`)).toEqual([
    'add f32',
    'matmul q8_0',
    'matmul f32'
  ])
  expect(new Set(cells.map(({ length }) => length)).size).toBe(1)
})

test('json, csv and svg say the same', async () => {
  const svg = join(folder, 'roofline.svg')
  const json = await cria([...short, '-o', 'json', '--svg', svg])
  expect(json).toMatchObject({ code: 0, stderr: '' })
  const report: KernelReport = JSON.parse(json.stdout)
  expect(report.rows.map(({ op }) => op)).toEqual(['add', 'matmul', 'matmul'])
  expect(report.rows.every(({ right }) => right)).toBe(true)
  expect(readFileSync(svg, 'utf8')).toBe(roofline(report))
  const csv = (await cria([...short, '-o', 'csv'])).stdout.trimEnd().split('\n')
  expect(csv[0]).toMatch(/^op,type,rows,cols,tokens,table,place,threads,right,error,bytes,/)
  expect(csv).toHaveLength(4)
  expect(new Set(csv.map((line) => line.split(',').length)).size).toBe(1)
})

test('a picture that cannot be written is said before anything is measured', async () => {
  const { code, stdout, stderr } = await cria([...short, '--svg', join(folder, 'no', 'x.svg')])
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  expect(stderr).toContain('cannot be written')
})

describe('roofline', () => {
  const row: KernelRow = {
    op: 'matmul',
    type: 'q4_0',
    table: 'avx2',
    place: 'memory',
    rows: 4096,
    cols: 4096,
    tokens: 1,
    threads: 2,
    error: 0.1,
    right: true,
    bytes: 4096 * 4096 * 0.5625,
    operations: 2 * 4096 * 4096,
    microseconds: 500,
    bestMicroseconds: 490,
    gigabytesPerSecond: 18.9,
    gigaopsPerSecond: 67,
    bandwidthShare: 0.82,
    arithmeticShare: 0.08
  }
  const ceiling = { table: 'avx2', threads: 2, dotGops: 800, fmaGops: 350, l1: 700, l2: 200 }
  const limits = {
    threads: 2,
    ceilings: [{ ...ceiling, memory: 23 }],
    barrierMicroseconds: 1,
    l1Bytes: 49_152,
    l2Bytes: 2 ** 20,
    memoryBytes: 2 ** 30
  }

  test('is well formed, with its roofs and a mark and a line for each point', () => {
    const slow = { ...row, place: 'l1', type: 'a<b&"c' } as const
    const svg = roofline({ limits, rows: [row, { ...slow, gigaopsPerSecond: 40 }] })
    expect(svg).toMatch(/^<svg xmlns="http:\/\/www.w3.org\/2000\/svg"/)
    expect(svg).not.toMatch(/NaN|Infinity|undefined|a<b/)
    for (const roof of ['memory 23 GB/s', 'L2 200 GB/s', 'L1 700 GB/s', '800 GOP/s', '350 GOP/s']) {
      expect(svg).toContain(roof)
    }
    expect(svg).toContain('matmul q4_0 4096×4096 memory: 82% · 8%')
    expect(svg.match(/<polygon/g)).toHaveLength(2) // the point, and its line in the legend
    expect(svg.match(/<circle/g)).toHaveLength(2)
    // Every tag that is opened is closed.
    for (const tag of ['svg', 'g', 'text', 'clipPath', 'style', 'title']) {
      const opened = svg.match(new RegExp(`<${tag}[ >]`, 'g'))?.length
      expect(svg.match(new RegExp(`</${tag}>`, 'g'))?.length, tag).toBe(opened)
    }
  })

  test('a faster kernel stands higher, one of more operations a byte further right', () => {
    const center = (rows: readonly KernelRow[]) => {
      const [, x, y] = /<polygon class="point memory" points="([\d.]+),([\d.]+)/.exec(
        roofline({ limits, rows })
      ) as RegExpExecArray
      return [Number(x), Number(y)] as const
    }
    // Two that hold the axes still.
    const corners: KernelRow[] = [0.01, 100].map((factor) => ({
      ...row,
      place: 'l1',
      gigaopsPerSecond: 7 * factor,
      operations: row.operations * factor
    }))
    const faster = { ...row, gigaopsPerSecond: 300, operations: row.operations * 5 }
    const [x, y] = center([row, ...corners])
    const [x2, y2] = center([faster, ...corners])
    expect(x2).toBeGreaterThan(x)
    expect(y2).toBeLessThan(y)
  })

  test('of more points than the legend holds, of wrong kernels, and of none', () => {
    const many = Array.from({ length: 90 }, (_, i) => ({ ...row, gigaopsPerSecond: 10 + i }))
    expect(roofline({ limits, rows: many })).toContain('and 10 more')
    const wrong = { ...row, right: false, gigaopsPerSecond: null }
    expect(roofline({ limits, rows: [wrong] })).toContain('no kernel was timed')
    expect(roofline({ limits, rows: [] })).toContain('</svg>')
  })
})
