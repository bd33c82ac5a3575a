/** What `generate` is given, as the native side takes it. */
import { checkMessages } from './chat/messages.js'
import { describe } from './check.js'
import { badArgument } from './errors.js'
import type { GenerateSettings } from './options.js'
import { fitContext, type Renderer } from './overflow.js'
import type { Prompt } from './request.js'
import { toIds } from './tokens.js'

const expected = 'the prompt must be a text, token ids, or messages { role, content }'

/** Throws ERR_CRIA_BAD_ARGUMENT for what is no prompt. */
export function toPrompt(
  input: unknown,
  { onOverflow, maxTokens }: Pick<GenerateSettings, 'onOverflow' | 'maxTokens'>,
  model: Renderer & { readonly info: { readonly vocabSize: number } }
): Prompt | Promise<Prompt> {
  if (typeof input === 'string')
    return { prompt: [{ text: input, special: false }], bos: true, trimStart: false }
  if (input instanceof Int32Array || isIds(input)) {
    if (input.length === 0) throw badArgument(`${expected}; got no token at all`)
    return { prompt: toIds(input, model.info.vocabSize), bos: false, trimStart: false }
  }
  if (!Array.isArray(input)) throw badArgument(`${expected}; got ${describe(input)}`)
  if (input.length === 0) throw badArgument(`${expected}; got an empty array`)
  const messages = checkMessages(input)
  return onOverflow === 'shift'
    ? fitContext(messages, 0, maxTokens, model)
    : model.renderChat(messages)
}

function isIds(input: unknown): input is readonly unknown[] {
  return Array.isArray(input) && typeof input[0] === 'number'
}
