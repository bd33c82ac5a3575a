/** `cria bench kernels`: every kernel, checked and then timed, beside the limits of the machine. */
import { open, writeFile } from 'node:fs/promises'
import {
  checkKernelBenchmark,
  type KernelBenchmarkOptions,
  type KernelLimits,
  type KernelReport,
  type KernelRow,
  kernelBenchmark
} from '../index.js'
import { toCounts, toFormat } from './bench.js'
import type { Command } from './command.js'
import { exitCodes, UsageError } from './exit.js'
import type { Arguments, Flag } from './flags.js'
import { whileInterruptible } from './interrupt.js'
import { bytes, note, print, printJson } from './output.js'
import { roofline } from './roofline.js'

const names = (name: string, help: string): Flag => ({ name, kind: 'text', value: 'NAME,…', help })

export const benchKernelsCommand: Command = {
  name: 'bench kernels',
  operands: '',
  maxOperands: 0,
  summary: 'check and time the kernels, beside the limits of the machine',
  details: `Measures what the machine reaches at most with nothing around it (8-bit dot products, fused
multiply-adds, reading from each cache and from memory), then holds every kernel against the scalar
table and times it. A kernel whose result is wrong is not timed, and the exit code is 1.
Without flags: the best table, the commonest types, 1 and 512 tokens.`,
  flags: [
    names(
      'op',
      'operations: matmul, matmul-rows, attention, store_kv, quantize, rmsnorm, rope, silu_mul, add, exp'
    ),
    names(
      'type',
      'types: of weights (q4_k), of the KV cache (f16, q8_0), q8_32 and q8_256 of quantize, f32 of the others'
    ),
    names('table', 'kernel tables: avx512_vnni, avx512_base, avx_vnni, avx2, scalar'),
    names('place', 'where the data lies: l1, l2, memory'),
    { name: 'shape', kind: 'text', value: 'NxK,…', help: 'weights from memory, such as 4096x4096' },
    {
      name: 'tokens',
      kind: 'text',
      value: 'N,…',
      help: 'tokens of a product, attention or store_kv (default 1,512)'
    },
    {
      name: 'depth',
      kind: 'text',
      value: 'N,…',
      help: 'tokens in the KV cache before them, in memory (default: up to 4096 in all, 0 for 512)'
    },
    { name: 'all', kind: 'switch', help: 'all that the flags above leave open, but for scalar' },
    {
      name: 'threads',
      short: 't',
      kind: 'number',
      value: 'N',
      help: 'threads that compute (default: one per physical core)'
    },
    { name: 'samples', short: 'r', kind: 'number', value: 'N', help: 'samples (default 7)' },
    {
      name: 'output',
      short: 'o',
      kind: 'text',
      value: 'FORMAT',
      help: 'md (default), json or csv'
    },
    { name: 'svg', kind: 'text', value: 'FILE', help: 'write a roofline picture there as well' }
  ],
  run
}

async function run(args: Arguments): Promise<number> {
  const format = toFormat(args.text('output'))
  const options = toOptions(args)
  const picture = args.text('svg')
  if (picture !== undefined) await checkWritable(picture)
  const abort = new AbortController()
  // Rows appear as they are measured; what is printed keeps its order.
  let printed = Promise.resolve()
  const say = (text: string) => {
    if (format === 'md') printed = printed.then(() => print(text))
  }
  const report = await whileInterruptible(
    () => abort.abort(),
    () =>
      kernelBenchmark({
        ...options,
        signal: abort.signal,
        onLimits: (limits) => say(`${limitsTable(limits)}\n${line(columns)}${line(rule)}`),
        onRow: (row) => say(line(cells(row)))
      })
  )
  await printed
  if (format === 'json') await printJson(report)
  if (format === 'csv') await print(toCsv(report))
  if (picture !== undefined) await draw(picture, report)
  const wrong = report.rows.filter(({ right }) => !right)
  for (const row of wrong) note(`cria: wrong result, not timed: ${label(row)}`)
  return wrong.length > 0 ? exitCodes.failure : exitCodes.ok
}

/** Checked before anything is measured. */
function toOptions(args: Arguments): KernelBenchmarkOptions {
  const given = (name: string) =>
    args
      .text(name)
      ?.split(',')
      .map((word) => word.trim())
  const options = {
    ops: given('op'),
    types: given('type')?.map((type) => type.toLowerCase()),
    tables: given('table'),
    places: given('place')?.map((place) => place.toLowerCase()),
    shapes: given('shape')?.map(toShape),
    tokens: toCounts(args, 'tokens'),
    depths: toCounts(args, 'depth'),
    all: args.has('all'),
    threads: args.number('threads'),
    samples: args.number('samples')
  }
  checkKernelBenchmark(options)
  return options as KernelBenchmarkOptions
}

/** "4096x11008" as N and K. */
function toShape(text: string): [number, number] {
  const [, rows, cols] = /^(\d+)[x×](\d+)$/.exec(text) ?? []
  if (rows !== undefined && cols !== undefined) return [Number(rows), Number(cols)]
  throw new UsageError(
    `--shape must be outputs and inputs, such as 4096x4096, with commas between; got ${JSON.stringify(text)}`
  )
}

/** A minute of measuring must not end with a file that cannot be written. */
async function checkWritable(path: string): Promise<void> {
  try {
    await (await open(path, 'a')).close()
  } catch (error) {
    throw new Error(`--svg: ${path} cannot be written (${(error as Error).message})`)
  }
}

async function draw(path: string, report: KernelReport): Promise<void> {
  await writeFile(path, roofline(report))
  const tables = new Set(report.rows.map(({ table }) => table))
  if (tables.size > 1) note(`${path} shows the kernels of ${[...tables][0]} alone`)
}

function label({ op, type, rows, cols, tokens, table, place }: KernelRow): string {
  return `${op} ${type} ${rows}x${cols}, ${tokens} tokens, ${table}, from ${place}`
}

const line = (row: readonly string[]) => `| ${row.join(' | ')} |\n`
const percent = (share: number) => `${(100 * share).toFixed(0)}%`
const figure = (value: number) => value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)
const known = <T>(value: T | null, format: (value: T) => string) =>
  value === null ? '–' : format(value)

/** Names and widths of the columns; numbers stand on the right. */
const layout = [
  ['op', 11],
  ['type', 6],
  ['shape', 10],
  ['tokens', -6],
  ['table', 11],
  ['place', 6],
  ['threads', -7],
  ['µs', -8],
  ['GB/s', -6],
  ['of bandwidth', -12],
  ['GOP/s', -6],
  ['of peak', -7],
  ['error', -6]
] as const

const pad = (text: string, width: number) =>
  width < 0 ? text.padStart(-width) : text.padEnd(width)
const columns = layout.map(([name, width]) => pad(name, width))
const rule = layout.map(([, width]) =>
  width < 0 ? `${'-'.repeat(-width - 1)}:` : '-'.repeat(width)
)

function cells(row: KernelRow): string[] {
  const texts = [
    row.op,
    row.type,
    `${row.rows}x${row.cols}`,
    String(row.tokens),
    row.table,
    row.place,
    String(row.threads),
    row.right ? known(row.microseconds, figure) : 'WRONG',
    known(row.gigabytesPerSecond, figure),
    known(row.bandwidthShare, percent),
    known(row.gigaopsPerSecond, figure),
    known(row.arithmeticShare, percent),
    Number.isFinite(row.error) ? row.error.toFixed(2) : '∞'
  ]
  return texts.map((text, i) => pad(text, layout[i]?.[1] ?? 0))
}

function limitsTable(limits: KernelLimits): string {
  const head = ['table', 'threads', 'dot GOP/s', 'FMA GOP/s', 'L1 GB/s', 'L2 GB/s', 'memory GB/s']
  const dashes = head.map((_, i) => (i === 0 ? '---' : '---:'))
  const rows = limits.ceilings.map((one) => [
    one.table,
    String(one.threads),
    ...[one.dotGops, one.fmaGops, one.l1, one.l2].map(figure),
    known(one.memory, figure)
  ])
  const memory = limits.memoryBytes > 0 ? `, memory ${bytes(limits.memoryBytes)}` : ''
  const caches = `L1 ${bytes(limits.l1Bytes)}, L2 ${bytes(limits.l2Bytes)}${memory}`
  const barrier = `; barrier of ${limits.threads} threads ${figure(limits.barrierMicroseconds)} µs`
  const wait = limits.threads > 1 ? barrier : ''
  return `${[head, dashes, ...rows].map(line).join('')}\n${caches}${wait}\n`
}

function toCsv({ rows }: KernelReport): string {
  const keys = [
    'op',
    'type',
    'rows',
    'cols',
    'tokens',
    'table',
    'place',
    'threads',
    'right',
    'error',
    'bytes',
    'operations',
    'microseconds',
    'bestMicroseconds',
    'gigabytesPerSecond',
    'gigaopsPerSecond',
    'bandwidthShare',
    'arithmeticShare'
  ] as const
  const head = keys.map((key) => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`))
  const body = rows.map((row) => keys.map((key) => row[key] ?? ''))
  return [head, ...body].map((row) => `${row.join(',')}\n`).join('')
}
