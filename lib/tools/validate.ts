/**
 * Holds a value against a JSON Schema (draft 2020-12, and what earlier drafts share with it). A keyword
 * that it cannot hold to is an error when the tool is declared; unknown words are annotations, as the
 * standard has it.
 */
import { isRecord } from '../check.js'
import { badArgument, unsupported } from '../errors.js'
import { type Check, type Checks, keywords } from './keywords.js'

const refused = [
  'unevaluatedProperties',
  'unevaluatedItems',
  '$dynamicRef',
  '$recursiveRef',
  'dependencies',
  'additionalItems'
]

const maxDepth = 200
const maxSchemas = 10_000

/** What is wrong with a value; undefined: nothing. */
export type Validator = (value: unknown) => string | undefined

/** ERR_CRIA_BAD_ARGUMENT or ERR_CRIA_UNSUPPORTED, naming the path, where the schema cannot be held to. */
export function validator(schema: unknown, what: string): Validator {
  const check = new Compiler(schema, what).compile(schema, '#')
  return (value) => {
    try {
      return check(value, '', 0)
    } catch (error) {
      if (error instanceof RangeError) return 'it is nested too deeply'
      throw error
    }
  }
}

class Compiler implements Checks {
  readonly #root: unknown
  readonly #what: string
  readonly #compiled = new Map<object, Check>()

  constructor(root: unknown, what: string) {
    this.#root = root
    this.#what = what
  }

  compile(schema: unknown, path: string): Check {
    if (schema === true) return () => undefined
    if (schema === false) return (_, at) => `${at || 'the value'} is not allowed`
    if (!isRecord(schema)) throw this.wrong(path, 'is no schema')
    const known = this.#compiled.get(schema)
    if (known) return known
    if (this.#compiled.size >= maxSchemas) throw this.wrong(path, 'has too many schemas')
    let checks: Check[] = []
    const check: Check = (value, at, depth) => {
      if (depth > maxDepth) return `${at || 'the value'} is nested too deeply`
      for (const one of checks) {
        const problem = one(value, at, depth + 1)
        if (problem !== undefined) return problem
      }
      return undefined
    }
    this.#compiled.set(schema, check) // before its parts: a schema may refer to itself
    checks = this.#parts(schema, path)
    return check
  }

  #parts(schema: Record<string, unknown>, path: string): Check[] {
    const checks: Check[] = []
    for (const [key, given] of Object.entries(schema)) {
      const at = `${path}/${key}`
      if (given === undefined) continue
      if (refused.includes(key)) {
        throw unsupported(`${this.#what}: ${at} is a keyword that arguments cannot be held to`)
      }
      if (key === '$ref') checks.push(this.#reference(given, at))
      else if (Object.hasOwn(keywords, key)) {
        const check = keywords[key]?.(given, { schema, path: at, checks: this })
        if (check) checks.push(check)
      }
    }
    return checks
  }

  wrong(path: string, why: string): Error {
    return badArgument(`${this.#what}: ${path} ${why}`)
  }

  /** Of this document alone: nothing is fetched. */
  #reference(reference: unknown, path: string): Check {
    if (typeof reference !== 'string' || !/^#(\/|$)/.test(reference)) {
      throw unsupported(
        `${this.#what}: ${path} must lead into the schema itself, as "#/$defs/NAME"`
      )
    }
    let found: unknown = this.#root
    for (const token of reference.split('/').slice(1)) {
      const key = decodeURIComponent(token).replaceAll('~1', '/').replaceAll('~0', '~')
      const inside = typeof found === 'object' && found !== null && Object.hasOwn(found, key)
      found = inside ? (found as Record<string, unknown>)[key] : undefined
    }
    if (found === undefined) throw this.wrong(path, `leads nowhere: ${reference}`)
    return this.compile(found, reference)
  }
}
