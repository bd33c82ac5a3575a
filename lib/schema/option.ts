/** The option `schema`: what it takes, compiled and kept, and what becomes of the text. */
import { describe } from '../check.js'
import { badArgument } from '../errors.js'
import { compileSchema } from './compile.js'
import { defaultLimits } from './problem.js'
import { type Json, snapshot } from './snapshot.js'
import { jsonSchemaOf, standardOf, validateBy } from './standard.js'

/** A schema that a generation is held to. */
export interface PreparedSchema {
  /** The grammar of its values, in GBNF. */
  readonly gbnf: string
  /** The value that a whole text is; a promise where the schema's library takes its time. */
  parse(text: string): unknown
}

const maxKept = 64
const maxKeyLength = 2 ** 20

/** Grammars by what the schema says, so that one that was changed since is compiled again. */
const kept = new Map<string, string>()

/** Throws ERR_CRIA_BAD_ARGUMENT or ERR_CRIA_UNSUPPORTED, with the place in the schema. */
export function prepareSchema(schema: unknown): PreparedSchema {
  const standard = standardOf(schema)
  if (standard) {
    const gbnf = compileOnce(jsonSchemaOf(standard))
    return { gbnf, parse: (text) => validateBy(standard, JSON.parse(text)) }
  }
  if (typeof schema !== 'boolean' && (typeof schema !== 'object' || Array.isArray(schema))) {
    throw badArgument(
      `generate options: schema must be a JSON Schema or a schema of a library that has ~standard, ` +
        `got ${describe(schema)}`
    )
  }
  return { gbnf: compileOnce(schema), parse: (text) => JSON.parse(text) }
}

function compileOnce(schema: unknown): string {
  const key = keyOf(schema)
  const known = key === undefined ? undefined : kept.get(key)
  const gbnf = known ?? compileSchema(schema).gbnf
  if (key === undefined) return gbnf
  kept.delete(key)
  kept.set(key, gbnf) // the latest comes last
  if (kept.size > maxKept) kept.delete(kept.keys().next().value as string)
  return gbnf
}

/** Undefined for what is too large to keep, or wrong: then compiling says how. */
function keyOf(schema: unknown): string | undefined {
  try {
    const json = snapshot(schema, defaultLimits)
    const asArrays = (_: string, value: Json) => (value instanceof Map ? [{}, ...value] : value)
    const key = JSON.stringify(json, asArrays)
    return key.length <= maxKeyLength ? key : undefined
  } catch {
    return undefined
  }
}
