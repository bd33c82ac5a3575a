/** Every failure of Cria as a typed error with a stable `code`. */

/** Stable codes of {@link CriaError}, each with what it means. */
export const errorCodes = {
  ERR_CRIA_FILE: 'the file is missing or unreadable, or changed while in use',
  ERR_CRIA_BAD_GGUF: 'the bytes are not a well-formed GGUF; `offset` says where',
  ERR_CRIA_UNSUPPORTED: 'well-formed, but an architecture, type or option this version has not',
  ERR_CRIA_BAD_ARGUMENT: 'a value of the caller is of the wrong type or out of range',
  ERR_CRIA_CONTEXT_OVERFLOW: 'more tokens than the context holds',
  ERR_CRIA_OUT_OF_MEMORY: 'not enough memory for what was asked',
  ERR_CRIA_DISPOSED: 'the model or session was disposed',
  ERR_CRIA_QUEUE_FULL: 'as many requests wait as may (maxQueue)',
  ERR_CRIA_TIMEOUT: 'the generation was not done within its timeout',
  ERR_CRIA_VALIDATION: 'the schema library refuses the generated value; `cause` has its issues',
  ERR_CRIA_BAD_SESSION: 'the file is no saved session, is damaged, or of another model',
  ERR_CRIA_NO_DEVICE: 'no such device, or this build has no backend for it',
  ERR_CRIA_BACKEND: 'the native core failed'
} as const

export type CriaErrorCode = keyof typeof errorCodes

/** The one error type of Cria; the message says what was expected, what came, and the remedy. */
export class CriaError extends Error {
  readonly code: CriaErrorCode
  /** Byte offset in the file, where the code is `ERR_CRIA_BAD_GGUF`. */
  declare readonly offset?: number

  constructor(
    code: CriaErrorCode,
    message: string,
    details: ErrorOptions & { offset?: number } = {}
  ) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined)
    this.name = 'CriaError'
    this.code = code
    if (details.offset !== undefined) this.offset = details.offset
  }
}

/** A wrong argument: the commonest failure, hence the short spelling. */
export function badArgument(message: string): CriaError {
  return new CriaError('ERR_CRIA_BAD_ARGUMENT', message)
}

/** Something that this version does not do. */
export function unsupported(message: string): CriaError {
  return new CriaError('ERR_CRIA_UNSUPPORTED', message)
}

/** Use after dispose; `what` is "model" or "session". */
export function disposed(what: string): CriaError {
  return new CriaError('ERR_CRIA_DISPOSED', `this ${what} was disposed: load or open another one`)
}

/** The AbortError that `fetch` would give, for a cancellation that carries no reason of its own. */
export function abortError(message = 'This operation was aborted'): DOMException {
  return new DOMException(message, 'AbortError')
}

function isErrorCode(code: unknown): code is CriaErrorCode {
  return typeof code === 'string' && Object.hasOwn(errorCodes, code)
}

/** What the native addon threw, as the error that callers see. */
export function toCriaError(thrown: unknown): Error {
  if (thrown instanceof CriaError || thrown instanceof DOMException) return thrown
  if (!(thrown instanceof Error)) {
    return new CriaError('ERR_CRIA_BACKEND', String(thrown), { cause: thrown })
  }
  const { code, offset } = thrown as Error & { code?: unknown; offset?: unknown }
  if (code === 'ERR_CRIA_ABORTED') return abortError(thrown.message)
  if (!isErrorCode(code))
    return new CriaError('ERR_CRIA_BACKEND', thrown.message, { cause: thrown })
  return new CriaError(code, thrown.message, {
    cause: thrown,
    ...(typeof offset === 'number' ? { offset } : {})
  })
}

/** Makes a native call whose failure callers see as a `CriaError`. */
export async function calling<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    throw toCriaError(error)
  }
}

/** `calling` for a call that answers at once. */
export function callingNow<T>(call: () => T): T {
  try {
    return call()
  } catch (error) {
    throw toCriaError(error)
  }
}
