/** A model as what `runLoad` drives, and how soon it lets go of what is cancelled. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Chunk, GenerateOptions, Model } from '../index.js'
import { type Conversation, type Quantiles, quantiles, randomNumbers } from './load-plan.js'
import type { LoadTarget } from './load-run.js'

/** Answers are greedy and never end by themselves. */
export function targetOf(model: Model, signal?: AbortSignal): LoadTarget {
  return {
    bosId: model.tokenizer.bosId,
    open: () => (history, predict) =>
      tokensOf(model.generate(history, options(model, predict, signal)))
  }
}

function options(model: Model, maxTokens: number, signal?: AbortSignal): GenerateOptions {
  const { eosId } = model.tokenizer
  const logitBias = eosId === null ? {} : { [eosId]: Number.NEGATIVE_INFINITY }
  return { temperature: 0, maxTokens, logitBias, signal }
}

async function* tokensOf(chunks: AsyncIterable<Chunk>): AsyncIterable<readonly number[]> {
  for await (const { tokens } of chunks) yield tokens
}

/**
 * Milliseconds from `cancel()` until the engine has let go of a request. The first turn of every
 * conversation begins again, all at once, and is cancelled after a random part of `withinMs`: in the queue,
 * in the prompt, or while it generates.
 */
export async function measureCancels(
  model: Model,
  plan: readonly Conversation[],
  { withinMs, predict, seed }: { withinMs: number; predict: number; seed: number },
  signal?: AbortSignal
): Promise<Quantiles> {
  const random = randomNumbers(seed)
  const waits = plan.map(async ({ prefix, turns }, index) => {
    const ids = [...prefix, ...(turns[0] as readonly number[])]
    const cacheKey = `cancel ${index}` // nothing of it is cached
    const generation = model.generate(ids, { ...options(model, predict, signal), cacheKey })
    await sleep(random() * withinMs)
    const start = performance.now()
    generation.cancel()
    const { finishReason } = await generation
    return finishReason === 'abort' ? [performance.now() - start] : []
  })
  return quantiles((await Promise.all(waits)).flat())
}
