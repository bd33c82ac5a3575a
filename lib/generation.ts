/** A running generation, as callers hold it. */

import { Feed, type FeedReader } from './feed.js'
import type { NativeEnd } from './native.js'
import type { ToolNews, ToolOutcome } from './tools/types.js'
import type { Chunk, Message, ObjectResult, Result, Timings, TokenLogprob, Usage } from './types.js'

/** How the side that makes a generation feeds it. Whatever comes after the end is ignored. */
export interface GenerationControl {
  /** `news`: what else a chunk tells; one of a call or a result comes without text. */
  push(text: string, tokens: number[], logprobs?: TokenLogprob[], news?: ToolNews): void
  /** What came so far stays with who read it, but is not part of the result. */
  restart(): void
  /** All that was pushed. */
  text(): string
  /** Ends it with all that was pushed; gives the result, or undefined where it had ended before. */
  finish(end: GenerationEnd): Result | undefined
  fail(error: unknown): void
}

/** What a single request needs of it. */
export type RequestControl = Omit<GenerationControl, 'restart'>

/** What it can ask of the side that feeds it; nothing happens after the end. */
export interface Running {
  cancel(): void
  /** No more for now; what is on its way may still come. */
  pause(): void
  resume(): void
}

export interface GenerationEnd {
  readonly reason: Result['finishReason']
  readonly droppedMessages: number
  readonly usage: Usage
  readonly timings: NativeEnd['timings']
  readonly toolCalls?: readonly ToolOutcome[]
  readonly messages?: readonly Message[]
  /** The value of a schema, where the text is a whole one. */
  readonly object?: unknown
  /** With a grammar alone. */
  readonly complete?: boolean | undefined
  readonly beams?: Result['beams']
}

/**
 * Text that a model is generating. It starts at once, whether or not anybody looks, and can be
 * awaited for the whole {@link Result}, iterated for each {@link Chunk} as it comes, or both; every
 * iteration sees all chunks from the first on.
 *
 * - While it is only iterated, and every iteration is 64 chunks behind, it is paused: it takes no part in
 *   the engine's steps until one of them has read on. Awaiting it says that all is wanted.
 * - It never throws when it is made: wrong options, a disposed model or an aborted signal reject it
 *   and end its iterators with the same error.
 * - Leaving a `for await` early cancels it, once no other iteration of it is open.
 * - An error that nobody awaits or iterates is dropped: there is never an `unhandledRejection` from
 *   a generation itself (a promise made of it with `then` is the caller's own).
 */
export class Generation<R extends Result = Result> implements PromiseLike<R>, AsyncIterable<Chunk> {
  readonly #feed: Feed<Chunk>
  readonly #result: Promise<R>
  readonly #running: Running

  /** @internal */
  constructor(start: (control: GenerationControl) => Running) {
    this.#feed = new Feed({
      abandon: () => this.cancel(),
      pause: () => this.#running.pause(),
      resume: () => this.#running.resume()
    })
    let settle!: { resolve(result: R): void; reject(error: unknown): void }
    this.#result = new Promise((resolve, reject) => {
      settle = { resolve, reject }
    })
    this.#result.catch(() => {}) // told to whoever awaits or iterates
    // The order that `start` makes decides what the result has, as the types of its caller say.
    const { resolve, reject } = settle
    const resolveAs = (result: Result) => resolve(result as R)
    this.#running = start(makeControl(this.#feed, { resolve: resolveAs, reject }))
  }

  // biome-ignore lint/suspicious/noThenProperty: a generation is awaited for its result.
  then<A = R, B = never>(
    onResult?: ((result: R) => A | PromiseLike<A>) | null,
    onError?: ((error: unknown) => B | PromiseLike<B>) | null
  ): Promise<A | B> {
    this.#feed.wantAll()
    return this.#result.then(onResult, onError)
  }

  catch<B = never>(onError?: ((error: unknown) => B | PromiseLike<B>) | null): Promise<R | B> {
    return this.then(undefined, onError)
  }

  finally(onEnd?: (() => void) | null): Promise<R> {
    this.#feed.wantAll()
    return this.#result.finally(onEnd)
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Chunk, undefined> {
    return this.#feed.reader()
  }

  /** The text alone, piece by piece; no piece is empty. May be iterated several times. */
  get textStream(): AsyncIterable<string> {
    return { [Symbol.asyncIterator]: () => new TextReader(this.#feed.reader()) }
  }

  /**
   * The text as a web stream of UTF-8 bytes, ready for `new Response(…)`. Cancelling the stream
   * cancels the generation.
   */
  toReadableStream(): ReadableStream<Uint8Array> {
    const texts = new TextReader(this.#feed.reader())
    const encoder = new TextEncoder()
    return new ReadableStream<Uint8Array>({
      async pull(controller) {
        const { done, value } = await texts.next()
        if (done) controller.close()
        else controller.enqueue(encoder.encode(value))
      },
      async cancel() {
        await texts.return()
      }
    })
  }

  /**
   * Ends the generation quietly within one step of the engine: it resolves with the text so far and
   * `finishReason: 'abort'`. Does nothing once it has ended.
   */
  cancel(): void {
    this.#running.cancel()
  }
}

/** The texts of chunks that have some. */
class TextReader implements AsyncIterableIterator<string, undefined> {
  readonly #chunks: FeedReader<Chunk>

  constructor(chunks: FeedReader<Chunk>) {
    this.#chunks = chunks
  }

  async next(): Promise<IteratorResult<string, undefined>> {
    for (;;) {
      const { done, value } = await this.#chunks.next()
      if (done) return { done, value: undefined }
      if (value.text !== '') return { done: false, value: value.text }
    }
  }

  async return(): Promise<IteratorResult<string, undefined>> {
    await this.#chunks.return()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}

function makeControl(
  feed: Feed<Chunk>,
  settle: { resolve(result: Result): void; reject(error: unknown): void }
): GenerationControl {
  let texts: string[] = []
  let tokens: number[] = []
  let logprobs: TokenLogprob[] | undefined
  let ended = false
  return {
    push(text, added, likely, news) {
      const isCall = news?.toolCall !== undefined || news?.toolResult !== undefined
      if (ended || (text === '' && added.length === 0 && !isCall)) return
      texts.push(text)
      for (const token of added) tokens.push(token)
      if (likely) {
        logprobs ??= []
        for (const one of likely) logprobs.push(one)
      }
      feed.push({ text, tokens: added, ...(likely && { logprobs: likely }), ...news })
    },
    restart() {
      texts = []
      tokens = []
      logprobs = undefined
    },
    text: () => texts.join(''),
    finish({ reason, droppedMessages, usage, timings, toolCalls = [], complete, ...more }) {
      if (ended) return undefined
      ended = true
      const result: ObjectResult<unknown> = {
        text: texts.join(''),
        tokens,
        ...(logprobs && { logprobs }),
        finishReason: reason,
        droppedMessages,
        usage,
        timings: withRates(timings, usage),
        toolCalls,
        ...(complete === undefined ? {} : { complete }),
        ...more
      }
      feed.end()
      settle.resolve(result)
      return result
    },
    fail(error) {
      if (ended) return
      ended = true
      feed.end({ error })
      settle.reject(error)
    }
  }
}

function withRates(timings: NativeEnd['timings'], usage: Usage): Timings {
  const perSecond = (count: number, ms: number) => (count > 0 && ms > 0 ? (count * 1000) / ms : 0)
  return {
    ...timings,
    prefillTokensPerSecond: perSecond(usage.promptTokens - usage.cachedTokens, timings.prefillMs),
    // The first token comes from the prompt's last step, so it is no part of the decode time.
    decodeTokensPerSecond: perSecond(usage.completionTokens - 1, timings.decodeMs)
  }
}
