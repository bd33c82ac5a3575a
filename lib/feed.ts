/** An append-only list that many readers follow, each from its beginning and at its own pace. */

interface Waiter<T> {
  readonly at: number
  readonly resolve: (result: IteratorResult<T, undefined>) => void
  readonly reject: (error: unknown) => void
}

export class Feed<T> {
  readonly #items: T[] = []
  #waiters: Waiter<T>[] = []
  #end: { readonly failed: boolean; readonly error: unknown } | undefined
  #readers = 0
  readonly #onAbandoned: () => void

  /** `onAbandoned` is called when the last open reader leaves before the end. */
  constructor(onAbandoned: () => void) {
    this.#onAbandoned = onAbandoned
  }

  push(item: T): void {
    if (this.#end) return
    this.#items.push(item)
    this.#wake()
  }

  /** Ends the feed; with an error, every reader meets it once, after the last item. */
  end(failure?: { readonly error: unknown }): void {
    if (this.#end) return
    this.#end = { failed: failure !== undefined, error: failure?.error }
    this.#wake()
  }

  reader(): FeedReader<T> {
    this.#readers++
    return new FeedReader(this)
  }

  /** The item at `at`, as soon as there is one: resolved at once (no turn of the loop) if there is. */
  read(at: number): Promise<IteratorResult<T, undefined>> {
    return new Promise((resolve, reject) => {
      const waiter = { at, resolve, reject }
      if (!this.#settle(waiter)) this.#waiters.push(waiter)
    })
  }

  leave(): void {
    this.#readers--
    if (this.#readers === 0 && !this.#end) this.#onAbandoned()
  }

  #settle({ at, resolve, reject }: Waiter<T>): boolean {
    const end = this.#end
    if (at < this.#items.length) resolve({ done: false, value: this.#items[at] as T })
    else if (!end) return false
    // The first read past the items meets the error; what a reader asks after that is just over.
    else if (end.failed && at === this.#items.length) reject(end.error)
    else resolve({ done: true, value: undefined })
    return true
  }

  #wake(): void {
    if (this.#waiters.length === 0) return
    const waiting = this.#waiters
    this.#waiters = []
    for (const waiter of waiting) if (!this.#settle(waiter)) this.#waiters.push(waiter)
  }
}

/** One pass over a feed. Several `next()` may be pending at once. */
export class FeedReader<T> implements AsyncIterableIterator<T, undefined> {
  readonly #feed: Feed<T>
  #position = 0
  #left = false

  constructor(feed: Feed<T>) {
    this.#feed = feed
  }

  next(): Promise<IteratorResult<T, undefined>> {
    if (this.#left) return Promise.resolve({ done: true, value: undefined })
    return this.#feed.read(this.#position++)
  }

  return(): Promise<IteratorResult<T, undefined>> {
    if (!this.#left) {
      this.#left = true
      this.#feed.leave()
    }
    return Promise.resolve({ done: true, value: undefined })
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
