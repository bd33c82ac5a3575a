/**
 * The words of the API: options that calls take, and what they give.
 *
 * Options are checked against the tables of options.ts, which state the same ranges and defaults.
 */

import type { BeamOptions, BeamText } from './beams.js'
import type { SamplingOptions } from './sampling.js'
import type { Schema } from './schema/infer.js'
import type { ToolNews, ToolOptions, ToolParts, ToolResults } from './tools/types.js'

/** One turn of a conversation. */
export interface Message extends ToolParts {
  readonly role: 'system' | 'user' | 'assistant' | 'tool'
  readonly content: string
}

/**
 * What a generation continues: a text, token ids, or a conversation, which goes through the chat
 * template of the model. Control tokens spelt in a text or in a message are never taken for such.
 */
export type GenerateInput = string | readonly number[] | Int32Array | readonly Message[]

/** How far a load has come. */
export interface Progress {
  /** What is going on: `'weights'`, … */
  readonly stage: string
  /** Bytes so far, of `total`. */
  readonly loaded: number
  readonly total: number
}

/** Where and how a model is loaded. */
export interface LoadOptions {
  /**
   * Where to compute: `'cpu'` (default), `'cuda'` or `'cuda:1'` for a GPU, `'auto'` for the first GPU
   * that the model fits on, else the CPU; or a list of one of them.
   */
  devices?: string | readonly string[] | undefined
  /** Threads that compute, 1 to 256. Default: one per physical core that the process may use. */
  threads?: number | undefined
  /** Tokens that one sequence may hold. Default: the model's own context, bounded by memory. */
  contextSize?: number | undefined
  /** Most tokens that one step computes, 1 to 65536: prompts are fed in chunks of this size. */
  batchSize?: number | undefined
  /** Sequences of full context that the KV pool holds at once, 1 to 4096. Default 1. */
  sequences?: number | undefined
  /**
   * How keys and values are stored. Default `'f16'`. `'q8_0'` takes about half of the memory (8.5 bits
   * an element) and rounds them to 8 bits; head widths must be a multiple of 32.
   */
  kvType?: 'f16' | 'q8_0' | undefined
  /**
   * Compute on the weights as they lie in the file, without a copy in memory: for machines short of it.
   * Slower, above all on prompts. Default false: weights are repacked for this processor while loading.
   */
  mapped?: boolean | undefined
  /**
   * A smaller model of the same vocabulary, a path or file URL, that guesses what this one will say:
   * docs/speculation.md. ERR_CRIA_BAD_ARGUMENT for another vocabulary. Its weights are loaded first.
   */
  draft?: string | URL | undefined
  /**
   * Most requests that may wait for their turn; the next one rejects with ERR_CRIA_QUEUE_FULL.
   * 0: none waits. Default: no limit.
   */
  maxQueue?: number | undefined
  /** Called now and then while the file is read. An error it throws ends the load with it. */
  onProgress?: ((progress: Progress) => void) | undefined
  /** Ends the load: it rejects with the signal's reason. */
  signal?: AbortSignal | undefined
}

/** The options of a load that decide how much memory it takes. */
export type EstimateOptions = Omit<LoadOptions, 'maxQueue' | 'onProgress' | 'signal'>

/** Sampling, limits and stopping of one generation. */
export interface GenerateOptions extends SamplingOptions, BeamOptions, ToolOptions {
  /** Most tokens to generate, 1 to 2147483647. Default: until the context is full. */
  maxTokens?: number | undefined
  /** Texts that end the generation and are left out of it: up to 64 of 1 to 1024 characters. */
  stop?: string | readonly string[] | undefined
  /**
   * Texts that the generation never contains: up to 64 of 1 to 1024 characters. Where one is complete,
   * its tokens are taken back, and the first of them is not drawn there again.
   */
  banned?: string | readonly string[] | undefined
  /** Log-probabilities of the tokens, with so many of the likeliest alternatives, 0 to 20. */
  logprobs?: number | undefined
  /**
   * A grammar in GBNF that the text is held to, up to 1 MiB: docs/structured-output.md. Not together
   * with `regex` or `schema`. `result.complete` says whether the text is whole.
   */
  grammar?: string | undefined
  /**
   * A regular expression that the whole text matches: a text, or a RegExp without flags other than
   * `u`. Not together with `grammar` or `schema`.
   */
  regex?: string | RegExp | undefined
  /**
   * What happens where messages do not fit the context with room for the answer: `'error'` (default)
   * rejects with ERR_CRIA_CONTEXT_OVERFLOW; `'shift'` leaves out the oldest turns, but not the system
   * message, and computes what is left. `result.droppedMessages` says how many.
   */
  onOverflow?: 'error' | 'shift' | undefined
  /**
   * Who goes first where not all can run, -100 to 100. Default 0. One more overtakes requests that
   * came up to 64 steps of the engine before; nobody waits for ever.
   */
  priority?: number | undefined
  /**
   * What guesses at the next tokens come from, several of which are tried in one step: `'lookup'` where
   * the text seems to repeat what was there before, `'auto'` (default) there and from the draft model
   * where there is one, `'off'` never. The text is the same, token for token: docs/speculation.md.
   */
  speculation?: 'auto' | 'lookup' | 'off' | undefined
  /** Milliseconds after which the generation, waiting or running, rejects with ERR_CRIA_TIMEOUT. */
  timeout?: number | undefined
  /** Cached beginnings of prompts are shared among requests of the same key alone. Default `''`. */
  cacheKey?: string | undefined
  /**
   * Holds the text to the JSON of this JSON Schema, or of this schema of a library such as zod; the result
   * has the value as `object`. What cannot be held to is an error that says where, before anything runs.
   * Not together with `stop`: docs/schema.md.
   */
  schema?: Schema | undefined
  /** Ends the generation: it rejects with the signal's reason, as `fetch` does. */
  signal?: AbortSignal | undefined
}

/** Options with a schema, which gives `result.object` its type. */
export type SchemaOptions<S extends Schema> = GenerateOptions & { schema: S }

/** How a conversation begins. */
export interface SessionOptions {
  /** What the model is told before the first turn. */
  system?: string | undefined
  /** Turns that went before, as a conversation saved earlier; may begin with the system message. */
  messages?: readonly Message[] | undefined
  /** Of all its turns: see {@link GenerateOptions.cacheKey}. */
  cacheKey?: string | undefined
}

/** What a saved conversation took. */
export interface SavedSession {
  readonly bytes: number
  /** Tokens whose keys and values are in the file; others were given up and are computed again. */
  readonly tokens: number
}

/** How text becomes token ids. */
export interface EncodeOptions {
  /** Begin with the beginning-of-text token, where the vocabulary has one. Default false. */
  bos?: boolean | undefined
  /** Let control tokens spelt in the text count as such; never for a user's text. Default false. */
  special?: boolean | undefined
}

/** How token ids become text. */
export interface DecodeOptions {
  /** Write control tokens out as they are spelt. Default false: they are left out. */
  special?: boolean | undefined
}

/** How likely a token was, as a natural logarithm, before any sampler had its say. */
export interface Logprob {
  readonly id: number
  readonly logprob: number
}

/** Of a token that was drawn. */
export interface TokenLogprob extends Logprob {
  /** The likeliest tokens there, whether drawn or not. */
  readonly top: readonly Logprob[]
}

/** What one step of the engine brought. */
export interface Chunk extends ToolNews {
  /** Whole code points; may be empty while a code point or a stop text is incomplete. */
  readonly text: string
  readonly tokens: number[]
  /** Of each token; absent unless asked for. */
  readonly logprobs?: TokenLogprob[]
}

/** Tokens that a generation took and gave. */
export interface Usage {
  readonly promptTokens: number
  /** Of `promptTokens`, how many were already in the KV cache and cost nothing. */
  readonly cachedTokens: number
  readonly completionTokens: number
}

/** Where the time of a generation went. */
export interface Timings {
  /** Milliseconds from the call until the engine took it up. */
  readonly queueMs: number
  /** Milliseconds for the prompt, up to the first token. */
  readonly prefillMs: number
  /** Milliseconds for the tokens after the first. */
  readonly decodeMs: number
  /** Prompt tokens computed per second; 0 where nothing was measured. */
  readonly prefillTokensPerSecond: number
  /** Tokens generated per second after the first; 0 where nothing was measured. */
  readonly decodeTokensPerSecond: number
  /** Tokens that speculation guessed … */
  readonly guessedTokens: number
  /** … and how many of them were right, each of which saved a step. */
  readonly acceptedTokens: number
}

/**
 * Why a generation ended: the model ended it or a stop text came; the token limit or the end of the
 * context was reached; `cancel()` was called; the model wants more rounds of tools than `maxToolRounds`.
 */
export type FinishReason = 'stop' | 'length' | 'abort' | 'tool-rounds'

/** A whole generation. */
export interface Result extends ToolResults {
  readonly text: string
  readonly tokens: number[]
  /** Of each token; absent unless asked for. */
  readonly logprobs?: TokenLogprob[]
  readonly finishReason: FinishReason
  /** Messages that were left out of the prompt; 0 unless `onOverflow` is `'shift'`. */
  readonly droppedMessages: number
  readonly usage: Usage
  readonly timings: Timings
  /** With `grammar`, `regex` or `schema` alone: whether the text is whole, or was cut off within it. */
  readonly complete?: boolean
  /** With `beams`: all texts that the search ended with, the best first, which is `text`. */
  readonly beams?: readonly BeamText[]
}

/** A whole generation that a schema was given for. */
export interface ObjectResult<T> extends Result {
  /**
   * The value that the text is. Absent where the text was cut off: `finishReason` is `'length'` or
   * `'abort'`.
   */
  readonly object?: T
}

/** What a loaded model is, and the sizes it was loaded with. */
export interface ModelInfo {
  readonly path: string
  readonly name: string
  readonly architecture: string
  /** Of the file: "1.1B Q4_K". */
  readonly description: string
  readonly parameters: number
  readonly fileBytes: number
  readonly layers: number
  readonly width: number
  readonly heads: number
  readonly kvHeads: number
  readonly headWidth: number
  readonly feedForward: number
  readonly vocabSize: number
  /** Tokens of context the model was trained on. */
  readonly trainedContext: number
  /** Tokens that one sequence may hold, as loaded. */
  readonly contextSize: number
  /** Most tokens that one step computes. */
  readonly batchSize: number
  /** Where it computes: `'cpu'`, `'cuda:0'`. */
  readonly device: string
  /** Of this process, that compute; 1 where a GPU does. */
  readonly threads: number
  /** The table of CPU kernels in use, such as `avx512_vnni`; of a GPU, what it is. */
  readonly kernels: string
  readonly chatTemplate: string | null
  readonly weightBytes: number
  readonly kvBytes: number
  readonly scratchBytes: number
  /** All that the draft model takes; 0 where there is none. */
  readonly draftBytes: number
}

/** What a load would take, in bytes. */
export interface Estimate {
  readonly weightBytes: number
  readonly kvBytes: number
  readonly scratchBytes: number
  /** All that the draft model takes; 0 where there is none. */
  readonly draftBytes: number
  readonly totalBytes: number
  /** Tokens of context that the estimate is for. */
  readonly contextSize: number
  /** Where it would compute: `'cpu'`, `'cuda:0'`. */
  readonly device: string
  /** What is free there now: on this machine or in its container, or of the GPU's own memory. */
  readonly availableBytes: number
}

/** What is timed, and with which sizes. */
export interface BenchmarkOptions extends EstimateOptions {
  /** Prompt sizes in tokens. Default `[512]`; `[]`: none. */
  prompt?: readonly number[] | undefined
  /** Numbers of tokens to generate. Default `[128]`; `[]`: none. */
  generate?: readonly number[] | undefined
  /** Tokens in the cache before the clock starts; all is timed at each. Default `[0]`. */
  depths?: readonly number[] | undefined
  /** Timed runs of each, after one untimed, 1 to 10000. Default 5. */
  repetitions?: number | undefined
  /** Called with each row as it is measured. An error it throws ends the benchmark with it. */
  onRow?: ((row: BenchmarkRow) => void) | undefined
  /** Ends the benchmark: it rejects with the signal's reason. */
  signal?: AbortSignal | undefined
}

/** One thing that was timed. */
export interface BenchmarkRow {
  /** As llama-bench names it: `pp512`, `tg128`, `tg128 @ d4096`. */
  readonly name: string
  readonly prompt: number
  readonly generate: number
  readonly depth: number
  /** Of each repetition. */
  readonly seconds: readonly number[]
  /** Mean over the repetitions. */
  readonly tokensPerSecond: number
  /** Standard deviation of the tokens per second (sample, n − 1). */
  readonly deviation: number
}

export interface BenchmarkReport {
  readonly model: ModelInfo
  /** How keys and values were stored. */
  readonly kvType: NonNullable<LoadOptions['kvType']>
  readonly rows: readonly BenchmarkRow[]
}

/** A metadata value; an array of more than 64 elements comes as its type, length and beginning. */
export type MetadataValue =
  | string
  | number
  | bigint
  | boolean
  | MetadataValue[]
  | { type: string; length: number; first: MetadataValue[] }

/** One tensor of a file. */
export interface TensorInfo {
  readonly name: string
  readonly type: string
  /** As in the file: the fastest-running dimension first. */
  readonly shape: number[]
  readonly bytes: number
  /** Bytes from the beginning of the file that holds it. */
  readonly offset: number
  /** Which file of a split set holds it, from 0. */
  readonly part: number
}

/** The header of a GGUF file, or of all files of a split set. */
export interface Inspection {
  readonly path: string
  readonly version: number
  readonly alignment: number
  readonly fileBytes: number
  readonly parts: number
  readonly parameters: number
  readonly metadata: Record<string, MetadataValue>
  readonly tensors: TensorInfo[]
}
