/** Several generations of one prompt, and which of them is the best. */
import { checkOptions, integer, type Rule } from './check.js'
import type { Generation } from './generation.js'
import { randomSeed } from './request.js'
import type { Result } from './types.js'

/** Beside the options of one generation. */
export interface SamplesOptions {
  /** How many, 1 to 64. Default 4. */
  n?: number | undefined
  /**
   * What the best is judged by: the log-probabilities of its tokens, `'sum'` of all (which likes short
   * texts) or `'mean'`. Default: none is chosen, and nothing is computed for it.
   */
  best?: 'sum' | 'mean' | undefined
}

export interface SamplesSettings {
  n: number
  best: 'sum' | 'mean' | undefined
}

/** All samples of one prompt. */
export interface SamplesResult {
  /** In the order of their seeds. */
  readonly samples: readonly Result[]
  /** Where `best` was asked for: the sample of the highest score, the first of equal ones. */
  readonly best?: Result
  /** Likewise, of each sample; minus infinity for one without tokens. */
  readonly scores?: readonly number[]
}

const best: Rule<'sum' | 'mean' | undefined> = {
  expected: "'sum' or 'mean'",
  fallback: undefined,
  accept: (value) => (value === 'sum' || value === 'mean' ? value : undefined)
}

export const checkSamples = (given: { n?: unknown; best?: unknown }): SamplesSettings =>
  checkOptions<SamplesSettings>(
    { what: 'generate options', rules: { n: integer(1, 64, 4), best } },
    given
  )

const mask = 2n ** 64n - 1n

/**
 * The seed of sample `index`: the first has the seed itself, so that it is what `generate` gives; the
 * others have fmix64(fmix64(seed) + index), with the finalizer of MurmurHash3 (Appleby 2011), in 64 bits.
 */
export function sampleSeed(seed: bigint, index: number): bigint {
  return index === 0 ? seed : fmix64((fmix64(seed) + BigInt(index)) & mask)
}

function fmix64(value: bigint): bigint {
  let z = value
  z = ((z ^ (z >> 33n)) * 0xff51afd7ed558ccdn) & mask
  z = ((z ^ (z >> 33n)) * 0xc4ceb9fe1a85ec53n) & mask
  return z ^ (z >> 33n)
}

/** A seed for every sample, of the caller's or of a random one. */
export function sampleSeeds(seed: bigint | undefined, n: number): bigint[] {
  const first = seed ?? randomSeed()
  return Array.from({ length: n }, (_, index) => sampleSeed(first, index))
}

/**
 * Several generations of one prompt, which is computed once. Each is a {@link Generation} of its own, to
 * be awaited, iterated or cancelled; together they are awaited for the {@link SamplesResult}. Where one
 * fails, awaiting them rejects with its error, and the others are cancelled.
 */
export class Samples implements PromiseLike<SamplesResult>, Iterable<Generation> {
  readonly #generations: readonly Generation[]
  readonly #best: 'sum' | 'mean' | undefined
  #result: Promise<SamplesResult> | undefined

  /** @internal Made by `model.generateMany()`. */
  constructor(generations: readonly Generation[], judge: 'sum' | 'mean' | undefined) {
    this.#generations = generations
    this.#best = judge
  }

  get length(): number {
    return this.#generations.length
  }

  [Symbol.iterator](): Iterator<Generation> {
    return this.#generations[Symbol.iterator]()
  }

  // biome-ignore lint/suspicious/noThenProperty: samples are awaited for their result.
  then<A = SamplesResult, B = never>(
    onResult?: ((result: SamplesResult) => A | PromiseLike<A>) | null,
    onError?: ((error: unknown) => B | PromiseLike<B>) | null
  ): Promise<A | B> {
    this.#result ??= this.#gather()
    return this.#result.then(onResult, onError)
  }

  catch<B = never>(
    onError?: ((error: unknown) => B | PromiseLike<B>) | null
  ): Promise<SamplesResult | B> {
    return this.then(undefined, onError)
  }

  /** Ends all of them quietly. */
  cancel(): void {
    for (const generation of this.#generations) generation.cancel()
  }

  async #gather(): Promise<SamplesResult> {
    try {
      return judged(await Promise.all(this.#generations), this.#best)
    } catch (error) {
      this.cancel()
      throw error
    }
  }
}

function judged(samples: readonly Result[], judge: 'sum' | 'mean' | undefined): SamplesResult {
  if (!judge) return { samples }
  const scores = samples.map(({ logprobs = [] }) => {
    if (logprobs.length === 0) return -Infinity
    const sum = logprobs.reduce((total, { logprob }) => total + logprob, 0)
    return judge === 'sum' ? sum : sum / logprobs.length
  })
  const first = scores.indexOf(Math.max(...scores))
  return { samples, best: samples[first] as Result, scores }
}
