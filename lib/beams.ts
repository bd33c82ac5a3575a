/** Beam search instead of sampling: its options, what it does not go with, and what it gives. */
import { integer, isRecord, real } from './check.js'
import { badArgument } from './errors.js'
import type { NativeEnd } from './native.js'
import { samplingRules } from './sampling.js'

export interface BeamOptions {
  /**
   * Follow so many texts at once, 2 to 16, and give the likeliest instead of a sampled one; `result.beams`
   * has all. Not together with samplers or `banned`: docs/sampling.md.
   */
  beams?: number | undefined
  /**
   * What beams are judged by: the sum of their tokens' log-probabilities divided by their count to this
   * power, -10 to 10; the greater, the longer the texts. Default 1.
   */
  lengthPenalty?: number | undefined
}

/** One of the texts that a beam search found. */
export interface BeamText {
  readonly text: string
  readonly tokens: number[]
  /** Its sum of log-probabilities by `lengthPenalty`; the best text comes first. */
  readonly score: number
  readonly finishReason: 'stop' | 'length'
  /** With `grammar`, `regex` or `schema`: whether it is whole. */
  readonly complete?: boolean
}

export interface BeamSettings {
  beams: number // 0: no beam search
  lengthPenalty: number
}

export const beamRules = { beams: integer(2, 16, 0), lengthPenalty: real(-10, 10, 1) }

/** What a beam search has a use for. */
const shared = new Set(['seed', 'logitBias'])

/** Throws ERR_CRIA_BAD_ARGUMENT for options beside `beams` that would have no effect. */
export function checkBeams(given: unknown, { beams }: BeamSettings): void {
  const named = (name: string) => isRecord(given) && given[name] !== undefined
  if (beams === 0) {
    if (named('lengthPenalty')) {
      throw badArgument('generate options: lengthPenalty judges beams; give beams as well')
    }
    return
  }
  const idle = [...Object.keys(samplingRules), 'banned'].find(
    (name) => !shared.has(name) && named(name)
  )
  if (idle !== undefined) {
    throw badArgument(
      `generate options: beams and ${idle} exclude each other: a beam search draws nothing; give one of them`
    )
  }
}

export function toBeams(beams: NativeEnd['beams']): BeamText[] | undefined {
  return beams?.map(({ text, tokens, score, stopped, grammarComplete }) => ({
    text,
    tokens,
    score,
    finishReason: stopped ? 'stop' : 'length',
    ...(grammarComplete === undefined ? {} : { complete: grammarComplete })
  }))
}
