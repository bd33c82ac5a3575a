/** Conversations as templates that know tools expect them: in the shapes of OpenAI's API. */
import type { Message } from '../types.js'
import type { ToolDefinition } from './protocol.js'

/** A message as a template sees it; what does not apply is absent. */
export interface TemplateMessage {
  readonly role: string
  readonly content: string
  readonly tool_calls?: readonly object[]
  readonly tool_call_id?: string
  readonly name?: string
}

export function templateTools(tools: readonly ToolDefinition[]): object[] {
  return tools.map((tool) => ({ type: 'function', function: tool }))
}

/** `single`: the template takes one call in a message, so several become several messages. */
export function templateMessages(messages: readonly Message[], single = false): TemplateMessage[] {
  return (single ? oneCallEach(messages) : messages).map((message) => {
    const { role, content, toolCalls, toolCallId, name } = message
    return {
      role,
      content,
      ...(toolCalls && {
        tool_calls: toolCalls.map((call) => ({
          id: call.id,
          type: 'function',
          function: { name: call.name, arguments: call.arguments }
        }))
      }),
      ...(toolCallId !== undefined && { tool_call_id: toolCallId }),
      ...(name !== undefined && { name })
    }
  })
}

/** Each call followed by its result. */
function oneCallEach(messages: readonly Message[]): Message[] {
  return messages.flatMap((message, index) => {
    const { toolCalls = [] } = message
    if (toolCalls.length < 2) return isAnswered(message, messages, index) ? [] : [message]
    return toolCalls.flatMap((call, i) => {
      const result = resultOf(call.id, messages, index)
      const content = i === 0 ? message.content : ''
      return [{ ...message, content, toolCalls: [call] }, ...(result ? [result] : [])]
    })
  })
}

/** Whether a result was moved behind its call. */
function isAnswered(message: Message, messages: readonly Message[], index: number): boolean {
  if (message.role !== 'tool') return false
  let before = index - 1
  while (messages[before]?.role === 'tool') before--
  const calls = messages[before]?.toolCalls ?? []
  return calls.length > 1 && calls.some(({ id }) => id === message.toolCallId)
}

function resultOf(id: string, messages: readonly Message[], index: number): Message | undefined {
  for (let at = index + 1; messages[at]?.role === 'tool'; at++) {
    if (messages[at]?.toolCallId === id) return messages[at]
  }
  return undefined
}
