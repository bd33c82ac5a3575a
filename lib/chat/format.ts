/** How a model's conversations become prompts: its own template, or Llama 2's format. */
import { CriaError } from '../errors.js'
import { templateMessages, templateTools } from '../tools/native.js'
import { foldTools, type ToolDefinition, withoutSystem } from '../tools/protocol.js'
import { toolSyntax } from '../tools/syntax.js'
import type { Message } from '../types.js'
import { isLlama2Template, renderLlama2 } from './llama2.js'
import { llama2Marks, plainMarks, withoutMarks } from './marks.js'
import { type ChatPrompt, type ChatVocab, toChatPrompt } from './segments.js'
import { TemplateRenderer } from './template.js'

/** Renders a conversation and its tools; a promise where a template engine takes its time. */
export type ChatFormat = (
  messages: readonly Message[],
  tools?: readonly ToolDefinition[]
) => ChatPrompt | Promise<ChatPrompt>

/** Shared by all models of a process (or worker): it starts with the first template it gets. */
const sharedRenderer = new TemplateRenderer()

/** `template`: the one in the model file; null: it has none. */
export function chatFormat(
  template: string | null,
  vocab: ChatVocab,
  renderer: TemplateRenderer = sharedRenderer
): ChatFormat {
  if (template === null || isLlama2Template(template)) {
    return (messages, tools) => {
      const plain = withoutMarks(foldTools(messages, tools), llama2Marks)
      return toChatPrompt(renderLlama2(plain, vocab), vocab)
    }
  }
  const marks = plainMarks(template, vocab.controlPieces)
  const syntax = toolSyntax(template)
  const render = async (messages: readonly Message[], tools: readonly ToolDefinition[] = []) => {
    const job = {
      template,
      messages: templateMessages(withoutMarks(messages, marks), syntax.single),
      tools: templateTools(tools),
      vocab
    }
    return toChatPrompt(await renderer.render(job), vocab)
  }
  if (syntax.name !== 'protocol') return render
  return async (messages, tools = []) => {
    const folded = foldTools(messages, tools)
    try {
      return await render(folded)
    } catch (error) {
      // Some templates refuse a system message, and this one is not the caller's.
      const own = tools.length > 0 && messages[0]?.role !== 'system'
      if (!own || !(error instanceof CriaError) || error.code !== 'ERR_CRIA_BAD_ARGUMENT')
        throw error
      return render(withoutSystem(folded))
    }
  }
}
