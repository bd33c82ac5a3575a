/** Drives an engine as a service is driven, and times what its readers see. */
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Conversation, type Quantiles, quantiles } from './load-plan.js'

/** What answers: an engine, behind what all of them can do. */
export interface LoadTarget {
  /**
   * A new conversation. What it gives is called once a turn, one after the other: with all tokens so far,
   * the prompt of this turn at the end, and how many to continue them with. It yields those tokens as they
   * come, some at a time.
   */
  open(): (
    history: readonly number[],
    predict: number
  ) => AsyncIterable<readonly number[]> | Promise<AsyncIterable<readonly number[]>>
  /** The beginning-of-text token that a conversation starts with, where there is one. */
  readonly bosId: number | null
}

/** Times are in milliseconds. */
export interface LoadFigures {
  readonly seconds: number
  readonly requests: number
  readonly promptTokens: number
  readonly generatedTokens: number
  readonly firstToken: Quantiles
  readonly betweenTokens: Quantiles
  readonly eventLoopDelay: Quantiles
}

/** What one turn was like. */
interface Turn {
  readonly promptTokens: number
  readonly generatedTokens: number
  readonly firstTokenMs: number
  /** From one piece of the answer to the next. */
  readonly gapsMs: readonly number[]
}

/** All conversations of the plan, each answer `predict` tokens long. */
export async function runLoad(
  target: LoadTarget,
  plan: readonly Conversation[],
  predict: number,
  signal?: AbortSignal
): Promise<LoadFigures> {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const start = performance.now()
  const talks = plan.map((conversation) => talk(target, conversation, predict, signal))
  const turns = (await Promise.all(talks)).flat()
  const seconds = (performance.now() - start) / 1000
  delay.disable()
  const sum = (of: (turn: Turn) => number) => turns.reduce((total, turn) => total + of(turn), 0)
  return {
    seconds,
    requests: turns.length,
    promptTokens: sum((turn) => turn.promptTokens),
    generatedTokens: sum((turn) => turn.generatedTokens),
    firstToken: quantiles(turns.map((turn) => turn.firstTokenMs)),
    betweenTokens: quantiles(turns.flatMap((turn) => turn.gapsMs)),
    eventLoopDelay: delays(delay)
  }
}

/** All turns of one conversation. */
async function talk(
  target: LoadTarget,
  { at, prefix, turns }: Conversation,
  predict: number,
  signal: AbortSignal | undefined
): Promise<Turn[]> {
  await sleep(at * 1000, undefined, signal ? { signal } : undefined)
  const answer = target.open()
  const history = [...(target.bosId === null ? [] : [target.bosId]), ...prefix]
  const measured: Turn[] = []
  for (const turn of turns) {
    history.push(...turn)
    const promptTokens = history.length
    const start = performance.now()
    const times: number[] = []
    const answered: number[] = []
    for await (const tokens of await answer([...history], predict)) {
      if (tokens.length > 0) times.push(performance.now() - start)
      answered.push(...tokens)
    }
    history.push(...answered)
    measured.push({
      promptTokens,
      generatedTokens: answered.length,
      firstTokenMs: times[0] ?? 0,
      gapsMs: times.slice(1).map((time, i) => time - (times[i] as number))
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
