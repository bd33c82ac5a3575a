/** Figures of a text: embeddings, and how likely the model finds each token. */
import { setMaxListeners } from 'node:events'
import {
  checkOptions,
  describe,
  integer,
  type OptionTable,
  oneOf,
  signalRule,
  yesOrNo
} from './check.js'
import { badArgument, CriaError, toCriaError } from './errors.js'
import { type RequestStart, tellEnd, tellStart } from './events.js'
import type { LoadedModel } from './loaded.js'
import type { NativeMeasurement, NativeUpdate } from './native.js'
import { endError, nothing } from './request.js'
import type { UpdateSink } from './router.js'
import { toIds } from './tokens.js'

/** A text, or token ids, which are taken as they are. */
export type ScoreInput = string | readonly number[] | Int32Array

/** One text to embed. */
export type EmbedInput = ScoreInput

export interface EmbedOptions {
  /** The mean of the states of all tokens, or the state of the last one. Default `'mean'`. */
  pooling?: 'mean' | 'last' | undefined
  /** Scale each embedding to length 1, so that a dot product is the cosine. Default true. */
  normalize?: boolean | undefined
  /** Ends it: the promise rejects with the signal's reason. */
  signal?: AbortSignal | undefined
}

export interface ScoreOptions {
  /** The first token to score, counted from 0; those before it are context only. Default 1. */
  from?: number | undefined
  /** Ends it: the promise rejects with the signal's reason. */
  signal?: AbortSignal | undefined
}

/** How likely a model finds a text. */
export interface Score {
  /** All tokens, the beginning-of-text token of a text included. */
  readonly tokens: number[]
  /** The first token that is scored. */
  readonly from: number
  /** log p(tokens[from + i] | all tokens before it): natural logarithms, 0 at most. */
  readonly logprobs: Float32Array
}

interface EmbedSettings {
  pooling: 'mean' | 'last'
  normalize: boolean
  signal: AbortSignal | undefined
}

const embedTable: OptionTable<EmbedSettings> = {
  what: 'embed options',
  rules: { pooling: oneOf('mean', 'last'), normalize: yesOrNo(true), signal: signalRule }
}

const scoreTable: OptionTable<{ from: number; signal: AbortSignal | undefined }> = {
  what: 'score options',
  rules: { from: integer(1, 2 ** 31 - 1, 1), signal: signalRule }
}

export const checkEmbed = (given: unknown) => checkOptions(embedTable, given)
export const checkScore = (given: unknown) => checkOptions(scoreTable, given)

/** Texts in the engine at once: as many as a step computes; the rest waits on this side. */
const mostAtOnce = 32

type Wanted = Omit<NativeMeasurement, 'id' | 'prompt' | 'bos'>
type Text = Pick<NativeMeasurement, 'prompt' | 'bos'>

/** The embedding of each text, in order. The first failure ends them all. */
export async function embedAll(
  model: LoadedModel,
  inputs: readonly unknown[],
  options: unknown
): Promise<Float32Array[]> {
  const { signal, ...wanted } = checkEmbed(options)
  model.assertOpen()
  const texts = inputs.map((input) => toText(input, model))
  const stop = new AbortController()
  const signals = signal ? [signal, stop.signal] : [stop.signal]
  const all = AbortSignal.any(signals)
  setMaxListeners(0, all) // one for each text at work is no leak
  const what: Wanted = { purpose: 'embed', from: 1, ...wanted }
  const embeddings = new Array<Float32Array>(texts.length)
  const left = [...texts.keys()].reverse()
  let workers = Math.min(mostAtOnce, texts.length)
  const work = async () => {
    for (let index = left.pop(); index !== undefined; index = left.pop()) {
      try {
        embeddings[index] = (await measure(model, texts[index] as Text, what, all)).values
      } catch (error) {
        // Where the queue is full, fewer of them at once; the last one has to tell.
        if (!isQueueFull(error) || workers === 1) throw error
        left.push(index)
        workers--
        return
      }
    }
  }
  try {
    await Promise.all(Array.from({ length: workers }, work))
  } catch (error) {
    stop.abort(error)
    throw error
  }
  return embeddings
}

const isQueueFull = (error: unknown) =>
  error instanceof CriaError && error.code === 'ERR_CRIA_QUEUE_FULL'

export async function score(model: LoadedModel, input: unknown, options: unknown): Promise<Score> {
  const { signal, from } = checkScore(options)
  model.assertOpen()
  const wanted: Wanted = { purpose: 'score', from, pooling: 'mean', normalize: false }
  const { tokens, values } = await measure(model, toText(input, model), wanted, signal)
  return { tokens, from, logprobs: values }
}

function toText(input: unknown, model: LoadedModel): Text {
  if (typeof input === 'string') return { prompt: [{ text: input, special: false }], bos: true }
  if (!(input instanceof Int32Array || Array.isArray(input))) {
    throw badArgument(`expected a text or token ids, got ${describe(input)}`)
  }
  if (input.length === 0) throw badArgument('expected a text or token ids, got no token at all')
  return { prompt: toIds(input, model.info.vocabSize), bos: false }
}

interface Figures {
  readonly tokens: number[]
  readonly values: Float32Array
}

/** One request for figures. Rejects as a generation does. */
function measure(
  model: LoadedModel,
  text: Text,
  wanted: Wanted,
  signal: AbortSignal | undefined
): Promise<Figures> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted()
    model.assertOpen()
    model.assertFits(text, 0)
    const request = new Measuring(model, wanted.purpose, resolve, reject)
    request.start({ ...text, ...wanted }, signal)
  })
}

class Measuring implements UpdateSink {
  readonly #model: LoadedModel
  readonly #kind: RequestStart['kind']
  readonly #resolve: (figures: Figures) => void
  readonly #reject: (error: unknown) => void
  #id = 0
  #unlisten = () => {}

  constructor(
    model: LoadedModel,
    kind: RequestStart['kind'],
    resolve: (figures: Figures) => void,
    reject: (error: unknown) => void
  ) {
    this.#model = model
    this.#kind = kind
    this.#resolve = resolve
    this.#reject = reject
  }

  start(request: Omit<NativeMeasurement, 'id'>, signal: AbortSignal | undefined): void {
    const { native, router } = this.#model
    this.#id = router.open(this)
    try {
      native.measure({ ...request, id: this.#id })
    } catch (error) {
      router.close(this.#id)
      this.#reject(toCriaError(error))
      return
    }
    tellStart(this.#about)
    // Callers are told at once; the engine stops within a step.
    const abort = () => {
      this.#reject(signal?.reason)
      if (!this.#model.isDisposed) native.cancel(this.#id)
    }
    signal?.addEventListener('abort', abort, { once: true })
    this.#unlisten = () => signal?.removeEventListener('abort', abort)
  }

  update({ tokens, values, end }: NativeUpdate): void {
    if (!end) return
    const error = endError(end)
    tellEnd(this.#about, end, error)
    if (error) this.#reject(error)
    else this.#resolve({ tokens, values: values ?? new Float32Array() })
    this.#unlisten()
  }

  lost(error: Error): void {
    tellEnd(this.#about, { reason: 'error', ...nothing }, error)
    this.#reject(error)
    this.#unlisten()
  }

  get #about(): RequestStart {
    return { model: this.#model.info, id: this.#id, kind: this.#kind }
  }
}
