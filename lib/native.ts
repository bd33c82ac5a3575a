/**
 * The whole native surface, typed: the only file that touches the `.node`.
 *
 * A native call that fails throws (or rejects with) a plain Error whose `code` is one of the public
 * `ERR_CRIA_*` codes, and whose `offset` is the byte offset for a malformed file; `errors.ts` makes
 * it a `CriaError`. The addon validates every value again: it never trusts its caller.
 */
import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { SamplingSettings } from './sampling.js'
import type { TokenLogprob } from './types.js'

/** A stretch of prompt text; control tokens spelt in it count only where `special` is true. */
export interface NativeSegment {
  readonly text: string
  readonly special: boolean
}

/** Sampling, limits and stopping of one request; every field is present and in range. */
export interface NativeSampling extends Omit<SamplingSettings, 'seed' | 'logitBias'> {
  readonly maxTokens: number // 0: until the context is full
  readonly seed: bigint // 64 bits
  readonly speculation: 'auto' | 'lookup' | 'off'
  readonly beams: number // 0: sampled
  readonly lengthPenalty: number
  readonly stop: readonly string[]
  readonly banned: readonly string[]
  readonly logprobs: number // alternatives of each token; -1: none are wanted at all
  readonly logitBiasIds: Int32Array
  readonly logitBiasValues: Float32Array // same length; -Infinity bans
}

export interface NativeRequest extends NativeSampling {
  /** Chosen by the caller, unique among the model's running requests, 1 … 2^31-1. */
  readonly id: number
  /** Token ids as they are, or text to tokenize off the event loop. */
  readonly prompt: Int32Array | readonly NativeSegment[]
  /** Whether a text prompt begins with the beginning-of-text token (where the vocabulary wants one). */
  readonly bos: boolean
  /** Drop white space before the first visible character of the answer (chat). */
  readonly trimStart: boolean
  /** The conversation that it is a turn of; 0: none. */
  readonly sequence: number
  readonly priority: number // -100 … 100
  readonly timeoutMs: number // from this call; 0: none
  readonly cacheKey: string // requests of other keys share no cache with it
  /** What the text is held to. */
  readonly grammar?: NativeGrammar | undefined
}

/** A compiled grammar of one model; there is nothing to see in it from here. */
export interface NativeGrammar {
  readonly grammar?: never
}

/** How a grammar is written. */
export type GrammarSyntax = 'gbnf' | 'regex'

/** A text of which figures are wanted; every field is present and in range. */
export interface NativeMeasurement extends Pick<NativeRequest, 'id' | 'prompt' | 'bos'> {
  readonly purpose: 'embed' | 'score'
  readonly pooling: 'mean' | 'last' // of an embedding
  readonly normalize: boolean // an embedding
  readonly from: number // the first token to score, 1 …
}

export interface NativeUsage {
  readonly promptTokens: number
  readonly cachedTokens: number
  readonly completionTokens: number
}

export interface NativeTimings {
  readonly queueMs: number // from the call to the first prefill step
  readonly prefillMs: number
  readonly decodeMs: number
  readonly guessedTokens: number // by speculation …
  readonly acceptedTokens: number // … and right
}

export interface NativeEnd {
  readonly reason: 'stop' | 'length' | 'abort' | 'error'
  readonly usage: NativeUsage
  readonly timings: NativeTimings
  /** With a grammar: whether the text is a whole one of it. */
  readonly grammarComplete?: boolean
  /** Of a beam search, best first; the first is the text. */
  readonly beams?: readonly {
    readonly text: string
    readonly tokens: number[]
    readonly score: number
    readonly stopped: boolean
    readonly grammarComplete?: boolean
  }[]
  /** For `error`. */
  readonly code?: string
  readonly message?: string
}

/** What one engine step brought for one request. */
export interface NativeUpdate {
  readonly request: number
  readonly text: string // whole code points
  readonly tokens: number[]
  readonly logprobs?: TokenLogprob[] // of each token, where wanted
  readonly end?: NativeEnd // the last update of a request
  /** With the end of a measurement, whose `tokens` are then all of its text; absent: empty. */
  readonly values?: Float32Array
}

/** Counts are since the load; what they mean is at `ModelStats`. */
export interface NativeStats {
  readonly posted: number
  readonly finished: number
  readonly aborted: number
  readonly failed: number
  readonly queued: number
  readonly running: number
  readonly paused: number
  readonly promptTokens: number // of prompts begun
  readonly cachedTokens: number // of those
  readonly computedTokens: number // of prompts, again after a return to the queue, too
  readonly generatedTokens: number
  readonly guessedTokens: number
  readonly acceptedTokens: number
  readonly pages: number
  readonly freePages: number
  readonly cachedPages: number
  readonly pageTokens: number
  readonly steps: number
  readonly stepMs: { mean: number; p50: number; p95: number; p99: number; max: number }
  readonly windowMs: number
  readonly promptRate: number // tokens a second
  readonly generatedRate: number
}

export interface NativeModelInfo {
  readonly path: string
  readonly name: string
  readonly architecture: string
  readonly description: string // of the file: "1.1B Q4_K"
  readonly parameters: number
  readonly fileBytes: number
  readonly layers: number
  readonly width: number
  readonly heads: number
  readonly kvHeads: number
  readonly headWidth: number
  readonly feedForward: number
  readonly vocabSize: number
  readonly trainedContext: number
  readonly contextSize: number // tokens a sequence may hold here
  readonly batchSize: number
  readonly device: string // 'cpu', 'cuda:0'
  readonly threads: number
  readonly kernels: string // kernel table: "avx512_vnni"; of a GPU, what it is
  readonly chatTemplate: string | null
  readonly weightBytes: number
  readonly kvBytes: number
  readonly scratchBytes: number
  readonly draftBytes: number // all of a draft model; 0: none
}

export interface NativeVocab {
  readonly size: number
  readonly bos: number // -1: none
  readonly eos: number
  readonly unknown: number
  readonly addBos: boolean
  readonly endOfGeneration: number[]
  /** The longest piece: no text of more than n times this fits in n tokens. */
  readonly maxPieceBytes: number
  /** Spellings of the control tokens. */
  readonly controlPieces: string[]
}

export interface NativeTokenizer {
  readonly vocab: NativeVocab
  encodeSync(segments: readonly NativeSegment[], bos: boolean): Int32Array
  /** Off the event loop. */
  encode(segments: readonly NativeSegment[], bos: boolean): Promise<Int32Array>
  decode(ids: Int32Array, special: boolean): string
  pieceOf(id: number): string
  idOf(piece: string): number // -1: no such piece
  /** A streaming decoder. `push` returns whole code points; `flush` what was held. */
  decoder(special: boolean): { push(ids: Int32Array): string; flush(): string }
}

export interface NativeModel {
  readonly info: NativeModelInfo
  readonly tokenizer: NativeTokenizer
  /** Posts a request; its updates come through the `onUpdates` of `loadModel`. */
  generate(request: NativeRequest): void
  /** Off the event loop. What is wrong with the text is ERR_CRIA_BAD_ARGUMENT with its place. */
  compileGrammar(syntax: GrammarSyntax, text: string): Promise<NativeGrammar>
  /** Posts a request for figures; it has one update. */
  measure(request: NativeMeasurement): void
  /** Takes effect within a step; the request still ends with an update. Unknown ids are ignored. */
  cancel(request: number): void
  /**
   * Takes a request out of the steps, and back. Until it is resumed, or ends, it does not keep the event
   * loop alive. Unknown ids are ignored.
   */
  pause(request: number): void
  resume(request: number): void
  /** Forgets a conversation: its cached pages are the next to give way. */
  releaseSequence(sequence: number): void
  /** The conversation `to` goes on where `from` is. */
  forkSequence(from: number, to: number): void
  /**
   * Writes a conversation's tokens, what is cached of it (`tokens` of them) and a text of the
   * caller's to a file, which is there whole or not at all.
   */
  saveSession(
    sequence: number,
    path: string,
    text: string
  ): Promise<{ bytes: number; tokens: number }>
  /** Brings a saved conversation back as `sequence`; gives the text. */
  restoreSession(sequence: number, path: string): Promise<string>
  /** Reads counters; waits for nothing. */
  stats(): NativeStats
  /** Ends every request (reason `error`, ERR_CRIA_DISPOSED) and frees all memory. Idempotent. */
  dispose(): Promise<void>
}

export interface NativeLoadOptions {
  readonly threads: number // 0: default
  readonly contextSize: number // 0: the model's own, bounded by memory
  readonly batchSize: number // most tokens in one step; 0: default
  readonly sequences: number // conversations at full context the KV pool holds; 0: 1
  readonly kvType: 'f16' | 'q8_0'
  readonly mapped: boolean // weights stay in the file
  readonly maxQueue?: number // requests that may wait; absent: any number
  readonly draft?: string // path of a draft model
  readonly kernels: string // table name; '': best
  readonly device: string // 'cpu', 'cuda', 'cuda:N', 'auto'
  readonly cudaPlugin: string // a library; '': the one beside the addon
}

export interface NativeEstimate {
  readonly weightBytes: number
  readonly kvBytes: number
  readonly scratchBytes: number
  readonly draftBytes: number // all of a draft model; 0: none
  readonly totalBytes: number
  readonly contextSize: number
  readonly availableBytes: number // of this machine (or its container), or of the GPU, now
  readonly device: string
}

/** What a look at the GPUs found. */
export interface NativeCuda {
  readonly plugin: string // the library looked for
  readonly build: string | null // its own words; null: there is none
  readonly problem: string | null // why there is no device; null: there is one
  readonly devices: {
    device: string
    name: string
    capability: string
    memoryBytes: number
    freeBytes: number
    problem: string | null // why it is not computed on
  }[]
}

/** Arrays of more than 64 elements come as their type, length and first elements. */
export type NativeMetadataValue =
  | string
  | number
  | bigint
  | boolean
  | NativeMetadataValue[]
  | { type: string; length: number; first: NativeMetadataValue[] }

export interface NativeTensor {
  readonly name: string
  readonly type: string
  readonly shape: number[] // as in the file: the fastest-running dimension first
  readonly bytes: number
  readonly offset: number
  readonly part: number
}

export interface NativeInspection {
  readonly path: string
  readonly version: number
  readonly alignment: number
  readonly fileBytes: number
  readonly parts: number
  readonly parameters: number
  readonly metadata: Record<string, NativeMetadataValue>
  readonly tensors: NativeTensor[]
}

export interface NativeCpu {
  readonly features: string[]
  readonly tables: { name: string; variant: string; supported: boolean }[]
  readonly threads: number // the default
  readonly availableBytes: number
}

/** Exactly one of `prompt` and `generate` is above 0. */
export interface NativeBenchmarkCase {
  readonly prompt: number // tokens computed in steps of the batch size
  readonly generate: number // tokens computed one after the other
  readonly depth: number // tokens in the cache before the clock starts
}

/** One kernel on one shape. */
export interface NativeKernelCase {
  readonly op: string
  readonly type: string // as the formats spell it: "Q4_K", "F32"; of the cache "F16", "Q8_0"
  readonly table: string // a variant: "avx512_vnni"
  readonly place: 'l1' | 'l2' | 'memory'
  readonly rows: number // N of a product, positions of a cache, from memory; else 0
  readonly cols: number // K, or the width of a row or a head, from memory; else 0: what fits
  readonly tokens: number
}

/** Operations and bytes a second; `memory` is 0 where no case asks for it. */
export interface NativeCeiling {
  readonly table: string
  readonly threads: number
  readonly dots: number
  readonly fmas: number
  readonly l1: number
  readonly l2: number
  readonly memory: number
}

export interface NativeLimits {
  readonly threads: number
  readonly ceilings: NativeCeiling[] // of each table on one thread, and on all
  readonly barrierSeconds: number
  readonly l1Bytes: number
  readonly l2Bytes: number
  readonly memoryBytes: number
}

export interface NativeKernelResult {
  readonly rows: number
  readonly cols: number
  readonly error: number // the worst, as a share of what it may be
  readonly wrong: boolean // then the rest is 0
  readonly bytes: number // of a call of all threads, as are the next
  readonly operations: number
  readonly median: number // seconds
  readonly best: number
}

export interface NativeAddon {
  readonly version: string
  cpu(): NativeCpu
  /** `plugin`: a library, or '' for the one beside the addon. */
  cuda(plugin: string): Promise<NativeCuda>
  /** The table that `kernels` (or '') selects; throws as loading would. */
  selectTable(kernels: string): { name: string; variant: string }
  inspect(path: string): Promise<NativeInspection>
  estimate(path: string, options: NativeLoadOptions): Promise<NativeEstimate>
  loadTokenizer(path: string): Promise<NativeTokenizer>
  /**
   * `onUpdates` runs at most once per turn of the event loop, with all that came since.
   * `onProgress` gets bytes read; `cancelled` is polled through `cancelLoad(token)`.
   */
  loadModel(
    path: string,
    options: NativeLoadOptions,
    token: number,
    onUpdates: (updates: NativeUpdate[]) => void,
    onProgress: (stage: string, loaded: number, total: number) => void
  ): Promise<NativeModel>
  /**
   * Loads the model, times each case, and gives what was loaded. `onSeconds` gets each repetition's
   * seconds and the index of its case. `cancelLoad(token)` stops it.
   */
  benchmark(
    path: string,
    options: NativeLoadOptions,
    cases: readonly NativeBenchmarkCase[],
    repetitions: number,
    token: number,
    onSeconds: (index: number, seconds: number) => void
  ): Promise<NativeModelInfo>
  /**
   * Measures the machine's limits, then checks and times each case. `onLimits` comes first, then
   * `onResult` with each case's index. `cancelLoad(token)` stops it. `threads` 0: the default.
   */
  kernelBenchmark(
    cases: readonly NativeKernelCase[],
    threads: number,
    samples: number,
    token: number,
    onLimits: (limits: NativeLimits) => void,
    onResult: (index: number, result: NativeKernelResult) => void
  ): Promise<void>
  /** Cancels the load that was started with this token: it rejects with ERR_CRIA_ABORTED. */
  cancelLoad(token: number): void
}

interface NodeGypBuild {
  (root: string): NativeAddon
  resolve(root: string): string
}

const require = createRequire(import.meta.url)

function find(): string {
  // CRIA_NATIVE names another build of the addon (sanitizers, tests).
  const override = process.env.CRIA_NATIVE
  if (override) return resolve(override)
  const root = fileURLToPath(new URL('..', import.meta.url))
  return (require('node-gyp-build') as NodeGypBuild).resolve(root)
}

/** The file that the addon was loaded from. */
export const nativePath: string = find()

export const native: NativeAddon = require(nativePath) as NativeAddon
