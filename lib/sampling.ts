/**
 * How a generation draws its tokens: the options of every sampler, as callers give them and checked.
 * docs/sampling.md says what each does.
 */
import {
  checkOptions,
  describe,
  integer,
  isRecord,
  type OptionTable,
  type Rule,
  real
} from './check.js'
import { badArgument } from './errors.js'
import { nearestName } from './suggest.js'

/** The stages of the chain that logits go through, in the default order. */
export const samplerNames = [
  'bias',
  'penalties',
  'dry',
  'topNSigma',
  'topK',
  'typicalP',
  'topP',
  'minP',
  'xtc',
  'temperature'
] as const

export type SamplerName = (typeof samplerNames)[number]

/** How the next token is drawn. */
export interface SamplingOptions {
  /**
   * The stages that logits go through, in this order; one that is left out does nothing. Default:
   * `['bias', 'penalties', 'dry', 'topNSigma', 'topK', 'typicalP', 'topP', 'minP', 'xtc', 'temperature']`.
   */
  samplers?: readonly SamplerName[] | undefined
  /** 0 to 100; 0 takes the likeliest token each time (greedy). Default 0.8. */
  temperature?: number | undefined
  /** The temperature moves so far up and down, the more so the surer or less sure the model is, 0 to 100. Default 0. */
  dynamicTemperatureRange?: number | undefined
  /** How it follows the entropy between the two, 0 to 100. Default 1. */
  dynamicTemperatureExponent?: number | undefined
  /** Sample among the `topK` likeliest tokens; 0: all. Default 40. */
  topK?: number | undefined
  /** Sample among the likeliest tokens that together reach this probability, 0.000001 to 1; 1: off. Default 0.95. */
  topP?: number | undefined
  /** Drop tokens less likely than `minP` times the likeliest, 0 to 1. Default 0.05. */
  minP?: number | undefined
  /** Locally typical sampling, 0.000001 to 1; 1: off. Default 1. */
  typicalP?: number | undefined
  /** Drop logits so many standard deviations below the greatest, 0 to 100; 0: off. Default 0. */
  topNSigma?: number | undefined
  /** How often the top choices but the last are left out, 0 to 1. Default 0. */
  xtcProbability?: number | undefined
  /** From which probability on a token is a top choice, 0 to 1. Default 0.1. */
  xtcThreshold?: number | undefined
  /** Divides the logits of tokens seen lately, 0.01 to 100; 1: off. Default 1. */
  repeatPenalty?: number | undefined
  /** How many tokens the three penalties look back on. Default 64. */
  repeatWindow?: number | undefined
  /** Taken off the logit of every token seen lately, -2 to 2. Default 0. */
  presencePenalty?: number | undefined
  /** Taken off the logit of a token once for each time it was seen lately, -2 to 2. Default 0. */
  frequencyPenalty?: number | undefined
  /** Taken off the logit of what would prolong a repetition, 0 to 100; 0: off. Default 0. */
  dryMultiplier?: number | undefined
  /** The factor for each further token that is repeated, 1 to 100. Default 1.75. */
  dryBase?: number | undefined
  /** Repetitions of so many tokens are the first to be penalized, from 1 on. Default 2. */
  dryAllowedLength?: number | undefined
  /** How many tokens DRY looks back on; 0: all. Default 0. */
  dryWindow?: number | undefined
  /** Texts that no repetition reaches across: up to 64. Default `['\n', ':', '"', '*']`. */
  dryBreakers?: readonly string[] | undefined
  /** Hold the surprise of the text near `mirostatTau`, by version 1 or 2; 0: off. Default 0. */
  mirostat?: 0 | 1 | 2 | undefined
  /** The target, in bits a token, 0.000001 to 100. Default 5. */
  mirostatTau?: number | undefined
  /** How fast it learns, 0.000001 to 1. Default 0.1. */
  mirostatEta?: number | undefined
  /** Makes sampling reproducible on every platform: an integer from 0 to 2^64-1. Default: random. */
  seed?: number | bigint | undefined
  /** Added to the logit of each token id: -10000 to 10000, or `-Infinity` to ban the token. */
  logitBias?: Readonly<Record<number, number>> | ReadonlyMap<number, number> | undefined
}

/** Checked, with the defaults filled in. */
export interface SamplingSettings {
  samplers: readonly SamplerName[]
  temperature: number
  dynamicTemperatureRange: number
  dynamicTemperatureExponent: number
  topK: number
  topP: number
  minP: number
  typicalP: number
  topNSigma: number
  xtcProbability: number
  xtcThreshold: number
  repeatPenalty: number
  repeatWindow: number
  presencePenalty: number
  frequencyPenalty: number
  dryMultiplier: number
  dryBase: number
  dryAllowedLength: number
  dryWindow: number
  dryBreakers: readonly string[]
  mirostat: number
  mirostatTau: number
  mirostatEta: number
  seed: bigint | undefined // undefined: random
  logitBias: ReadonlyMap<number, number>
}

export const maxInt = 2 ** 31 - 1
const maxSeed = 2n ** 64n - 1n
const maxTexts = 64
const maxTextLength = 1024
const maxBias = 10_000

/** A text or several, or several alone. */
export function texts(alone: boolean, fallback: readonly string[]): Rule<readonly string[]> {
  return {
    expected: `${alone ? 'a text or ' : ''}up to ${maxTexts} texts, each of 1 to ${maxTextLength} characters`,
    fallback,
    accept(value) {
      const list: readonly unknown[] = Array.isArray(value) ? value : alone ? [value] : [0]
      const fits = (text: unknown): text is string =>
        typeof text === 'string' && text.length > 0 && text.length <= maxTextLength
      return list.length <= maxTexts && list.every(fits) ? [...list] : undefined
    }
  }
}

const samplers: Rule<readonly SamplerName[]> = {
  expected: 'an array of names',
  fallback: samplerNames,
  accept(value) {
    if (!Array.isArray(value)) return undefined
    const one = (name: unknown): SamplerName => {
      const found = samplerNames.find((known) => known === name)
      if (found !== undefined) return found
      const nearest = typeof name === 'string' ? nearestName(name, samplerNames) : undefined
      const hint = nearest ? `did you mean ${nearest}?` : `known: ${samplerNames.join(', ')}`
      throw badArgument(`generate options: samplers: no ${describe(name)}; ${hint}`)
    }
    const names = value.map(one)
    const twice = names.find((name, i) => names.indexOf(name) !== i)
    if (twice) throw badArgument(`generate options: samplers: ${describe(twice)} stands twice`)
    return names
  }
}

const seed: Rule<bigint | undefined> = {
  expected: 'an integer from 0 to 2^53-1, or a bigint from 0n to 2n**64n-1n',
  fallback: undefined,
  accept(value) {
    if (typeof value === 'number') {
      return Number.isSafeInteger(value) && value >= 0 ? BigInt(value) : undefined
    }
    return typeof value === 'bigint' && value >= 0n && value <= maxSeed ? value : undefined
  }
}

/** A seed alone, checked. */
export const checkSeed = (value: unknown): bigint | undefined =>
  checkOptions<{ seed: bigint | undefined }>(
    { what: 'generate options', rules: { seed } },
    { seed: value }
  ).seed

const logitBias: Rule<ReadonlyMap<number, number>> = {
  expected: `token ids, each with a number from -${maxBias} to ${maxBias} or -Infinity`,
  fallback: new Map(),
  accept(value) {
    if (!isRecord(value)) return undefined
    const entries: Iterable<[unknown, unknown]> =
      value instanceof Map ? value : Object.entries(value)
    const checked = new Map<number, number>()
    for (const [key, bias] of entries) {
      const id = key === '' ? Number.NaN : Number(key)
      if (!Number.isInteger(id) || id < 0 || id > maxInt || !isBias(bias)) {
        throw badArgument(
          `generate options: logitBias must be ${logitBias.expected}, ` +
            `got ${describe(bias)} for ${describe(key)}`
        )
      }
      checked.set(id, bias)
    }
    return checked
  }
}

function isBias(value: unknown): value is number {
  return typeof value === 'number' && (value === -Infinity || Math.abs(value) <= maxBias)
}

export const samplingRules: OptionTable<SamplingSettings>['rules'] = {
  samplers,
  temperature: real(0, 100, 0.8),
  dynamicTemperatureRange: real(0, 100, 0),
  dynamicTemperatureExponent: real(0, 100, 1),
  topK: integer(0, maxInt, 40),
  topP: real(1e-6, 1, 0.95),
  minP: real(0, 1, 0.05),
  typicalP: real(1e-6, 1, 1),
  topNSigma: real(0, 100, 0),
  xtcProbability: real(0, 1, 0),
  xtcThreshold: real(0, 1, 0.1),
  repeatPenalty: real(0.01, 100, 1),
  repeatWindow: integer(0, maxInt, 64),
  presencePenalty: real(-2, 2, 0),
  frequencyPenalty: real(-2, 2, 0),
  dryMultiplier: real(0, 100, 0),
  dryBase: real(1, 100, 1.75),
  dryAllowedLength: integer(1, maxInt, 2),
  dryWindow: integer(0, maxInt, 0),
  dryBreakers: texts(false, ['\n', ':', '"', '*']),
  mirostat: integer(0, 2, 0),
  mirostatTau: real(1e-6, 100, 5),
  mirostatEta: real(1e-6, 1, 0.1),
  seed,
  logitBias
}
