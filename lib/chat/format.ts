/** How a model's conversations become prompts: its own template, or Llama 2's format. */
import type { Message } from '../types.js'
import { isLlama2Template, renderLlama2 } from './llama2.js'
import { type ChatPrompt, type ChatVocab, toChatPrompt } from './segments.js'
import { TemplateRenderer } from './template.js'

/** Renders a conversation; a promise where a template engine takes its time. */
export type ChatFormat = (messages: readonly Message[]) => ChatPrompt | Promise<ChatPrompt>

/** Shared by all models of a process (or worker): it starts with the first template it gets. */
const sharedRenderer = new TemplateRenderer()

/** `template`: the one in the model file; null: it has none. */
export function chatFormat(
  template: string | null,
  vocab: ChatVocab,
  renderer: TemplateRenderer = sharedRenderer
): ChatFormat {
  if (template === null || isLlama2Template(template)) {
    return (messages) => toChatPrompt(renderLlama2(messages, vocab), vocab)
  }
  return async (messages) => {
    return toChatPrompt(await renderer.render({ template, messages, vocab }), vocab)
  }
}
