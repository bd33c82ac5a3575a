/** `cria bench load`: many conversations at once, as a service has them, and how long each waits. */
import { setMaxListeners } from 'node:events'
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { diagnose, Model, type ModelStats } from '../index.js'
import type { Command } from './command.js'
import { exitCodes, UsageError } from './exit.js'
import type { Arguments, Flag } from './flags.js'
import { loadFlags, toLoadOptions } from './groups.js'
import { whileInterruptible } from './interrupt.js'
import {
  type Conversation,
  type LoadPlanSettings,
  planLoad,
  type Quantiles,
  quantiles,
  roomFor
} from './load-plan.js'
import { print, printJson } from './output.js'

interface CountFlag extends Flag {
  readonly option: keyof LoadPlanSettings
  readonly fallback: number
  readonly least: number
  readonly most: number
}

const count = (
  option: keyof LoadPlanSettings,
  fallback: number,
  [least, most]: readonly [number, number],
  help: string,
  short?: string
): CountFlag => ({
  option,
  fallback,
  least,
  most,
  name: option,
  kind: 'number',
  value: 'N',
  help: `${help} (default ${fallback})`,
  ...(short === undefined ? {} : { short })
})

const planFlags: readonly CountFlag[] = [
  count('conversations', 8, [1, 4096], 'conversations'),
  count('rate', 4, [0, 1e6], 'conversations that begin per second, on average; 0: all at once'),
  count('turns', 2, [1, 1000], 'turns of each, one after the other'),
  count('prefix', 64, [0, 1e6], 'tokens that several conversations begin with'),
  count('prefixes', 2, [1, 4096], 'how many such beginnings there are'),
  count('prompt', 32, [1, 1e6], 'tokens that each turn adds'),
  count('predict', 32, [1, 1e6], 'tokens that each turn is answered with', 'n'),
  count('seed', 1, [0, 2 ** 32 - 1], 'of arrivals and tokens', 's')
]

export const benchLoadCommand: Command = {
  name: 'bench load',
  operands: '',
  maxOperands: 0,
  summary: 'measure many conversations at once: throughput and how long each waits',
  details: `Conversations of random tokens begin as a Poisson process and share their beginnings in groups. Each
turn goes on from all before it, as soon as it is answered. Times are as a reader of the stream sees them.`,
  flags: [
    ...loadFlags.map((flag) =>
      flag.name === 'ctx-size'
        ? { ...flag, help: 'tokens of context (default: what a conversation takes)' }
        : flag
    ),
    {
      name: 'sequences',
      kind: 'number',
      value: 'N',
      help: 'conversations that the KV pool has room for (default: all)'
    },
    ...planFlags,
    { name: 'json', kind: 'switch', help: 'print one JSON object instead of Markdown' }
  ],
  run
}

/** What one turn was like. */
interface Turn {
  readonly firstTokenMs: number
  /** From chunk to chunk. */
  readonly gapsMs: readonly number[]
  readonly promptTokens: number
  readonly cachedTokens: number
  readonly generatedTokens: number
}

async function run(args: Arguments): Promise<number> {
  const settings = toSettings(args)
  const room = roomFor(settings)
  const load = { contextSize: room, sequences: settings.conversations, ...toLoadOptions(args) }
  const sequences = args.number('sequences')
  if (sequences !== undefined) load.sequences = sequences
  if (Number(load.contextSize) < room) {
    throw new UsageError(`--ctx-size must be ${room} or more for such conversations`)
  }
  const abort = new AbortController()
  const { signal } = abort
  setMaxListeners(0, signal) // every conversation listens
  await whileInterruptible(
    () => abort.abort(),
    async () => {
      const model = await Model.load(args.text('model'), { ...load, signal })
      try {
        const report = await measure(model, settings, signal)
        if (args.has('json')) await printJson({ machine: diagnose().machine, ...report })
        else await print(toMarkdown(report))
      } finally {
        await model.dispose()
      }
    }
  )
  return exitCodes.ok
}

function toSettings(args: Arguments): LoadPlanSettings {
  const entries = planFlags.map(({ name, option, fallback, least, most }) => {
    const value = args.number(name) ?? fallback
    const whole = option === 'rate' || Number.isInteger(value)
    if (!whole || !(value >= least && value <= most)) {
      const kind = option === 'rate' ? 'a number' : 'an integer'
      throw new UsageError(`--${name} must be ${kind} from ${least} to ${most}, got ${value}`)
    }
    return [option, value] as const
  })
  return Object.fromEntries(entries) as unknown as LoadPlanSettings
}

interface LoadReport {
  readonly model: Model['info']
  readonly settings: LoadPlanSettings
  readonly seconds: number
  readonly requests: number
  readonly promptTokens: number
  readonly cachedTokens: number
  readonly generatedTokens: number
  readonly requestsPerSecond: number
  readonly promptTokensPerSecond: number
  readonly generatedTokensPerSecond: number
  /** In milliseconds, as are the next two. */
  readonly firstToken: Quantiles
  readonly betweenTokens: Quantiles
  readonly eventLoopDelay: Quantiles
  /** At the end: its step times are of the last steps. */
  readonly stats: ModelStats
}

async function measure(
  model: Model,
  settings: LoadPlanSettings,
  signal: AbortSignal
): Promise<LoadReport> {
  const plan = planLoad(settings, model.info.vocabSize)
  await model.generate([1], { maxTokens: 2, signal }) // what only the first request pays
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const start = performance.now()
  const talks = plan.map((conversation) => talk(model, conversation, settings.predict, signal))
  const turns = (await Promise.all(talks)).flat()
  const seconds = (performance.now() - start) / 1000
  delay.disable()
  const sum = (of: (turn: Turn) => number) => turns.reduce((total, turn) => total + of(turn), 0)
  const promptTokens = sum((turn) => turn.promptTokens)
  const generatedTokens = sum((turn) => turn.generatedTokens)
  return {
    model: model.info,
    settings,
    seconds,
    requests: turns.length,
    promptTokens,
    cachedTokens: sum((turn) => turn.cachedTokens),
    generatedTokens,
    requestsPerSecond: turns.length / seconds,
    promptTokensPerSecond: promptTokens / seconds,
    generatedTokensPerSecond: generatedTokens / seconds,
    firstToken: quantiles(turns.map((turn) => turn.firstTokenMs)),
    betweenTokens: quantiles(turns.flatMap((turn) => turn.gapsMs)),
    eventLoopDelay: delays(delay),
    stats: model.stats()
  }
}

/** All turns of one conversation. */
async function talk(
  model: Model,
  { at, prefix, turns }: Conversation,
  maxTokens: number,
  signal: AbortSignal
): Promise<Turn[]> {
  await sleep(at * 1000, undefined, { signal })
  const { bosId, eosId } = model.tokenizer
  const history = [...(bosId === null ? [] : [bosId]), ...prefix]
  const logitBias = eosId === null ? {} : { [eosId]: Number.NEGATIVE_INFINITY }
  const measured: Turn[] = []
  for (const turn of turns) {
    history.push(...turn)
    const start = performance.now()
    const generation = model.generate(history, { temperature: 0, maxTokens, logitBias, signal })
    const times: number[] = []
    for await (const { tokens } of generation) {
      if (tokens.length > 0) times.push(performance.now() - start)
    }
    const { tokens, usage } = await generation
    history.push(...tokens)
    measured.push({
      firstTokenMs: times[0] ?? 0,
      gapsMs: times.slice(1).map((time, i) => time - (times[i] as number)),
      promptTokens: usage.promptTokens,
      cachedTokens: usage.cachedTokens,
      generatedTokens: usage.completionTokens
    })
  }
  return measured
}

/** The histogram is of the times between ticks 1 ms apart: what is above that is delay. */
function delays(histogram: IntervalHistogram): Quantiles {
  const above = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - 1)
  return {
    count: histogram.count,
    mean: histogram.count > 0 ? above(histogram.mean) : 0,
    p50: above(histogram.percentile(50)),
    p95: above(histogram.percentile(95)),
    p99: above(histogram.percentile(99)),
    max: histogram.count > 0 ? above(histogram.max) : 0
  }
}

function toMarkdown(report: LoadReport): string {
  const { model, settings, stats } = report
  const { conversations, turns, rate, prefix, prefixes, prompt, predict, seed } = settings
  const arrivals = rate > 0 ? `${rate} a second` : 'all at once'
  const times: [string, Omit<Quantiles, 'count'>][] = [
    ['time to first token', report.firstToken],
    ['between tokens', report.betweenTokens],
    ['step of the engine', stats.recent.stepMs],
    ['event-loop delay', report.eventLoopDelay]
  ]
  const rows = times.map(([name, { mean, p50, p95, p99, max }]) => {
    const cells = [mean, p50, p95, p99, max].map((ms) => ms.toFixed(1))
    return `| ${[name, ...cells].join(' | ')} |\n`
  })
  return `${model.description}, ${model.kernels}, ${model.threads} threads: ${conversations} conversations (${arrivals}, seed ${seed}) of ${turns} turns,
${prefixes} beginnings of ${prefix} tokens, then ${prompt} tokens a turn and ${predict} of answer

${report.requests} requests in ${report.seconds.toFixed(2)} s (${report.requestsPerSecond.toFixed(1)}/s)
${report.generatedTokens} tokens generated (${report.generatedTokensPerSecond.toFixed(1)}/s)
${report.promptTokens} prompt tokens (${report.promptTokensPerSecond.toFixed(1)}/s), ${report.cachedTokens} of them cached

| ms | mean | p50 | p95 | p99 | max |
| --- | ---: | ---: | ---: | ---: | ---: |
${rows.join('')}`
}
