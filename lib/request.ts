/** The life of one request: prepared, posted to the engine, fed by updates, ended once. */

import { toBeams } from './beams.js'
import { CriaError, toCriaError } from './errors.js'
import { type RequestStart, tellEnd, tellStart } from './events.js'
import type { RequestControl } from './generation.js'
import type { GrammarText } from './grammar.js'
import type {
  NativeEnd,
  NativeGrammar,
  NativeModel,
  NativeRequest,
  NativeSampling,
  NativeUpdate
} from './native.js'
import type { GenerateSettings } from './options.js'
import type { Router, UpdateSink } from './router.js'
import type { ToolTalk } from './tools/run.js'
import type { ModelInfo, Result } from './types.js'

/** What the engine is to continue. */
export type Prompt = Pick<NativeRequest, 'prompt' | 'bos' | 'trimStart'> & {
  /** Messages that were left out of it. */
  readonly droppedMessages?: number
}

/** What a request needs to run. */
export interface Order {
  readonly settings: GenerateSettings
  /** The conversation it belongs to; 0: none. */
  readonly sequence: number
  /** Throws what is wrong with the prompt; a promise where a template takes its time. */
  prepare(): Prompt | Promise<Prompt>
  /** What it is where the model may call tools; `prepare` is not asked then. */
  readonly tools?: ToolTalk | undefined
  /** Called just before callers see the outcome; without a result for errors and aborted signals. */
  readonly onSettled?: (result?: Result) => void
  /** Called when the engine has done with it, however it ended. */
  readonly onClosed?: () => void
}

/** Where a request runs. */
export interface Engine {
  readonly native: Pick<NativeModel, 'generate' | 'cancel' | 'pause' | 'resume'>
  readonly router: Router
  readonly info: ModelInfo
  readonly isDisposed: boolean
  /** Throws ERR_CRIA_DISPOSED once the model is. */
  assertOpen(): void
  /** Throws ERR_CRIA_CONTEXT_OVERFLOW where a look at the prompt's length is enough to tell. */
  assertFits(prompt: Prompt): void
  compileGrammar(grammar: GrammarText): Promise<NativeGrammar>
}

/** Of a request that the engine did nothing for. */
export const nothing = {
  droppedMessages: 0,
  usage: { promptTokens: 0, cachedTokens: 0, completionTokens: 0 },
  timings: { queueMs: 0, prefillMs: 0, decodeMs: 0, guessedTokens: 0, acceptedTokens: 0 }
}

export class Request implements UpdateSink {
  readonly #engine: Engine
  readonly #order: Order
  readonly #control: RequestControl
  #id = 0 // 0: not posted yet
  readonly #begun = performance.now()
  #droppedMessages = 0
  #timer: NodeJS.Timeout | undefined // of a timeout while it is paused
  #paused = false
  #ended = false // callers have their result or error
  #closed = false // the engine has done with it

  constructor(engine: Engine, order: Order, control: RequestControl) {
    this.#engine = engine
    this.#order = order
    this.#control = control
  }

  /** Posts at once where the prompt is at hand, so that requests run in the order of the calls. */
  start(): void {
    const { signal, grammar } = this.#order.settings
    try {
      this.#engine.assertOpen()
      if (signal?.aborted) throw signal.reason
      signal?.addEventListener('abort', this.#abort, { once: true })
      const prompt = this.#order.prepare()
      if (grammar) {
        const both = Promise.all([prompt, this.#engine.compileGrammar(grammar)])
        both.then(([text, compiled]) => this.#post(text, compiled), this.#fail)
      } else if (prompt instanceof Promise) prompt.then((text) => this.#post(text), this.#fail)
      else this.#post(prompt)
    } catch (error) {
      this.#fail(error)
    }
  }

  readonly #post = (prompt: Prompt, grammar?: NativeGrammar): void => {
    if (this.#ended) return
    const { native, router } = this.#engine
    try {
      this.#engine.assertOpen()
      this.#id = router.open(this)
      const { settings, sequence } = this.#order
      this.#engine.assertFits(prompt)
      const timeoutMs = this.#timeLeft()
      const { priority, cacheKey } = settings
      const { droppedMessages = 0, ...text } = prompt
      this.#droppedMessages = droppedMessages
      const place = { id: this.#id, sequence, priority, timeoutMs, cacheKey }
      native.generate({ ...toSampling(settings), ...text, ...place, grammar })
      tellStart(this.#about)
      if (this.#paused) this.pause()
    } catch (error) {
      router.close(this.#id)
      this.#fail(toCriaError(error))
      this.#close()
    }
  }

  /** Whole milliseconds until the timeout; 0: there is none. Throws where it is over. */
  #timeLeft(): number {
    const { timeout } = this.#order.settings
    if (timeout === 0) return 0
    const left = this.#msLeft()
    if (left > 0) return left
    throw new CriaError(
      'ERR_CRIA_TIMEOUT',
      `the generation was not done within its timeout of ${timeout} ms: its prompt was not ready`
    )
  }

  /** Of the timeout, in whole milliseconds. */
  #msLeft(): number {
    return Math.ceil(this.#order.settings.timeout - (performance.now() - this.#begun))
  }

  update({ text, tokens, logprobs, end }: NativeUpdate): void {
    this.#control.push(text, tokens, logprobs)
    if (!end) return
    const error = endError(end)
    tellEnd(this.#about, end, error)
    if (error) this.#fail(error)
    else if (end.reason !== 'error') {
      const { reason, usage, timings, grammarComplete: complete } = end
      const beams = toBeams(end.beams)
      const droppedMessages = this.#droppedMessages
      this.#complete({ reason, droppedMessages, usage, timings, complete, ...(beams && { beams }) })
    }
    this.#close()
  }

  /** With the value of a schema, where the text is a whole one; its library may take its time. */
  #complete(end: Parameters<RequestControl['finish']>[0]): void {
    const { schema } = this.#order.settings
    if (!schema || end.reason !== 'stop' || end.complete === false) {
      this.#finish(end)
      return
    }
    try {
      const object = schema.parse(this.#control.text())
      if (object instanceof Promise) {
        object.then((value) => this.#finish({ ...end, object: value }), this.#fail)
      } else this.#finish({ ...end, object })
    } catch (error) {
      this.#fail(error)
    }
  }

  lost(error: Error): void {
    tellEnd(this.#about, { reason: 'error', ...nothing }, error)
    this.#fail(error)
    this.#close()
  }

  get #about(): RequestStart {
    return { model: this.#engine.info, id: this.#id, kind: 'generate' }
  }

  /** Ends quietly: once posted, with the engine's last update; before, at once. */
  cancel(): void {
    if (this.#ended) return
    if (this.#id !== 0) this.#engine.native.cancel(this.#id)
    else {
      this.#finish({ reason: 'abort', ...nothing })
      this.#close()
    }
  }

  pause(): void {
    this.#paused = true
    if (this.#id === 0 || this.#closed || this.#engine.isDisposed) return
    this.#engine.native.pause(this.#id)
    // The engine looks at a timeout only while it has work.
    const { timeout } = this.#order.settings
    if (timeout > 0) this.#timer = setTimeout(() => this.resume(), this.#msLeft() + 1).unref()
  }

  resume(): void {
    this.#paused = false
    clearTimeout(this.#timer)
    if (this.#id === 0 || this.#closed || this.#engine.isDisposed) return
    this.#engine.native.resume(this.#id)
  }

  /** Callers are told at once; the engine stops within a step. */
  readonly #abort = (): void => {
    if (this.#ended) return
    this.#fail(this.#order.settings.signal?.reason)
    if (this.#id !== 0 && !this.#closed) this.#engine.native.cancel(this.#id)
  }

  #finish(end: Parameters<RequestControl['finish']>[0]): void {
    if (!this.#end()) return
    const result = this.#control.finish(end)
    this.#order.onSettled?.(result)
    this.#unlisten()
  }

  readonly #fail = (error: unknown): void => {
    if (!this.#end()) return
    this.#control.fail(error)
    this.#order.onSettled?.()
    if (this.#id === 0) this.#close()
    this.#unlisten()
  }

  /** True the first time. */
  #end(): boolean {
    if (this.#ended) return false
    this.#ended = true
    return true
  }

  /** Last, once callers are served: a signal of the caller's own making may throw here. */
  #unlisten(): void {
    this.#order.settings.signal?.removeEventListener('abort', this.#abort)
  }

  #close(): void {
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#timer)
    this.#order.onClosed?.()
  }
}

/** What the engine says went wrong, as callers see it. */
export function endError(end: NativeEnd): Error | undefined {
  if (end.reason !== 'error') return undefined
  return toCriaError(Object.assign(new Error(end.message ?? 'no reason given'), { code: end.code }))
}

export function randomSeed(): bigint {
  const [seed] = crypto.getRandomValues(new BigUint64Array(1))
  return seed as bigint
}

/** Settings as the addon takes them. */
export function toSampling(settings: GenerateSettings): NativeSampling {
  const {
    signal: _,
    priority: __,
    timeout: ___,
    cacheKey: ____,
    onOverflow: _____,
    tools: ______,
    toolChoice: _______,
    maxToolRounds: ________,
    schema: _________,
    grammar: __________,
    seed,
    logitBias,
    logprobs,
    ...same
  } = settings
  return {
    ...same,
    seed: seed ?? randomSeed(),
    logprobs: logprobs ?? -1,
    logitBiasIds: Int32Array.from(logitBias.keys()),
    logitBiasValues: Float32Array.from(logitBias.values())
  }
}
