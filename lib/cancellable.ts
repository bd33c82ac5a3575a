/** Long native calls that a signal, or an error in a callback, ends. */
import { toCriaError } from './errors.js'
import { native } from './native.js'

let lastToken = 0 // tells the calls of this thread apart

/** Wraps a callback so that what it throws ends the call instead of the process. */
export type Guard = <A extends unknown[]>(callback: (...args: A) => void) => (...args: A) => void

/**
 * Makes a native call that `cancelLoad(token)` ends. Rejects with the signal's reason or with what a
 * guarded callback threw; a result that came too late goes to `discard`.
 */
export async function cancellable<T>(
  signal: AbortSignal | undefined,
  call: (token: number, guard: Guard) => Promise<T>,
  discard: (late: T) => unknown = () => {}
): Promise<T> {
  signal?.throwIfAborted()
  const token = ++lastToken
  let ended: { readonly reason: unknown } | undefined
  const end = (reason: unknown) => {
    ended ??= { reason }
    native.cancelLoad(token)
  }
  const abort = () => end(signal?.reason)
  const guard: Guard =
    (callback) =>
    (...args) => {
      if (ended) return
      try {
        callback(...args)
      } catch (error) {
        end(error)
      }
    }
  signal?.addEventListener('abort', abort, { once: true })
  try {
    const result = await call(token, guard)
    if (!ended) return result
    await discard(result)
  } catch (error) {
    if (!ended) throw toCriaError(error)
  } finally {
    signal?.removeEventListener('abort', abort)
  }
  throw ended?.reason
}
