/**
 * How a model writes its calls. Families of models have their own syntax, which their templates teach
 * them; for all others Cria's own protocol of plain JSON is described in the system message.
 */
import { isRecord } from '../check.js'
import { jsonValues, withoutFence } from './json.js'

/** A call as it was written; `problem`: what is wrong with it. */
export interface WrittenCall {
  readonly name: string
  readonly arguments: Record<string, unknown> | string
  readonly problem?: string
}

export interface ToolSyntax {
  readonly name: 'hermes' | 'llama3' | 'mistral' | 'protocol'
  /** What begins a call, wherever it stands in an answer. */
  readonly openers: readonly string[]
  /** Whether an answer that begins with a bracket may be a call. */
  readonly bare: boolean
  /** How a grammar writes a call: its keys, what stands around it, and how several are listed. */
  readonly written: {
    readonly name: string
    readonly arguments: string
    readonly open?: string
    readonly close?: string
    readonly list?: 'always' | 'several'
    readonly alone?: boolean
  }
  /** Characters that no text begins with where a grammar tells it from calls. */
  readonly begins: string
  /** What comes before a call that a grammar writes: a control token, which is no text. */
  readonly opener: string
  /** Whether the template takes but one call in a message. */
  readonly single: boolean
  /**
   * The calls in what stood from an opener, or from a first bracket, to the end of an answer;
   * undefined: it is none, but text.
   */
  parse(text: string): readonly WrittenCall[] | undefined
}

const hermes: ToolSyntax = {
  name: 'hermes',
  openers: ['<tool_call>'],
  bare: false,
  written: { name: 'name', arguments: 'arguments', open: '<tool_call>\n', close: '\n</tool_call>' },
  begins: '<',
  opener: '',
  single: false,
  parse(text) {
    const bodies = text.split('<tool_call>').slice(1)
    return bodies.flatMap((body) => readCalls(body.split('</tool_call>')[0] ?? '', 'name'))
  }
}

const mistral: ToolSyntax = {
  name: 'mistral',
  openers: ['[TOOL_CALLS]'],
  bare: true,
  written: { name: 'name', arguments: 'arguments', list: 'always' },
  begins: '{\\[',
  opener: '[TOOL_CALLS] ',
  single: false,
  parse(text) {
    const parts = text.split('[TOOL_CALLS]')
    if (parts.length === 1) return bareCalls(text, 'name')
    return parts.slice(1).flatMap((part) => {
      // Later models write the name before the arguments: name[ARGS]{…} or name{…}.
      const named = /^\s*([\w-]+)\s*(?:\[CALL_ID\]\s*\w+\s*)?(?:\[ARGS\])?\s*(\{[\s\S]*)$/.exec(
        part
      )
      if (!named) return readCalls(part, 'name')
      const values = jsonValues(named[2] as string)
      return [values?.length === 1 ? toCall(named[1] as string, values[0]) : broken(part, named[1])]
    })
  }
}

const llama3: ToolSyntax = {
  name: 'llama3',
  openers: ['<|python_tag|>'],
  bare: true,
  written: { name: 'name', arguments: 'parameters', alone: true },
  begins: '{\\[',
  opener: '',
  single: true,
  parse(text) {
    const tagged = text.split('<|python_tag|>')
    if (tagged.length > 1) return readCalls(tagged.slice(1).join(''), 'name')
    return bareCalls(text, 'name')
  }
}

/** The JSON protocol of protocol.ts. */
export const protocol: ToolSyntax = {
  name: 'protocol',
  openers: [],
  bare: true,
  written: { name: 'tool', arguments: 'arguments', list: 'several' },
  begins: '{\\[',
  opener: '',
  single: false,
  parse: (text) => bareCalls(text, 'tool')
}

/** Whether a template does anything with a variable `tools`. */
const speaksOfTools = (template: string) => /\{[{%][^{}]*\btools\b/.test(template)

/** Of a model with this template; null: it has none. */
export function toolSyntax(template: string | null): ToolSyntax {
  if (template === null || !speaksOfTools(template)) return protocol
  // Another syntax of the same tags, with parameters as elements of their own.
  if (/<function=|<parameter=|<arg_key>/.test(template)) return protocol
  if (template.includes('<tool_call>')) return hermes
  if (template.includes('[TOOL_CALLS]')) return mistral
  const llama = template.includes('<|start_header_id|>') && template.includes('"parameters"')
  return llama && template.includes('ipython') ? llama3 : protocol
}

/** Calls that were certainly meant: what is no JSON is a broken one. */
function readCalls(text: string, key: string): WrittenCall[] {
  const body = withoutFence(text)
  const values = jsonValues(body)?.flat()
  if (!values || values.length === 0) return [broken(body)]
  return values.map((value) => fromObject(value, key) ?? broken(JSON.stringify(value)))
}

/**
 * Calls that may be text as well: an answer of JSON is one where its first object names a tool. One
 * that begins as a call does and is no JSON was meant as one.
 */
function bareCalls(text: string, key: string): WrittenCall[] | undefined {
  const body = withoutFence(text)
  const values = jsonValues(body)?.flat()
  if (!values) {
    return new RegExp(`^\\[?\\s*\\{\\s*"${key}"\\s*:`).test(body) ? [broken(body)] : undefined
  }
  const calls = values.map((value) => fromObject(value, key))
  if (calls.length === 0 || calls[0] === undefined) return undefined
  return calls.map((call, i) => call ?? broken(JSON.stringify(values[i])))
}

function fromObject(value: unknown, key: string): WrittenCall | undefined {
  if (!isRecord(value)) return undefined
  const name = value[key]
  if (typeof name !== 'string') return undefined
  const args = value.arguments ?? value.parameters
  // An answer may be an object with a name; a call of our protocol is one with a tool.
  if (args === undefined && key !== 'tool') return undefined
  return toCall(name, args ?? {})
}

function toCall(name: string, given: unknown): WrittenCall {
  const args = typeof given === 'string' ? (jsonValues(given)?.[0] ?? given) : given
  if (isRecord(args)) return { name, arguments: args }
  const text = typeof given === 'string' ? given : JSON.stringify(given)
  return { name, arguments: text, problem: 'the arguments are no JSON object' }
}

/** A call that cannot be read; its name where that much is clear. */
function broken(text: string, name?: string): WrittenCall {
  const found = name ?? /"(?:name|tool)"\s*:\s*"([\w-]{1,64})"/.exec(text)?.[1]
  return { name: found ?? 'unknown', arguments: text, problem: 'the call is no valid JSON' }
}
