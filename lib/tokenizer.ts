/** Text to token ids and back. */
import { describe } from './check.js'
import { badArgument, calling, callingNow } from './errors.js'
import { type NativeTokenizer, native } from './native.js'
import { checkDecode, checkEncode } from './options.js'
import { resolveSource } from './source.js'
import { toIds, toNumbers } from './tokens.js'
import type { DecodeOptions, EncodeOptions } from './types.js'

/** Longest text, in UTF-16 units, that is encoded while the event loop waits: about a millisecond. */
const maxSyncText = 8192

/**
 * The vocabulary of a model. `model.tokenizer` is the one of a loaded model; `Tokenizer.load` reads
 * one without weights.
 */
export class Tokenizer {
  readonly #native: NativeTokenizer

  /** @internal */
  constructor(tokenizer: NativeTokenizer) {
    this.#native = tokenizer
  }

  /** Reads the vocabulary of a GGUF file: a path, a file URL, or nothing for the demo model. */
  static async load(source?: string | URL): Promise<Tokenizer> {
    const path = resolveSource(source)
    return new Tokenizer(await calling(() => native.loadTokenizer(path)))
  }

  get vocabSize(): number {
    return this.#native.vocab.size
  }

  /** The beginning-of-text token, or null where the vocabulary has none. */
  get bosId(): number | null {
    return orNull(this.#native.vocab.bos)
  }

  /** The end-of-text token, or null where the vocabulary has none. */
  get eosId(): number | null {
    return orNull(this.#native.vocab.eos)
  }

  /**
   * The token ids of a text of any length; a long one is encoded off the event loop. Control tokens
   * spelt in the text are plain text unless `special`.
   */
  async encode(text: string, options?: EncodeOptions): Promise<number[]> {
    const { bos, special } = checkEncode(options)
    checkText(text)
    if (text.length <= maxSyncText) return this.encodeSync(text, options)
    return toNumbers(await calling(() => this.#native.encode([{ text, special }], bos)))
  }

  /** As {@link encode}, while the event loop waits: for texts of up to 8192 UTF-16 units. */
  encodeSync(text: string, options?: EncodeOptions): number[] {
    const { bos, special } = checkEncode(options)
    checkText(text)
    if (text.length > maxSyncText) {
      throw badArgument(
        `encodeSync takes up to ${maxSyncText} UTF-16 units of text, got ${text.length}: use encode`
      )
    }
    return toNumbers(callingNow(() => this.#native.encodeSync([{ text, special }], bos)))
  }

  /** The text of token ids; bytes that are no UTF-8 become U+FFFD. */
  decode(ids: Iterable<number>, options?: DecodeOptions): string {
    const { special } = checkDecode(options)
    const checked = toIds(ids, this.vocabSize)
    return callingNow(() => this.#native.decode(checked, special))
  }

  /** A decoder for ids that come little by little: it never gives half a code point. */
  decoder(options?: DecodeOptions): StreamDecoder {
    const { special } = checkDecode(options)
    const decoder = callingNow(() => this.#native.decoder(special))
    return {
      push: (ids) => {
        const checked = toIds(typeof ids === 'number' ? [ids] : ids, this.vocabSize)
        return callingNow(() => decoder.push(checked))
      },
      flush: () => callingNow(() => decoder.flush())
    }
  }

  /** How a token is spelt in the vocabulary, such as `▁the`, `<0x0A>` or `<s>`. */
  pieceOf(id: number): string {
    const [checked] = toIds([id], this.vocabSize)
    return callingNow(() => this.#native.pieceOf(checked as number))
  }

  /** The token that is spelt so in the vocabulary, or null. */
  idOf(piece: string): number | null {
    if (typeof piece !== 'string') {
      throw badArgument(`idOf: expected a text, got ${describe(piece)}`)
    }
    return orNull(callingNow(() => this.#native.idOf(piece)))
  }
}

/** Turns ids into text as they come. */
export interface StreamDecoder {
  /** The text that is certain after these ids: whole code points. */
  push(ids: number | Iterable<number>): string
  /** Ends the text: bytes held back become U+FFFD. The decoder can be used again. */
  flush(): string
}

function checkText(text: unknown): void {
  if (typeof text !== 'string') throw badArgument(`encode: expected a text, got ${describe(text)}`)
}

function orNull(id: number): number | null {
  return id < 0 ? null : id
}
