/**
 * Tools for models whose template knows none: described in the system message, called with plain JSON,
 * and answered in a message of the user's side. Everything a tool gave is a JSON value there, so that it
 * cannot end its place and speak for others.
 */
import { openMarks } from '../chat/marks.js'
import type { Message } from '../types.js'
import type { ToolCall } from './types.js'

/** A tool as models are told of it: the function of OpenAI's API. */
export interface ToolDefinition {
  readonly name: string
  readonly description: string
  readonly parameters: object
}

/** What the system message says. */
export function protocolText(tools: readonly ToolDefinition[]): string {
  return `You can use tools. To use one, answer with a JSON object and nothing else:
{"tool": "NAME", "arguments": {…}}
To use several at once, answer with a JSON array of such objects. You then get their results, and can \
use tools again or answer. Where you need no tool, answer in plain text.

Tools:
${tools.map((tool) => JSON.stringify(tool)).join('\n')}`
}

/** A conversation for a template that knows no tools: calls and results are plain messages. */
export function foldTools(
  messages: readonly Message[],
  tools: readonly ToolDefinition[] = []
): Message[] {
  const folded: Message[] = []
  let calls: readonly ToolCall[] = []
  let results: string[] = []
  for (const message of messages) {
    if (message.role === 'tool' && calls.length > 0) {
      results.push(resultText(message, calls))
      if (results.length > 1) folded.pop()
      folded.push({ role: 'user', content: openMarks(`Results of tools:\n${results.join('\n')}`) })
      continue
    }
    if (message.role === 'assistant') {
      calls = message.toolCalls ?? []
      results = []
      folded.push({ role: 'assistant', content: callText(message.content, calls) })
    } else folded.push(message)
  }
  return tools.length === 0 ? folded : instructed(folded, protocolText(tools))
}

/** The same with the system's words at the head of the first turn, for a template that has no system. */
export function withoutSystem(messages: readonly Message[]): Message[] {
  const [system, first, ...rest] = messages
  if (system?.role !== 'system' || first?.role !== 'user') return [...messages]
  return [{ role: 'user', content: `${system.content}\n\n${first.content}` }, ...rest]
}

function instructed(messages: readonly Message[], text: string): Message[] {
  const [first, ...rest] = messages
  if (first?.role !== 'system') return [{ role: 'system', content: text }, ...messages]
  return [{ role: 'system', content: `${first.content}\n\n${text}` }, ...rest]
}

/** Calls as the protocol has the model write them. */
function callText(content: string, calls: readonly ToolCall[]): string {
  if (calls.length === 0) return content
  const written = calls.map(({ name, arguments: args }) =>
    JSON.stringify({ tool: name, arguments: args })
  )
  const text = openMarks(written.length === 1 ? (written[0] as string) : `[${written.join(', ')}]`)
  return content.trim() === '' ? text : `${content.trimEnd()}\n${text}`
}

function resultText({ content, toolCallId, name }: Message, calls: readonly ToolCall[]): string {
  const tool = name ?? calls.find(({ id }) => id === toolCallId)?.name ?? 'unknown'
  return `{"tool": ${JSON.stringify(tool)}, "result": ${asJson(content)}}`
}

/** A result that is JSON stands as it is; any other text as a JSON text. */
function asJson(content: string): string {
  try {
    return JSON.stringify(JSON.parse(content))
  } catch {
    return JSON.stringify(content)
  }
}
