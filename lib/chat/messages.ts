/** What a conversation must look like, whatever its template. */
import {
  checkOptions,
  describe,
  isRecord,
  type OptionTable,
  optional,
  type Rule
} from '../check.js'
import { badArgument } from '../errors.js'
import type { ToolCall } from '../tools/types.js'
import type { Message } from '../types.js'

const roles = ['system', 'user', 'assistant', 'tool'] as const

// Both are required: an absent one is met as what no caller can give.
const absent = Symbol('absent')
type Absent = typeof absent

const role: Rule<Message['role'] | Absent> = {
  expected: `one of ${roles.join(', ')}`,
  fallback: absent,
  accept: (value) => roles.find((known) => known === value)
}

const content: Rule<string | Absent> = {
  expected: 'a text',
  fallback: absent,
  accept: (value) => (typeof value === 'string' ? value : undefined)
}

const isText = (value: unknown): value is string => typeof value === 'string'

const toolCalls: Rule<readonly ToolCall[] | undefined> = {
  expected: 'an array of calls { id, name, arguments }, the arguments an object of JSON or a text',
  fallback: undefined,
  accept(value) {
    if (!Array.isArray(value) || value.length === 0) return undefined
    const calls = value.map(checkCall)
    return calls.every((call) => call !== undefined) ? Object.freeze(calls) : undefined
  }
}

function checkCall(value: unknown): ToolCall | undefined {
  if (!isRecord(value) || !isText(value.id) || !isText(value.name)) return undefined
  const { id, name, arguments: args } = value
  if (!isText(args) && !isRecord(args)) return undefined
  try {
    const copy = isText(args) ? args : (JSON.parse(JSON.stringify(args)) as Record<string, unknown>)
    return Object.freeze({ id, name, arguments: copy })
  } catch {
    return undefined
  }
}

interface MessageFields {
  role: Message['role'] | Absent
  content: string | Absent
  toolCalls: readonly ToolCall[] | undefined
  toolCallId: string | undefined
  name: string | undefined
}

function checkMessage(value: unknown, index: number): Message {
  const what = `message ${index}`
  if (!isRecord(value)) {
    throw badArgument(`${what}: expected { role, content }, got ${describe(value)}`)
  }
  const table: OptionTable<MessageFields> = {
    what,
    rules: {
      role,
      content,
      toolCalls,
      toolCallId: optional('a text', isText),
      name: optional('a text', isText)
    }
  }
  const checked = checkOptions(table, value)
  if (checked.role === absent) throw badArgument(`${what}: role is missing: ${role.expected}`)
  if (checked.content === absent) throw badArgument(`${what}: content is missing: a text`)
  if (checked.toolCalls && checked.role !== 'assistant') {
    throw badArgument(`${what}: toolCalls belong to an assistant message, not to ${checked.role}`)
  }
  if (checked.toolCallId !== undefined && checked.role !== 'tool') {
    throw badArgument(`${what}: toolCallId belongs to a tool message, not to ${checked.role}`)
  }
  const fields = Object.entries(checked).filter(([, field]) => field !== undefined)
  return Object.freeze(Object.fromEntries(fields) as unknown as Message)
}

/** A checked copy of a conversation; it may be empty. */
export function checkMessages(values: readonly unknown[]): Message[] {
  return Array.from(values, checkMessage)
}
