/** `cria bench`: how fast the network of a model computes. */
import {
  type BenchmarkOptions,
  type BenchmarkReport,
  benchmark,
  checkBenchmark,
  diagnose,
  type LoadOptions
} from '../index.js'
import type { Command } from './command.js'
import { exitCodes, UsageError } from './exit.js'
import type { Arguments, Flag } from './flags.js'
import { deviceFlag, modelFlag, toDevice } from './groups.js'
import { whileInterruptible } from './interrupt.js'
import { bytes, print, printJson } from './output.js'

const list = (name: string, short: string, help: string): Flag => ({
  name,
  short,
  kind: 'text',
  value: 'N,…',
  help
})

const formats = ['md', 'json', 'csv'] as const

export const benchCommand: Command = {
  name: 'bench',
  operands: '',
  maxOperands: 0,
  summary: 'measure prefill and decode of a model',
  details: `Times prompts (pp) and generation (tg) as llama-bench does: random tokens, no tokenizer and no
sampler, one untimed run and then the repetitions. Figures are tokens per second, mean ± standard
deviation. A size of 0 leaves a kind out. Lists are measured in every combination.`,
  flags: [
    modelFlag,
    deviceFlag,
    list('n-prompt', 'p', 'prompt sizes in tokens (default 512)'),
    list('n-gen', 'n', 'numbers of tokens to generate (default 128)'),
    list('n-depth', 'd', 'tokens in the cache beforehand (default 0)'),
    list('threads', 't', 'threads that compute (default: one per physical core)'),
    list('batch-size', 'b', 'most tokens that one step computes (default 512)'),
    {
      name: 'kv-type',
      kind: 'text',
      value: 'TYPE,…',
      help: 'how keys and values are stored: f16 (default), q8_0'
    },
    { name: 'repetitions', short: 'r', kind: 'number', value: 'N', help: 'timed runs (default 5)' },
    { name: 'output', short: 'o', kind: 'text', value: 'FORMAT', help: 'md (default), json or csv' }
  ],
  run
}

async function run(args: Arguments): Promise<number> {
  const format = toFormat(args.text('output'))
  const options = toOptions(args)
  const loads = toLoads(args)
  const abort = new AbortController()
  const reports: BenchmarkReport[] = []
  await whileInterruptible(
    () => abort.abort(),
    async () => {
      for (const load of loads) {
        const sizes = { ...options, ...load, signal: abort.signal }
        reports.push(await benchmark(args.text('model'), sizes))
      }
    }
  )
  if (format === 'json') await printJson({ machine: diagnose().machine, reports })
  else await print(format === 'csv' ? toCsv(reports) : toMarkdown(reports))
  return exitCodes.ok
}

/** Checked before a model is loaded, so that an error names the command line at once. */
function toOptions(args: Arguments): BenchmarkOptions {
  const options: BenchmarkOptions = {
    prompt: toCounts(args, 'n-prompt')?.filter((count) => count !== 0),
    generate: toCounts(args, 'n-gen')?.filter((count) => count !== 0),
    depths: toCounts(args, 'n-depth'),
    repetitions: args.number('repetitions'),
    devices: toDevice(args)
  }
  checkBenchmark(options)
  return options
}

type Load = Pick<LoadOptions, 'threads' | 'batchSize' | 'kvType'>

/** Every combination of what a model is loaded with, checked likewise. */
function toLoads(args: Arguments): Load[] {
  const kvTypes = args.text('kv-type')?.split(',') as LoadOptions['kvType'][] | undefined
  const loads = (toCounts(args, 'threads') ?? [undefined]).flatMap((threads) =>
    (toCounts(args, 'batch-size') ?? [undefined]).flatMap((batchSize) =>
      (kvTypes ?? [undefined]).map((kvType) => ({ threads, batchSize, kvType }))
    )
  )
  for (const load of loads) checkBenchmark(load)
  return loads
}

export function toFormat(text = 'md'): (typeof formats)[number] {
  const format = formats.find((known) => known === text)
  if (!format) {
    throw new UsageError(`--output must be ${formats.join(', ')}; got ${JSON.stringify(text)}`)
  }
  return format
}

/** "512,1024" as numbers. */
export function toCounts(args: Arguments, name: string): number[] | undefined {
  return args
    .text(name)
    ?.split(',')
    .map((text) => {
      if (/^\s*\d+\s*$/.test(text)) return Number(text)
      throw new UsageError(
        `--${name} must be whole numbers with commas between, got ${JSON.stringify(text)}`
      )
    })
}

const numeric = ['threads', 'batch', 't/s']
const columns = ['model', 'size', 'params', 'kernels', 'threads', 'batch', 'kv', 'test', 't/s']

function cells({ model, kvType }: BenchmarkReport): string[] {
  const parameters = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 2 })
  return [
    model.description,
    bytes(model.fileBytes),
    parameters.format(model.parameters),
    model.kernels,
    String(model.threads),
    String(model.batchSize),
    kvType
  ]
}

function toMarkdown(reports: readonly BenchmarkReport[]): string {
  const rows = reports.flatMap((report) =>
    report.rows.map(({ name, tokensPerSecond, deviation }) => [
      ...cells(report),
      name,
      `${tokensPerSecond.toFixed(2)} ± ${deviation.toFixed(2)}`
    ])
  )
  const rule = columns.map((column) => (numeric.includes(column) ? '---:' : '---'))
  return [columns, rule, ...rows].map((row) => `| ${row.join(' | ')} |\n`).join('')
}

function toCsv(reports: readonly BenchmarkReport[]): string {
  const head =
    'model,file_bytes,parameters,kernels,threads,batch_size,kv_type,prompt,generate,depth,' +
    'tokens_per_second,deviation'
  const rows = reports.flatMap(({ model, kvType, rows: timed }) =>
    timed.map((row) => [
      JSON.stringify(model.description),
      model.fileBytes,
      model.parameters,
      model.kernels,
      model.threads,
      model.batchSize,
      kvType,
      row.prompt,
      row.generate,
      row.depth,
      row.tokensPerSecond,
      row.deviation
    ])
  )
  return [head, ...rows.map((row) => row.join(','))].map((line) => `${line}\n`).join('')
}
