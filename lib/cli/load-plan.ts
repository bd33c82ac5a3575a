/** What `cria bench load` does, decided beforehand: the same seed gives the same conversations. */

export interface LoadPlanSettings {
  readonly conversations: number
  /** Conversations that begin per second, on average; 0: all at once. */
  readonly rate: number
  readonly turns: number
  /** Tokens that several conversations begin with, and how many such beginnings there are. */
  readonly prefix: number
  readonly prefixes: number
  /** Tokens that each turn adds, and that it is answered with. */
  readonly prompt: number
  readonly predict: number
  readonly seed: number
}

export interface Conversation {
  /** When it begins, in seconds. */
  readonly at: number
  /** Which of the shared beginnings it has. */
  readonly group: number
  readonly prefix: readonly number[]
  readonly turns: readonly (readonly number[])[]
}

/** Numbers in [0, 1) that depend on the seed alone (Mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/**
 * Arrivals are a Poisson process: times from one to the next are exponential with mean 1 / rate, the
 * first one at 0. Tokens are random ids of those from `firstId` on.
 */
export function planLoad(
  settings: LoadPlanSettings,
  vocabSize: number,
  firstId = 3
): Conversation[] {
  const random = randomNumbers(settings.seed)
  const tokens = (count: number) =>
    Array.from({ length: count }, () => firstId + Math.floor(random() * (vocabSize - firstId)))
  const prefixes = Array.from({ length: settings.prefixes }, () => tokens(settings.prefix))
  let at = 0
  return Array.from({ length: settings.conversations }, (_, index) => {
    if (index > 0 && settings.rate > 0) at += -Math.log(1 - random()) / settings.rate
    const group = index % settings.prefixes
    const turns = Array.from({ length: settings.turns }, () => tokens(settings.prompt))
    return { at, group, prefix: prefixes[group] as number[], turns }
  })
}

/** Tokens of context that the longest conversation takes. */
export function roomFor({ prefix, turns, prompt, predict }: LoadPlanSettings): number {
  return 1 + prefix + turns * (prompt + predict)
}

export interface Quantiles {
  readonly count: number
  readonly mean: number
  readonly p50: number
  readonly p95: number
  readonly p99: number
  readonly max: number
}

/** Nearest ranks; all 0 of no values. */
export function quantiles(values: readonly number[]): Quantiles {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0
  const sum = sorted.reduce((total, value) => total + value, 0)
  return {
    count: sorted.length,
    mean: sum / Math.max(1, sorted.length),
    p50: at(0.5),
    p95: at(0.95),
    p99: at(0.99),
    max: at(1)
  }
}
