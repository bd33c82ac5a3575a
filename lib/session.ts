/** A conversation that keeps its KV cache between turns. */
import { checkMessages } from './chat/messages.js'
import { describe } from './check.js'
import { badArgument, CriaError, disposed } from './errors.js'
import type { Generation } from './generation.js'
import type { LoadedModel } from './loaded.js'
import { checkSession, type GenerateSettings } from './options.js'
import { talk } from './prompt.js'
import type { Order } from './request.js'
import type { InferSchema, Schema } from './schema/infer.js'
import { localPath } from './source.js'
import type {
  GenerateOptions,
  Message,
  ObjectResult,
  SavedSession,
  SchemaOptions,
  SessionOptions
} from './types.js'

/**
 * A conversation with a model. Each `send` renders the whole conversation through the chat template;
 * the engine computes only what differs from the turn before (`usage.cachedTokens` tells how much it
 * had).
 */
export class Session {
  readonly #model: LoadedModel
  readonly #sequence: number
  readonly #cacheKey: string
  #messages: readonly Message[]
  #dropped = 0 // of the messages after the system's, left out of the last prompt
  #epoch = 0 // a reset begins a new conversation, which an answer still running does not join
  #last: Generation | undefined
  #busy = false // the last generation has not ended
  #engineDone: Promise<void> | undefined // an aborted request ends a step after its generation
  #disposed = false

  /** @internal Made by `model.session()`; `sequence`: one that the engine knows already. */
  constructor(model: LoadedModel, options?: SessionOptions, sequence?: number) {
    model.assertOpen()
    const { cacheKey, ...beginning } = checkSession(options)
    this.#messages = firstMessages(beginning)
    this.#cacheKey = cacheKey
    this.#model = model
    this.#sequence = sequence ?? model.newSequence()
  }

  /** The conversation so far, the system message first: a copy. */
  get messages(): readonly Message[] {
    return [...this.#messages]
  }

  /**
   * Sends the user's next message and gives the answer as it comes. When it ends (also by a token
   * limit or by `cancel()`, then with the partial answer), both messages join `messages`. An error
   * or an aborted signal leaves the conversation as it was. A second `send` while one runs rejects
   * with ERR_CRIA_BAD_ARGUMENT.
   */
  send<const S extends Schema>(
    text: string,
    options: SchemaOptions<S>
  ): Generation<ObjectResult<InferSchema<S>>>
  send(text: string, options?: GenerateOptions): Generation
  send(text: string, options?: GenerateOptions): Generation {
    const generation = this.#model.submit(() => this.#turn(text, options))
    if (this.#busy) this.#last ??= generation
    return generation
  }

  /**
   * Another conversation that goes on where this one is: they share what is cached, and part with
   * their next turns. An answer that still runs is not part of it.
   */
  fork(): Session {
    this.#assertOpen()
    const sequence = this.#model.forkSequence(this.#sequence)
    return new Session(this.#model, this.#beginning(), sequence)
  }

  /**
   * Writes the conversation with what is cached of it to a file, for `model.restore`. The file is
   * there whole or not at all. Rejects with ERR_CRIA_FILE, with ERR_CRIA_BAD_ARGUMENT while an
   * answer runs, or with ERR_CRIA_DISPOSED.
   */
  async save(path: string | URL): Promise<SavedSession> {
    this.#assertOpen()
    this.#model.assertOpen()
    const target = localPath(path, 'save')
    if (this.#busy) throw badArgument('save: the answer is still running: await or cancel it')
    const text = JSON.stringify(this.#beginning())
    await this.#engineDone
    return this.#model.saveSession(this.#sequence, target, text)
  }

  /** @internal What `model.restore` gives. */
  static async restore(model: LoadedModel, path: unknown): Promise<Session> {
    const file = localPath(path, 'restore')
    const { sequence, text } = await model.restoreSession(file)
    try {
      return new Session(model, JSON.parse(text) as SessionOptions, sequence)
    } catch (cause) {
      model.releaseSequence(sequence)
      model.assertOpen()
      throw new CriaError(
        'ERR_CRIA_BAD_SESSION',
        `${file}: its conversation cannot be read: ${(cause as Error).message}`,
        { cause }
      )
    }
  }

  /** Begins the conversation anew after its system message; a running answer is cancelled. */
  reset(): void {
    this.#assertOpen()
    this.#epoch++
    this.#last?.cancel()
    this.#dropped = 0
    this.#messages = this.#messages.filter(({ role }, index) => index === 0 && role === 'system')
  }

  /** Ends it: its cache is the next to give way; a running answer is cancelled. May be called twice. */
  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    this.#last?.cancel()
    const release = () => this.#model.releaseSequence(this.#sequence)
    if (this.#engineDone) void this.#engineDone.then(release)
    else release()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  /** What a session that goes on from here begins with. */
  #beginning(): SessionOptions {
    return { messages: this.#messages, cacheKey: this.#cacheKey }
  }

  #assertOpen(): void {
    if (this.#disposed) throw disposed('session')
  }

  #settings(options: unknown): GenerateSettings {
    const { cacheKey, ...settings } = this.#model.settings(options)
    if (cacheKey !== '' && cacheKey !== this.#cacheKey) {
      throw badArgument('send: cacheKey is an option of the session, not of one turn')
    }
    return { ...settings, cacheKey: this.#cacheKey }
  }

  #turn(text: unknown, options: unknown): Order {
    this.#assertOpen()
    if (typeof text !== 'string') {
      throw badArgument(`send: expected the text of a message, got ${describe(text)}`)
    }
    if (this.#busy)
      throw badArgument('send: the answer before is still running: await or cancel it')
    const settings = this.#settings(options)
    const messages = [...this.#messages, message('user', text)]
    const epoch = this.#epoch
    const before = this.#engineDone
    const { done, finish } = latch()
    this.#engineDone = done
    this.#busy = true
    return {
      settings,
      sequence: this.#sequence,
      ...talk(messages, settings, this.#model, { dropped: this.#dropped, ready: before }),
      onSettled: (result) => {
        this.#busy = false
        this.#last = undefined
        if (!result || epoch !== this.#epoch) return
        this.#dropped = result.droppedMessages
        const { text: answer, messages: added = [message('assistant', answer)] } = result
        this.#messages = [...messages, ...added]
      },
      onClosed: () => {
        if (this.#engineDone === done) this.#engineDone = undefined
        finish()
      }
    }
  }
}

function message(role: Message['role'], content: string): Message {
  return Object.freeze({ role, content })
}

function latch(): { done: Promise<void>; finish: () => void } {
  let finish!: () => void
  const done = new Promise<void>((resolve) => {
    finish = resolve
  })
  return { done, finish }
}

function firstMessages({
  system,
  messages
}: {
  system: string | undefined
  messages: readonly unknown[]
}): Message[] {
  const given = checkMessages(messages)
  if (system === undefined) return given
  if (given[0]?.role === 'system') {
    throw badArgument('session options: give the system message in system or in messages, not both')
  }
  return [message('system', system), ...given]
}
