/** `cria bench load`: many conversations at once, as a service has them, and how long each waits. */
import { setMaxListeners } from 'node:events'
import { diagnose, Model, type ModelStats } from '../index.js'
import type { Command } from './command.js'
import { exitCodes, UsageError } from './exit.js'
import type { Arguments, Flag } from './flags.js'
import { loadFlags, toLoadOptions } from './groups.js'
import { whileInterruptible } from './interrupt.js'
import { type LoadPlanSettings, planLoad, type Quantiles, roomFor } from './load-plan.js'
import { type LoadFigures, runLoad } from './load-run.js'
import { measureCancels, targetOf } from './load-target.js'
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
turn goes on from all before it, as soon as it is answered. Times are as a reader of the stream sees them. Then as many requests are cancelled at random moments.`,
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

interface LoadReport extends LoadFigures {
  readonly model: Model['info']
  readonly settings: LoadPlanSettings
  readonly cachedTokens: number
  readonly requestsPerSecond: number
  readonly promptTokensPerSecond: number
  readonly generatedTokensPerSecond: number
  /** Milliseconds from cancelling a request until the engine has let go of it. */
  readonly cancel: Quantiles
  /** At the end of the conversations: its step times are of the last steps. */
  readonly stats: ModelStats
}

async function measure(
  model: Model,
  settings: LoadPlanSettings,
  signal: AbortSignal
): Promise<LoadReport> {
  const { predict, seed } = settings
  const plan = planLoad(settings, model.info.vocabSize)
  await model.generate([1], { maxTokens: 2, signal }) // what only the first request pays
  const before = model.stats().tokens
  const figures = await runLoad(targetOf(model, signal), plan, predict, signal)
  const { seconds, requests, promptTokens, generatedTokens, firstToken } = figures
  const stats = model.stats()
  const withinMs = firstToken.mean + figures.betweenTokens.mean * predict
  return {
    model: model.info,
    settings,
    ...figures,
    cachedTokens: stats.tokens.cached - before.cached,
    requestsPerSecond: requests / seconds,
    promptTokensPerSecond: promptTokens / seconds,
    generatedTokensPerSecond: generatedTokens / seconds,
    cancel: await measureCancels(model, plan, { withinMs, predict, seed }, signal),
    stats
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
    ['cancel to end', report.cancel],
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
