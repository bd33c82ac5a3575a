/** What a conversation must look like, whatever its template. */
import { checkOptions, describe, isRecord, type OptionTable, type Rule } from '../check.js'
import { badArgument } from '../errors.js'
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

function checkMessage(value: unknown, index: number): Message {
  const what = `message ${index}`
  if (!isRecord(value)) {
    throw badArgument(`${what}: expected { role, content }, got ${describe(value)}`)
  }
  const table: OptionTable<{ role: Message['role'] | Absent; content: string | Absent }> = {
    what,
    rules: { role, content }
  }
  const checked = checkOptions(table, value)
  if (checked.role === absent) throw badArgument(`${what}: role is missing: ${role.expected}`)
  if (checked.content === absent) throw badArgument(`${what}: content is missing: a text`)
  return Object.freeze({ role: checked.role, content: checked.content })
}

/** A checked copy of a conversation; it may be empty. */
export function checkMessages(values: readonly unknown[]): Message[] {
  return Array.from(values, checkMessage)
}
