/**
 * Schema libraries by their common interface, https://standardschema.dev: zod, valibot, arktype and others,
 * none of which is imported. What they validate with is used after the generation, and what they say
 * of it as JSON Schema before.
 */
import { describe, isRecord } from '../check.js'
import { badArgument, CriaError, unsupported } from '../errors.js'

/** A schema of such a library. */
export interface StandardSchema<Output = unknown> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined
    /** Absent where a version of a library does not write JSON Schema yet: that is refused. */
    readonly jsonSchema?: unknown
  }
}

export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] }

export interface StandardIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** Its `~standard`, or undefined for what is no such schema. ArkType's are functions. */
export function standardOf(schema: unknown): Record<string, unknown> | undefined {
  if ((typeof schema !== 'object' && typeof schema !== 'function') || schema === null) {
    return undefined
  }
  const standard = Reflect.get(schema, '~standard') as unknown
  return isRecord(standard) ? standard : undefined
}

const converted = new WeakMap<object, unknown>()

/** The JSON Schema of what the library validates: of its input, as its output may be of any type. */
export function jsonSchemaOf(standard: Record<string, unknown>): unknown {
  const known = converted.get(standard)
  if (known !== undefined) return known
  const { vendor, jsonSchema } = standard
  const name = typeof vendor === 'string' ? vendor : 'its library'
  if (!isRecord(jsonSchema) || typeof jsonSchema.input !== 'function') {
    throw unsupported(
      `schema: this version of ${name} gives no JSON Schema by ~standard.jsonSchema; ` +
        'update it (zod from 4.2), or convert the schema and give that'
    )
  }
  let schema: unknown
  try {
    schema = jsonSchema.input({ target: 'draft-2020-12' })
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new CriaError(
      'ERR_CRIA_UNSUPPORTED',
      `schema: ${name} cannot write it as JSON Schema: ${why}`,
      {
        cause
      }
    )
  }
  if (!isRecord(schema)) {
    throw badArgument(`schema: ${name} gave ${describe(schema)} for its JSON Schema`)
  }
  converted.set(standard, schema)
  return schema
}

/** What the library makes of a value; what it refuses is ERR_CRIA_VALIDATION with its issues as cause. */
export function validateBy(standard: Record<string, unknown>, value: unknown): unknown {
  const { validate } = standard
  if (typeof validate !== 'function') return value
  const result: unknown = validate.call(standard, value)
  return result instanceof Promise ? result.then(outcome) : outcome(result)
}

function outcome(result: unknown): unknown {
  if (!isRecord(result)) throw badArgument(`schema: its validate gave ${describe(result)}`)
  const { issues } = result
  if (!issues) return result.value
  const [first] = issues as readonly StandardIssue[]
  const path = first?.path?.map((part) => String(typeof part === 'object' ? part.key : part)) ?? []
  throw new CriaError(
    'ERR_CRIA_VALIDATION',
    `the generated value is of the schema's form, but its library refuses it: ` +
      `${path.length > 0 ? `${path.join('.')}: ` : ''}${first?.message ?? 'no reason given'}`,
    { cause: issues }
  )
}
