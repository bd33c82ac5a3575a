/** The tools of a call, checked: what options.ts takes them for. */
import { describe, integer, isRecord, type Rule } from '../check.js'
import { badArgument, CriaError } from '../errors.js'
import { jsonSchemaOf, standardOf } from '../schema/standard.js'
import type { ToolDefinition } from './protocol.js'
import type { Tool, ToolChoice } from './types.js'
import { type Validator, validator } from './validate.js'

/** A tool that was checked. */
export interface DeclaredTool {
  readonly definition: ToolDefinition
  /** The arguments as `run` takes them, or what is wrong with them. */
  check(args: Record<string, unknown>): Promise<CheckedArguments>
  readonly run: Tool['run']
}

export type CheckedArguments =
  | { readonly args: Record<string, unknown> }
  | { readonly problem: string }

const maxTools = 1024

const tools: Rule<ReadonlyMap<string, DeclaredTool>> = {
  expected: `an object of up to ${maxTools} tools, name → { description, schema, run }`,
  fallback: new Map(),
  accept(value) {
    if (!isRecord(value) || Object.keys(value).length > maxTools) return undefined
    return new Map(Object.entries(value).map(([name, tool]) => [name, declare(name, tool)]))
  }
}

const toolChoice: Rule<ToolChoice> = {
  expected: "'auto', 'none', 'required' or { name }",
  fallback: 'auto',
  accept(value) {
    if (value === 'auto' || value === 'none' || value === 'required') return value
    return isRecord(value) && typeof value.name === 'string' ? { name: value.name } : undefined
  }
}

/** The options of tools, checked. */
export interface ToolSettings {
  tools: ReadonlyMap<string, DeclaredTool>
  toolChoice: ToolChoice
  maxToolRounds: number
}

export const toolRules = { tools, toolChoice, maxToolRounds: integer(1, 1000, 8) }

/** Throws where the options do not fit each other. */
export function checkTools({ tools, toolChoice }: ToolSettings): void {
  if (typeof toolChoice === 'object' && !tools.has(toolChoice.name)) {
    const known = [...tools.keys()].join(', ') || 'none'
    throw badArgument(
      `generate options: toolChoice: no tool ${describe(toolChoice.name)}; tools: ${known}`
    )
  }
  if (toolChoice === 'required' && tools.size === 0) {
    throw badArgument("generate options: toolChoice 'required' needs tools")
  }
}

function declare(name: string, tool: unknown): DeclaredTool {
  const what = `generate options: tools.${name}`
  if (!/^[\w-]{1,64}$/.test(name)) {
    throw badArgument(`${what}: a name has 1 to 64 letters, digits, _ and -`)
  }
  if (!isRecord(tool)) {
    throw badArgument(`${what}: expected { description, schema, run }, got ${describe(tool)}`)
  }
  const { description, schema, run } = tool
  if (typeof description !== 'string') {
    throw badArgument(`${what}: description must be a text, got ${describe(description)}`)
  }
  if (typeof run !== 'function') {
    throw badArgument(`${what}: run must be a function, got ${describe(run)}`)
  }
  const parameters = toJsonSchema(schema, what)
  const validate = validator(parameters, `${what}: schema`)
  return {
    definition: { name, description, parameters },
    check: (args) => checkArguments(args, validate, schema),
    run: (args, context) => (run as Tool['run']).call(tool as unknown as Tool, args, context)
  }
}

/** A copy, so that nothing changes it while it is in use. */
function toJsonSchema(schema: unknown, what: string): object {
  if (schema === undefined) return { type: 'object', properties: {} }
  const standard = standardOf(schema)
  const given = standard ? fromStandard(standard, what) : schema
  try {
    const copy: unknown = JSON.parse(JSON.stringify(given))
    if (isRecord(copy)) return { type: 'object', properties: {}, ...copy }
  } catch {} // told below
  throw badArgument(`${what}: schema must be a JSON Schema of an object, got ${describe(given)}`)
}

function fromStandard(standard: Record<string, unknown>, what: string): unknown {
  try {
    return jsonSchemaOf(standard)
  } catch (error) {
    if (!(error instanceof CriaError)) throw error
    throw new CriaError(error.code, `${what}: ${error.message}`, { cause: error })
  }
}

async function checkArguments(
  args: Record<string, unknown>,
  validate: Validator,
  schema: unknown
): Promise<CheckedArguments> {
  const problem = validate(args)
  if (problem !== undefined) return { problem }
  const standard = standardOf(schema)
  if (typeof standard?.validate !== 'function') return { args }
  const checked = (await standard.validate.call(standard, args)) as {
    value?: unknown
    issues?: unknown
  }
  if (Array.isArray(checked.issues)) {
    const [issue] = checked.issues as { message?: unknown }[]
    return { problem: String(issue?.message ?? 'they do not fit the schema') }
  }
  return { args: checked.value as Record<string, unknown> }
}
