/** What `generate` is given, as the native side takes it. */
import { checkMessages } from './chat/messages.js'
import type { ChatPrompt } from './chat/segments.js'
import { describe } from './check.js'
import { badArgument } from './errors.js'
import type { GenerateSettings } from './options.js'
import { fitContext, type Renderer } from './overflow.js'
import type { Order, Prompt } from './request.js'
import { toIds } from './tokens.js'
import type { ToolSyntax } from './tools/syntax.js'
import type { Message } from './types.js'

const expected = 'the prompt must be a text, token ids, or messages { role, content }'

/** What of a model makes prompts, with and without tools. */
export type PromptModel = Renderer & { readonly toolSyntax: ToolSyntax }

/** What of an order its input decides. Throws ERR_CRIA_BAD_ARGUMENT for what is no prompt. */
export function toOrder(
  input: unknown,
  settings: GenerateSettings,
  model: PromptModel & { readonly info: { readonly vocabSize: number } }
): Pick<Order, 'prepare' | 'tools'> {
  if (settings.tools.size === 0) return { prepare: () => toPrompt(input, settings, model) }
  if (!Array.isArray(input) || input.length === 0 || isIds(input)) {
    throw badArgument('generate options: tools need messages { role, content } to be told of')
  }
  return talk(checkMessages(input), settings, model)
}

/**
 * What of an order a conversation decides. `dropped`: of the messages after the system's, those left
 * out in any case. `ready`: what to wait for.
 */
export function talk(
  messages: readonly Message[],
  settings: GenerateSettings,
  model: PromptModel,
  { dropped = 0, ready }: { dropped?: number; ready?: Promise<void> | undefined } = {}
): Pick<Order, 'prepare' | 'tools'> {
  const { onOverflow, maxTokens, tools, toolChoice } = settings
  const definitions = [...tools.values()].map(({ definition }) => definition)
  const render = (messages: readonly Message[], prefill = ''): Prompt | Promise<Prompt> => {
    const renderChat = (part: readonly Message[]) => {
      const prompt = model.renderChat(part, definitions)
      if (prefill === '') return prompt
      return prompt instanceof Promise ? prompt.then(withPrefill) : withPrefill(prompt)
    }
    const withPrefill = (prompt: ChatPrompt): ChatPrompt => ({
      ...prompt,
      prompt: [...prompt.prompt, { text: prefill, special: true }]
    })
    const { info, native } = model
    return onOverflow === 'shift'
      ? fitContext(messages, dropped, maxTokens, { info, native, renderChat })
      : renderChat(messages)
  }
  const whenReady: typeof render = (messages, prefill) =>
    ready ? ready.then(() => render(messages, prefill)) : render(messages, prefill)
  const runs = tools.size > 0 && toolChoice !== 'none'
  return {
    prepare: () => whenReady(messages),
    tools: runs ? { messages, syntax: model.toolSyntax, render: whenReady } : undefined
  }
}

function toPrompt(
  input: unknown,
  settings: GenerateSettings,
  model: PromptModel & { readonly info: { readonly vocabSize: number } }
): Prompt | Promise<Prompt> {
  if (typeof input === 'string')
    return { prompt: [{ text: input, special: false }], bos: true, trimStart: false }
  if (input instanceof Int32Array || isIds(input)) {
    if (input.length === 0) throw badArgument(`${expected}; got no token at all`)
    return { prompt: toIds(input, model.info.vocabSize), bos: false, trimStart: false }
  }
  if (!Array.isArray(input)) throw badArgument(`${expected}; got ${describe(input)}`)
  if (input.length === 0) throw badArgument(`${expected}; got an empty array`)
  return talk(checkMessages(input), settings, model).prepare()
}

function isIds(input: unknown): input is readonly unknown[] {
  return Array.isArray(input) && typeof input[0] === 'number'
}
