/** What a model is doing, and what it has done: figures to watch a service by. */
import type { NativeStats } from './native.js'

/** A moment's figures. Counts are since the load; reading them waits for nothing. */
export interface ModelStats {
  readonly requests: {
    /** Waiting for a place in the running batch. */
    readonly queued: number
    readonly running: number
    /** Nobody reads what they have generated. */
    readonly paused: number
    /** All that were posted: those above and the three below. */
    readonly posted: number
    readonly finished: number
    /** Cancelled, or their signal was aborted. */
    readonly aborted: number
    readonly failed: number
  }
  readonly tokens: {
    /** Of the prompts that were begun. */
    readonly prompt: number
    /** Of `prompt`, those found in the KV cache. */
    readonly cached: number
    /** Prompt tokens computed; more than `prompt - cached` where requests had to start over. */
    readonly computed: number
    readonly generated: number
    /** Tokens that speculation guessed … */
    readonly guessed: number
    /** … and how many of them were right. */
    readonly accepted: number
  }
  /** `tokens.cached / tokens.prompt`; 0 where there was no prompt yet. */
  readonly cacheHitRate: number
  /** Pages of the KV pool. */
  readonly pages: {
    readonly total: number
    readonly free: number
    /** Held by running requests. */
    readonly used: number
    /** Kept for what may come, and given up when a running request needs them. */
    readonly cached: number
    /** Tokens that a page holds. */
    readonly tokens: number
  }
  /** Steps computed. */
  readonly steps: number
  /** The last steps: at most 1024, and none that ended more than 10 seconds ago. */
  readonly recent: {
    /** Milliseconds from the beginning of the first of them until now. */
    readonly windowMs: number
    readonly promptTokensPerSecond: number
    readonly generatedTokensPerSecond: number
    /** How long they took, each: the sampling of their tokens included. */
    readonly stepMs: {
      readonly mean: number
      readonly p50: number
      readonly p95: number
      readonly p99: number
      readonly max: number
    }
  }
}

export function toStats(stats: NativeStats): ModelStats {
  const { queued, running, paused, posted, finished, aborted, failed } = stats
  const { promptTokens: prompt, cachedTokens: cached, pages, freePages, cachedPages } = stats
  return {
    requests: { queued, running, paused, posted, finished, aborted, failed },
    tokens: {
      prompt,
      cached,
      computed: stats.computedTokens,
      generated: stats.generatedTokens,
      guessed: stats.guessedTokens,
      accepted: stats.acceptedTokens
    },
    cacheHitRate: prompt > 0 ? cached / prompt : 0,
    pages: {
      total: pages,
      free: freePages,
      used: Math.max(0, pages - freePages - cachedPages),
      cached: cachedPages,
      tokens: stats.pageTokens
    },
    steps: stats.steps,
    recent: {
      windowMs: stats.windowMs,
      promptTokensPerSecond: stats.promptRate,
      generatedTokensPerSecond: stats.generatedRate,
      stepMs: stats.stepMs
    }
  }
}
