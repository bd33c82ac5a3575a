/** What a chat format gives the tokenizer, and where it comes from. */
import type { NativeSegment } from '../native.js'

/** The pieces of a vocabulary that a chat format spells out. */
export interface ChatVocab {
  /** Spelling of the beginning-of-text token; empty where there is none. */
  readonly bos: string
  readonly eos: string
  /** Spellings of all control tokens. */
  readonly controlPieces: readonly string[]
}

/** A rendered conversation, as the native side takes it. */
export interface ChatPrompt {
  readonly prompt: readonly NativeSegment[]
  /** Whether the tokenizer is to put the beginning-of-text token first. */
  readonly bos: boolean
  /** An answer's leading space belongs to the format, not to the answer. */
  readonly trimStart: true
}

/** Where the text spells the beginning-of-text token itself, the tokenizer must not add another. */
export function toChatPrompt(segments: readonly NativeSegment[], vocab: ChatVocab): ChatPrompt {
  const prompt = segments.filter(({ text }) => text !== '')
  const spelt = vocab.bos !== '' && (prompt[0]?.text.startsWith(vocab.bos) ?? false)
  return { prompt, bos: !spelt, trimStart: true }
}
