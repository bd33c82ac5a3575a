/**
 * A generation with tools: the model answers; where its answer is calls, they are run, their results
 * join the conversation, and it answers again. Callers see one generation.
 */
import { abortError, CriaError } from '../errors.js'
import type { GenerationControl, GenerationEnd, RequestControl, Running } from '../generation.js'
import type { GrammarText } from '../grammar.js'
import type { NativeTokenizer } from '../native.js'
import { type Engine, nothing, type Order, type Prompt, Request } from '../request.js'
import type { Message, TokenLogprob } from '../types.js'
import { execute, type NumberedCall, type Told } from './execute.js'
import { toolGrammar } from './grammar.js'
import { CallScanner } from './scan.js'
import { addEnds } from './sum.js'
import type { ToolSyntax, WrittenCall } from './syntax.js'
import type { ToolOutcome } from './types.js'

/** A conversation that is to be answered with tools. */
export interface ToolTalk {
  readonly messages: readonly Message[]
  readonly syntax: ToolSyntax
  /** `prefill`: what the answer is to begin with. */
  render(messages: readonly Message[], prefill: string): Prompt | Promise<Prompt>
}

/** Where it runs. */
export interface ToolEngine extends Engine {
  readonly native: Engine['native'] & { readonly tokenizer: Pick<NativeTokenizer, 'pieceOf'> }
  readonly controlIds: ReadonlySet<number>
}

export class ToolRun implements Running {
  readonly #engine: ToolEngine
  readonly #order: Order
  readonly #talk: ToolTalk
  readonly #control: GenerationControl
  readonly #begun = performance.now()
  readonly #tools = new AbortController() // for the tools that run
  readonly #added: Message[] = []
  readonly #outcomes: ToolOutcome[] = []
  readonly #ends: GenerationEnd[] = []
  #round = 0
  #request: Request | undefined // whose turn it is
  #open = 0 // requests that the engine has not done with
  #paused = false
  #cancelled = false
  #ended = false
  #timer: NodeJS.Timeout | undefined // of a timeout while tools run

  constructor(engine: ToolEngine, order: Order, talk: ToolTalk, control: GenerationControl) {
    this.#engine = engine
    this.#order = order
    this.#talk = talk
    this.#control = control
  }

  start(): void {
    const { signal } = this.#order.settings
    if (signal?.aborted) this.#fail(signal.reason)
    else {
      signal?.addEventListener('abort', this.#abort, { once: true })
      this.#ask()
    }
  }

  /** Ends quietly: a round that runs with what it has, tools without. */
  cancel(): void {
    if (this.#ended) return
    this.#cancelled = true
    if (this.#request) this.#request.cancel()
    else this.#tools.abort(abortError())
  }

  pause(): void {
    this.#paused = true
    this.#request?.pause()
  }

  resume(): void {
    this.#paused = false
    this.#request?.resume()
  }

  readonly #abort = (): void => {
    const reason: unknown = this.#order.settings.signal?.reason
    this.#fail(reason)
    this.#request?.cancel()
  }

  /** Whether the answer of this round must be a call. */
  get #required(): boolean {
    return this.#round === 1 && this.#order.settings.toolChoice !== 'auto'
  }

  /** What the answer of this round is held to. */
  #grammar(): GrammarText | undefined {
    const { toolChoice, tools, grammar } = this.#order.settings
    const required = this.#required
    const named =
      typeof toolChoice === 'object' && required ? tools.get(toolChoice.name) : undefined
    const text = toolGrammar({
      tools: named ? [named] : [...tools.values()],
      syntax: this.#talk.syntax,
      required,
      answer: grammar?.text
    })
    return text === undefined ? undefined : { syntax: 'gbnf', text }
  }

  /** The next round: the model's turn. */
  #ask(): void {
    const { maxTokens, timeout } = this.#order.settings
    const used = this.#ends.reduce((sum, { usage }) => sum + usage.completionTokens, 0)
    const left = Math.ceil(timeout - (performance.now() - this.#begun))
    if (maxTokens > 0 && used >= maxTokens) this.#finish('length')
    else if (timeout > 0 && left <= 0) this.#fail(timeoutError(timeout))
    else {
      this.#send({
        maxTokens: maxTokens === 0 ? 0 : maxTokens - used,
        timeout: timeout === 0 ? 0 : left
      })
    }
  }

  #send(limits: Pick<Order['settings'], 'maxTokens' | 'timeout'>): void {
    this.#round++
    const { settings, sequence } = this.#order
    const { syntax } = this.#talk
    const opener = this.#required ? syntax.opener : ''
    const scanner = new CallScanner(syntax, opener)
    const messages = [...this.#talk.messages, ...this.#added]
    const grammar = this.#grammar()
    const order: Order = {
      // The signal is heard here, and only the last round's text is of the schema.
      settings: { ...settings, ...limits, signal: undefined, schema: undefined, grammar },
      sequence,
      prepare: () => this.#talk.render(messages, opener),
      onClosed: () => this.#closed()
    }
    this.#open++
    this.#request = new Request(this.#engine, order, this.#listen(scanner))
    this.#request.start()
    if (this.#paused) this.#request?.pause()
  }

  /** What hears a round. */
  #listen(scanner: CallScanner): RequestControl {
    let all = ''
    const show = (text: string, tokens: number[], logprobs?: TokenLogprob[]) => {
      all += text
      this.#control.push(text, tokens, logprobs, { round: this.#round })
    }
    return {
      text: () => all,
      push: (text, tokens, logprobs) => {
        let shown = scanner.push(text)
        for (const token of tokens) {
          if (this.#engine.controlIds.has(token)) {
            shown += scanner.mark(this.#engine.native.tokenizer.pieceOf(token))
          }
        }
        show(shown, tokens, logprobs)
      },
      finish: (end) => {
        this.#request = undefined
        const { text, calls } = scanner.end()
        // A call that a limit or the caller cut off is not run, nor is it text.
        const cut = scanner.inCall && end.reason !== 'stop'
        if (!cut && text !== '') show(text, [])
        this.#ends.push(end)
        if (calls && !cut) this.#call(all, calls)
        else this.#answer(end, all)
        return undefined
      },
      fail: (error) => {
        this.#request = undefined
        this.#fail(error)
      }
    }
  }

  /** The model made calls: `text` came before them. */
  #call(text: string, written: readonly WrittenCall[]): void {
    if (this.#cancelled) this.#finish('abort', text)
    else if (this.#round > this.#order.settings.maxToolRounds) this.#finish('tool-rounds', text)
    if (this.#ended) return
    const calls = this.#numbered(written)
    for (const { id, name, arguments: args } of calls) {
      const toolCall = Object.freeze({ id, name, arguments: args })
      this.#control.push('', [], undefined, { round: this.#round, toolCall })
    }
    this.#execute(text, calls).catch((error) => this.#fail(error))
  }

  async #execute(text: string, calls: readonly NumberedCall[]): Promise<void> {
    const { tools, timeout } = this.#order.settings
    const round = this.#round
    const maxResult = this.#engine.info.contextSize * 2
    if (timeout > 0) {
      const left = timeout - (performance.now() - this.#begun)
      this.#timer = setTimeout(() => this.#fail(timeoutError(timeout)), Math.max(0, left) + 1)
    }
    const execution = { tools, signal: this.#tools.signal, round, maxResult }
    const told = await Promise.all(
      calls.map(async (call) => {
        const one = await execute(call, execution)
        this.#control.push('', [], undefined, { round, toolResult: one.outcome })
        return one
      })
    )
    clearTimeout(this.#timer)
    if (this.#ended) return
    this.#remember(text, told)
    this.#control.restart()
    if (this.#cancelled) this.#finish('abort')
    else this.#ask()
  }

  #remember(content: string, told: readonly Told[]): void {
    const toolCalls = told.map(({ outcome: { id, name, arguments: args } }) =>
      Object.freeze({ id, name, arguments: args })
    )
    this.#added.push(Object.freeze({ role: 'assistant', content, toolCalls }))
    for (const { outcome, text } of told) {
      this.#outcomes.push(Object.freeze(outcome))
      const { id: toolCallId, name } = outcome
      this.#added.push(Object.freeze({ role: 'tool', content: text, toolCallId, name }))
    }
  }

  /** Ids of nine letters and digits, as some templates want them, and none twice. */
  #numbered(calls: readonly WrittenCall[]): NumberedCall[] {
    const before = [...this.#talk.messages, ...this.#added]
    const taken = new Set(before.flatMap(({ toolCalls = [] }) => toolCalls.map(({ id }) => id)))
    let number = taken.size
    return calls.map((call) => {
      let id: string
      do id = `call${String(++number).padStart(5, '0')}`
      while (taken.has(id))
      return { ...call, id }
    })
  }

  /** The answer is no call: with a schema, its value is made. */
  #answer({ reason, complete }: GenerationEnd, text: string): void {
    const { schema, grammar } = this.#order.settings
    const held = grammar ? { complete } : {}
    if (!schema || reason !== 'stop' || complete === false) {
      this.#finish(reason, text, held)
      return
    }
    const finish = (object: unknown) => this.#finish(reason, text, { ...held, object })
    try {
      const object = schema.parse(text)
      if (object instanceof Promise) object.then(finish, (error) => this.#fail(error))
      else finish(object)
    } catch (error) {
      this.#fail(error)
    }
  }

  #finish(reason: GenerationEnd['reason'], text = '', more: Partial<GenerationEnd> = {}): void {
    if (!this.#end()) return
    const messages = [...this.#added, Object.freeze({ role: 'assistant' as const, content: text })]
    const sum = this.#ends.length > 0 ? addEnds(this.#ends) : nothing
    const result = this.#control.finish({
      ...sum,
      ...more,
      reason,
      messages,
      toolCalls: this.#outcomes
    })
    this.#order.onSettled?.(result)
    this.#rest()
  }

  #fail(error: unknown): void {
    if (!this.#end()) return
    this.#control.fail(error)
    this.#order.onSettled?.()
    this.#tools.abort(error)
    this.#rest()
  }

  /** True the first time. */
  #end(): boolean {
    if (this.#ended) return false
    this.#ended = true
    clearTimeout(this.#timer)
    return true
  }

  /** Last: a signal of the caller's own making may throw here. */
  #rest(): void {
    if (this.#open === 0) this.#order.onClosed?.()
    this.#order.settings.signal?.removeEventListener('abort', this.#abort)
  }

  #closed(): void {
    this.#open--
    if (this.#open === 0 && this.#ended) this.#order.onClosed?.()
  }
}

function timeoutError(timeout: number): CriaError {
  return new CriaError(
    'ERR_CRIA_TIMEOUT',
    `the generation was not done within its timeout of ${timeout} ms, its tools included`
  )
}
