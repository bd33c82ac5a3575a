/**
 * The chat format that Meta published with Llama 2 (chat_completion of its reference code): each
 * turn is `<s>[INST] question [/INST] answer </s>`, and the system text stands in the first question
 * between `<<SYS>>` and `<</SYS>>`.
 */
import { createHash } from 'node:crypto'
import { badArgument } from '../errors.js'
import type { NativeSegment } from '../native.js'
import type { Message } from '../types.js'
import type { ChatVocab } from './segments.js'

/** SHA-256 of Jinja templates, normalised, that render this very format. */
const fingerprints = new Set(['9a69ef3b6b0ab3b3be5a3d28c1e9daef172702a0d5570061a77744916c04b0aa'])

/** A template without what means nothing: space inside tags (not in quotes) and trim marks. */
export function normaliseTemplate(template: string): string {
  return template.replace(/\{([{%])-?([\s\S]*?)-?([}%])\}/g, (_, open, inside: string, close) => {
    const tight = inside.replace(
      /('[^']*'|"[^"]*")|\s+/g,
      (_match, quoted?: string) => quoted ?? ''
    )
    return `{${open}${tight}${close}}`
  })
}

/** Whether a model's Jinja template is Llama 2's own, so that no template engine is needed. */
export function isLlama2Template(template: string): boolean {
  if (template.length > 10_000) return false
  const hash = createHash('sha256').update(normaliseTemplate(template)).digest('hex')
  return fingerprints.has(hash)
}

/** The conversation as segments: the format's own text trusted, what people wrote not. */
export function renderLlama2(messages: readonly Message[], vocab: ChatVocab): NativeSegment[] {
  const [first] = messages
  const system = first?.role === 'system' ? first.content : undefined
  const turns = system === undefined ? messages : messages.slice(1)
  checkTurns(turns, system !== undefined)
  return turns.flatMap(({ role, content }, index) => {
    if (role === 'assistant') return [trusted(' '), plain(content.trim()), trusted(` ${vocab.eos}`)]
    const told = index === 0 && system !== undefined
    const text = told ? `<<SYS>>\n${system}\n<</SYS>>\n\n${content}` : content
    return [trusted(`${vocab.bos}[INST] `), plain(text.trim()), trusted(' [/INST]')]
  })
}

const trusted = (text: string): NativeSegment => ({ text, special: true })
const plain = (text: string): NativeSegment => ({ text, special: false })

/** Roles alternate and the user has the last word. */
function checkTurns(turns: readonly Message[], afterSystem: boolean): void {
  turns.forEach(({ role }, index) => {
    const expected = index % 2 === 0 ? 'user' : 'assistant'
    if (role !== expected) {
      throw badArgument(
        `message ${index + (afterSystem ? 1 : 0)}: the Llama 2 chat format takes an optional system ` +
          `message first and then user and assistant by turns; expected ${expected}, got ${role}`
      )
    }
  })
  if (turns.length % 2 === 0) {
    throw badArgument('the last message must be of the user, for the model to answer')
  }
}
