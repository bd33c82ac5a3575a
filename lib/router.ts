/** Which running request each native update belongs to. */
import { toCriaError } from './errors.js'
import type { NativeUpdate } from './native.js'

/** One running request. */
export interface UpdateSink {
  update(update: NativeUpdate): void
  /** The model is gone: no update will come any more. */
  lost(error: Error): void
}

const maxId = 2 ** 31 - 1

export class Router {
  readonly #sinks = new Map<number, UpdateSink>()
  #last = 0
  /** Called after each delivery. */
  onDelivered: ((updates: readonly NativeUpdate[]) => void) | undefined

  /** Takes a request in; gives the id that its updates will carry. */
  open(sink: UpdateSink): number {
    do this.#last = this.#last === maxId ? 1 : this.#last + 1
    while (this.#sinks.has(this.#last))
    this.#sinks.set(this.#last, sink)
    return this.#last
  }

  close(id: number): void {
    this.#sinks.delete(id)
  }

  /** Handed to the native side, which calls it with all that came since. */
  readonly deliver = (updates: readonly NativeUpdate[]): void => {
    for (const update of updates) {
      const sink = this.#sinks.get(update.request)
      if (update.end) this.#sinks.delete(update.request)
      // What one request throws (a signal of the caller's own making, say) is not the others' fault.
      try {
        sink?.update(update)
      } catch (error) {
        this.#sinks.delete(update.request)
        sink?.lost(toCriaError(error))
      }
    }
    this.onDelivered?.(updates)
  }

  /** Ends every request with an error. */
  loseAll(error: Error): void {
    const sinks = [...this.#sinks.values()]
    this.#sinks.clear()
    for (const sink of sinks) sink.lost(error)
  }
}
