/**
 * An append-only list that many readers follow, each from its beginning and at its own pace. Where
 * all of them are far behind its end, it asks for no more until one has caught up.
 */

/** Unread items of the foremost reader from which on no more are wanted … */
export const mostUnread = 64
/** … until it has so few. */
const fewUnread = 16

interface Waiter<T> {
  readonly at: number
  readonly resolve: (result: IteratorResult<T, undefined>) => void
  readonly reject: (error: unknown) => void
}

/** Where the items come from. */
export interface FeedSource {
  /** The last open reader has left before the end. */
  abandon(): void
  pause(): void
  resume(): void
}

export class Feed<T> {
  readonly #items: T[] = []
  #waiters: Waiter<T>[] = []
  #end: { readonly failed: boolean; readonly error: unknown } | undefined
  readonly #readers = new Set<FeedReader<T>>()
  readonly #source: FeedSource
  #allWanted = false
  #paused = false

  constructor(source: FeedSource) {
    this.#source = source
  }

  push(item: T): void {
    if (this.#end) return
    this.#items.push(item)
    this.#wake()
    this.#balance()
  }

  /** Somebody waits for the end: from now on it is never paused. */
  wantAll(): void {
    this.#allWanted = true
    this.#balance()
  }

  /** Ends the feed; with an error, every reader meets it once, after the last item. */
  end(failure?: { readonly error: unknown }): void {
    if (this.#end) return
    this.#end = { failed: failure !== undefined, error: failure?.error }
    this.#wake()
  }

  reader(): FeedReader<T> {
    const reader = new FeedReader(this)
    this.#readers.add(reader)
    return reader
  }

  /** The item at `at`, as soon as there is one: resolved at once (no turn of the loop) if there is. */
  read(at: number): Promise<IteratorResult<T, undefined>> {
    return new Promise((resolve, reject) => {
      const waiter = { at, resolve, reject }
      if (!this.#settle(waiter)) this.#waiters.push(waiter)
      this.#balance()
    })
  }

  leave(reader: FeedReader<T>): void {
    this.#readers.delete(reader)
    if (this.#readers.size === 0 && !this.#end) this.#source.abandon()
    else this.#balance()
  }

  #balance(): void {
    if (this.#end) return
    const most = this.#paused ? fewUnread : mostUnread - 1
    const enough = !this.#allWanted && this.#readers.size > 0 && this.#unread() > most
    if (enough === this.#paused) return
    this.#paused = enough
    if (enough) this.#source.pause()
    else this.#source.resume()
  }

  /** Of the foremost reader. */
  #unread(): number {
    let unread = Number.POSITIVE_INFINITY
    for (const { position } of this.#readers) {
      unread = Math.min(unread, this.#items.length - position)
    }
    return unread
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

  /** How many items were asked for. */
  get position(): number {
    return this.#position
  }

  next(): Promise<IteratorResult<T, undefined>> {
    if (this.#left) return Promise.resolve({ done: true, value: undefined })
    return this.#feed.read(this.#position++)
  }

  return(): Promise<IteratorResult<T, undefined>> {
    if (!this.#left) {
      this.#left = true
      this.#feed.leave(this)
    }
    return Promise.resolve({ done: true, value: undefined })
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
