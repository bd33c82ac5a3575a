/** A loaded model on the inside: what Model and Session are two faces of. */
import { type ChatFormat, chatFormat } from './chat/format.js'
import { badArgument, CriaError, calling, callingNow, disposed } from './errors.js'
import { tellStep } from './events.js'
import { Generation } from './generation.js'
import { Grammars, type GrammarText } from './grammar.js'
import type { NativeGrammar, NativeModel, NativeUpdate } from './native.js'
import { checkGenerate, type GenerateSettings } from './options.js'
import { type Order, type Prompt, Request } from './request.js'
import type { Router } from './router.js'
import { type ModelStats, toStats } from './stats.js'
import { Tokenizer } from './tokenizer.js'
import { type ToolEngine, ToolRun } from './tools/run.js'
import { type ToolSyntax, toolSyntax } from './tools/syntax.js'
import type { ModelInfo, Result } from './types.js'

export class LoadedModel implements ToolEngine {
  readonly native: NativeModel
  readonly router: Router
  readonly info: ModelInfo
  readonly tokenizer: Tokenizer
  readonly renderChat: ChatFormat
  /** How this model writes its calls of tools. */
  readonly toolSyntax: ToolSyntax
  readonly controlIds: ReadonlySet<number>
  readonly #grammars: Grammars
  #lastSequence = 0
  #disposal: Promise<void> | undefined

  constructor(native: NativeModel, router: Router) {
    this.native = native
    this.router = router
    this.#grammars = new Grammars(native)
    router.onDelivered = (updates) => this.#tellStep(updates)
    this.info = Object.freeze({ ...native.info })
    this.tokenizer = new Tokenizer(native.tokenizer)
    const { vocab } = native.tokenizer
    const spelling = (id: number) => (id < 0 ? '' : native.tokenizer.pieceOf(id))
    this.renderChat = chatFormat(this.info.chatTemplate, {
      bos: spelling(vocab.bos),
      eos: spelling(vocab.eos),
      controlPieces: vocab.controlPieces
    })
    this.toolSyntax = toolSyntax(this.info.chatTemplate)
    this.controlIds = new Set(vocab.controlPieces.map((piece) => native.tokenizer.idOf(piece)))
  }

  stats(): ModelStats {
    this.assertOpen()
    return callingNow(() => toStats(this.native.stats()))
  }

  #tellStep(updates: readonly NativeUpdate[]): void {
    if (this.isDisposed) return
    tellStep(() => ({
      model: this.info,
      requests: new Set(updates.map(({ request }) => request)).size,
      tokens: updates.reduce((sum, { tokens }) => sum + tokens.length, 0),
      stats: this.stats()
    }))
  }

  get isDisposed(): boolean {
    return this.#disposal !== undefined
  }

  assertOpen(): void {
    if (this.isDisposed) throw disposed('model')
  }

  /** Without this look a prompt of many megabytes would be copied while the event loop waits. */
  assertFits({ prompt }: Pick<Prompt, 'prompt'>, answer = 1): void {
    const { contextSize } = this.info
    const pieces = prompt instanceof Int32Array ? [] : prompt
    const units = pieces.reduce((sum, { text }) => sum + text.length, 0) // no more than bytes
    const least = Math.floor(units / this.native.tokenizer.vocab.maxPieceBytes)
    if (least + answer <= contextSize) return
    throw new CriaError(
      'ERR_CRIA_CONTEXT_OVERFLOW',
      `the prompt has at least ${least} tokens and the context holds ${contextSize}` +
        `${answer > 0 ? ', one of them for the answer' : ''}; ` +
        'shorten the prompt or load with a larger contextSize'
    )
  }

  /** A generation that begins at once; what is wrong with the order rejects it. */
  submit<R extends Result = Result>(makeOrder: () => Order): Generation<R> {
    return new Generation<R>((control) => {
      let request: Request | ToolRun | undefined
      try {
        this.assertOpen()
        const order = makeOrder()
        request = order.tools
          ? new ToolRun(this, order, order.tools, control)
          : new Request(this, order, control)
        request.start()
      } catch (error) {
        control.fail(error)
      }
      return {
        cancel: () => request?.cancel(),
        pause: () => request?.pause(),
        resume: () => request?.resume()
      }
    })
  }

  /** Generate options, checked also against the vocabulary. */
  settings(options: unknown): GenerateSettings {
    const settings = checkGenerate(options)
    for (const id of settings.logitBias.keys()) {
      if (id >= this.info.vocabSize) {
        throw badArgument(
          `generate options: logitBias names token ${id}, but the vocabulary has ` +
            `${this.info.vocabSize} tokens`
        )
      }
    }
    return settings
  }

  /** What an answer is held to, compiled once for each text. */
  compileGrammar(grammar: GrammarText): Promise<NativeGrammar> {
    return this.#grammars.compile(grammar)
  }

  newSequence(): number {
    this.#lastSequence++
    return this.#lastSequence
  }

  /** A new conversation that goes on where another one is. */
  forkSequence(from: number): number {
    this.assertOpen()
    const to = this.newSequence()
    this.native.forkSequence(from, to)
    return to
  }

  saveSession(
    sequence: number,
    path: string,
    text: string
  ): Promise<{ bytes: number; tokens: number }> {
    return calling(async () => this.native.saveSession(sequence, path, text))
  }

  /** The new conversation, and the text that was saved with it. */
  async restoreSession(path: string): Promise<{ sequence: number; text: string }> {
    this.assertOpen()
    const sequence = this.newSequence()
    const text = await calling(async () => this.native.restoreSession(sequence, path))
    return { sequence, text }
  }

  releaseSequence(sequence: number): void {
    if (!this.isDisposed) this.native.releaseSequence(sequence)
  }

  /** Everything that runs rejects with ERR_CRIA_DISPOSED; resolves when all memory is given back. */
  dispose(): Promise<void> {
    if (this.#disposal === undefined) {
      this.#disposal = calling(() => this.native.dispose())
      this.router.loseAll(disposed('model'))
    }
    return this.#disposal
  }
}
