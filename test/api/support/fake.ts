/** A native model that does what a test tells it: no addon, no weights. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type {
  NativeEnd,
  NativeGrammar,
  NativeModel,
  NativeModelInfo,
  NativeRequest,
  NativeStats,
  NativeTokenizer
} from '../../../lib/native.js'
import { Router } from '../../../lib/router.js'

const vocab = {
  size: 100,
  bos: 1,
  eos: 2,
  unknown: 0,
  addBos: true,
  endOfGeneration: [2],
  maxPieceBytes: 16,
  controlPieces: ['<s>', '</s>']
}

const tokenizer: NativeTokenizer = {
  vocab,
  encodeSync: () => new Int32Array(),
  encode: async () => new Int32Array(),
  decode: () => '',
  pieceOf: (id) => ['<unk>', '<s>', '</s>'][id] ?? `piece${id}`,
  idOf: () => -1,
  decoder: () => ({ push: () => '', flush: () => '' })
}

export class FakeModel implements NativeModel {
  readonly router = new Router()
  readonly info: NativeModelInfo
  readonly tokenizer = tokenizer
  readonly requests: NativeRequest[] = []
  readonly cancelled: number[] = []
  readonly paused = new Set<number>()
  readonly released: number[] = []
  readonly forked: [number, number][] = []
  readonly files = new Map<string, string>()
  disposals = 0

  constructor(chatTemplate: string | null = null) {
    this.info = { vocabSize: vocab.size, contextSize: 512, chatTemplate } as NativeModelInfo
  }

  generate(request: NativeRequest): void {
    this.requests.push(request)
  }

  readonly grammars: string[] = []
  async compileGrammar(syntax: string, text: string): Promise<NativeGrammar> {
    this.grammars.push(`${syntax} ${text}`)
    await nextTurn()
    if (text === 'wrong') {
      throw Object.assign(new Error('no grammar'), { code: 'ERR_CRIA_BAD_ARGUMENT' })
    }
    return {}
  }

  measure(): void {}

  cancel(id: number): void {
    this.cancelled.push(id)
  }

  pause(id: number): void {
    this.paused.add(id)
  }

  resume(id: number): void {
    this.paused.delete(id)
  }

  releaseSequence(sequence: number): void {
    this.released.push(sequence)
  }

  forkSequence(from: number, to: number): void {
    this.forked.push([from, to])
  }

  async saveSession(sequence: number, path: string, text: string) {
    this.files.set(path, text)
    return { bytes: text.length, tokens: sequence }
  }

  async restoreSession(_sequence: number, path: string): Promise<string> {
    return this.files.get(path) ?? ''
  }

  stats(): NativeStats {
    return {
      posted: 7,
      finished: 2,
      aborted: 1,
      failed: 1,
      queued: 1,
      running: 2,
      paused: 0,
      promptTokens: 100,
      cachedTokens: 25,
      computedTokens: 80,
      generatedTokens: 30,
      guessedTokens: 6,
      acceptedTokens: 4,
      pages: 16,
      freePages: 9,
      cachedPages: 4,
      pageTokens: 32,
      steps: 12,
      stepMs: { mean: 2, p50: 2, p95: 3, p99: 4, max: 4 },
      windowMs: 1000,
      promptRate: 80,
      generatedRate: 30
    }
  }

  async dispose(): Promise<void> {
    this.disposals++
    await nextTurn()
  }

  /** The last request that was posted. */
  get last(): NativeRequest {
    const request = this.requests.at(-1)
    if (!request) throw new Error('nothing was posted')
    return request
  }

  /** One step of the engine for a request; a token for every character. */
  step(id: number, text: string, end?: Partial<NativeEnd>): void {
    const tokens = Array.from(text, (character) => (character.codePointAt(0) ?? 0) % 100)
    const usage = { promptTokens: 10, cachedTokens: 4, completionTokens: 5 }
    const timings = { queueMs: 1, prefillMs: 20, decodeMs: 8, guessedTokens: 3, acceptedTokens: 2 }
    const last = end && { reason: 'stop' as const, usage, timings, ...end }
    this.router.deliver([{ request: id, text, tokens, ...(last ? { end: last } : {}) }])
  }
}
