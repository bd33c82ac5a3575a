/** How a schema fails: a typed error that names the place, what came, and the remedy. */
import { badArgument, type CriaError, unsupported } from '../errors.js'

/** Work that compiling one schema may take, so that no schema keeps the event loop for long. */
export interface SchemaLimits {
  /** Values in the schema document: members, elements, scalars. */
  readonly values: number
  /** Nesting of the document, and of schemas that apply to the same value (`allOf`, `$ref`, …). */
  readonly depth: number
  /** Elementary steps of the compiler. */
  readonly steps: number
  /** Rules of the grammar. */
  readonly rules: number
  /** Bytes of the grammar. */
  readonly length: number
}

export const defaultLimits: SchemaLimits = {
  values: 50_000,
  depth: 200,
  steps: 100_000,
  rules: 8_000,
  length: 2 ** 20 // what the native side reads of a grammar
}

/** Counts work, and ends it with a typed error where there is too much. */
export class Budget {
  readonly limits: SchemaLimits
  #left: number
  #path = ''

  constructor(limits: SchemaLimits) {
    this.limits = limits
    this.#left = limits.steps
  }

  /** Where `path` is empty, the work is for the place that was named last. */
  spend(steps: number, path: string): void {
    if (path !== '') this.#path = path
    this.#left -= steps
    if (this.#left < 0) {
      throw tooComplex(
        this.#path,
        `compiling it takes more than ${this.limits.steps} steps of work`
      )
    }
  }

  /** Steps that were taken. */
  get spent(): number {
    return this.limits.steps - this.#left
  }
}

export function tooComplex(path: string, what: string): CriaError {
  return unsupported(
    `schema${at(path)}: too complex: ${what}; use a smaller schema, or split it over several generations`
  )
}

/** A keyword or value that is well-formed JSON Schema and that no grammar of ours holds to. */
export function cannot(path: string, what: string, remedy: string): CriaError {
  return unsupported(`schema${at(path)}: ${what}; ${remedy}`)
}

/** Not JSON Schema. */
export function invalid(path: string, what: string): CriaError {
  return badArgument(`schema${at(path)}: ${what}`)
}

/** Nothing can satisfy it, so that nothing could be generated. */
export function unsatisfiable(path: string, what: string): CriaError {
  return badArgument(`schema${at(path)}: ${what}`)
}

function at(path: string): string {
  const shown = path.length > 120 ? `${path.slice(0, 60)}…${path.slice(-50)}` : path
  return shown === '' ? '' : ` at ${shown}`
}
