/**
 * Marks of a chat format that are plain text to the tokenizer, as Llama 2's `[INST]` and `<<SYS>>`: what
 * people write would count as such. Meta's reference code refuses a conversation that holds one; so does
 * Cria where a person wrote it. What the model or a tool wrote cannot be refused without ending the
 * conversation: there a space stands inside the mark.
 */
import { badArgument } from '../errors.js'
import type { Message } from '../types.js'

export const llama2Marks: readonly string[] = ['[INST]', '[/INST]', '<<SYS>>', '<</SYS>>']

/** Those marks that a template writes and that are no control tokens of the vocabulary. */
export function plainMarks(template: string, controlPieces: readonly string[]): readonly string[] {
  return llama2Marks.filter((mark) => template.includes(mark) && !controlPieces.includes(mark))
}

/** The text with every mark made harmless: `[ INST]`. */
export function openMarks(text: string, marks: readonly string[] = llama2Marks): string {
  let open = text
  for (const mark of marks) open = open.replaceAll(mark, `${mark.slice(0, 1)} ${mark.slice(1)}`)
  return open
}

/** The messages with no mark in them; ERR_CRIA_BAD_ARGUMENT where a person wrote one. */
export function withoutMarks(messages: readonly Message[], marks: readonly string[]): Message[] {
  return messages.map((message, index) => {
    const { role, content } = message
    const found = marks.find((mark) => content.includes(mark))
    if (found === undefined) return message
    if (role === 'assistant' || role === 'tool') {
      return { ...message, content: openMarks(content, marks) }
    }
    throw badArgument(
      `message ${index}: a ${role} message holds ${found}, which is a mark of this model's chat ` +
        'format and would count as one; take it out, or write it with a space inside'
    )
  })
}
