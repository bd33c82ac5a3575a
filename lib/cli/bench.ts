/** `cria bench`: how fast the network of a model computes. */
import { type BenchmarkOptions, type BenchmarkReport, benchmark, checkBenchmark } from '../index.js'
import type { Command } from './command.js'
import { exitCodes, UsageError } from './exit.js'
import type { Arguments, Flag } from './flags.js'
import { modelFlag } from './groups.js'
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
deviation. A size of 0 leaves a kind out.`,
  flags: [
    modelFlag,
    list('n-prompt', 'p', 'prompt sizes in tokens (default 512)'),
    list('n-gen', 'n', 'numbers of tokens to generate (default 128)'),
    list('n-depth', 'd', 'tokens in the cache beforehand (default 0)'),
    list('threads', 't', 'threads that compute (default: one per physical core)'),
    {
      name: 'batch-size',
      short: 'b',
      kind: 'number',
      value: 'N',
      help: 'most tokens that one step computes (default 512)'
    },
    { name: 'repetitions', short: 'r', kind: 'number', value: 'N', help: 'timed runs (default 5)' },
    { name: 'output', short: 'o', kind: 'text', value: 'FORMAT', help: 'md (default), json or csv' }
  ],
  run
}

async function run(args: Arguments): Promise<number> {
  const format = toFormat(args.text('output'))
  const options = toOptions(args)
  const abort = new AbortController()
  const reports: BenchmarkReport[] = []
  await whileInterruptible(
    () => abort.abort(),
    async () => {
      for (const threads of toCounts(args, 'threads') ?? [undefined]) {
        const sizes = { ...options, threads, signal: abort.signal }
        reports.push(await benchmark(args.text('model'), sizes))
      }
    }
  )
  if (format === 'json') await printJson(reports)
  else await print(format === 'csv' ? toCsv(reports) : toMarkdown(reports))
  return exitCodes.ok
}

/** Checked before a model is loaded, so that an error names the command line at once. */
function toOptions(args: Arguments): BenchmarkOptions {
  const options: BenchmarkOptions = {
    prompt: toCounts(args, 'n-prompt')?.filter((count) => count !== 0),
    generate: toCounts(args, 'n-gen')?.filter((count) => count !== 0),
    depths: toCounts(args, 'n-depth'),
    batchSize: args.number('batch-size'),
    repetitions: args.number('repetitions')
  }
  checkBenchmark(options)
  for (const threads of toCounts(args, 'threads') ?? []) checkBenchmark({ threads })
  return options
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

const columns = ['model', 'size', 'params', 'kernels', 'threads', 'test', 't/s'] as const

function cells({ model }: BenchmarkReport): string[] {
  const parameters = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 2 })
  return [
    model.description,
    bytes(model.fileBytes),
    parameters.format(model.parameters),
    model.kernels,
    String(model.threads)
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
  const rule = columns.map((column) => (column === 'threads' || column === 't/s' ? '---:' : '---'))
  return [columns, rule, ...rows].map((row) => `| ${row.join(' | ')} |\n`).join('')
}

function toCsv(reports: readonly BenchmarkReport[]): string {
  const head =
    'model,file_bytes,parameters,kernels,threads,prompt,generate,depth,tokens_per_second,deviation'
  const rows = reports.flatMap(({ model, rows: timed }) =>
    timed.map((row) => [
      JSON.stringify(model.description),
      model.fileBytes,
      model.parameters,
      model.kernels,
      model.threads,
      row.prompt,
      row.generate,
      row.depth,
      row.tokensPerSecond,
      row.deviation
    ])
  )
  return [head, ...rows.map((row) => row.join(','))].map((line) => `${line}\n`).join('')
}
