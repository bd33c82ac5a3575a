/** Grammars of one model, compiled once: the last ones used are kept. */
import { calling } from './errors.js'
import type { GrammarSyntax, NativeGrammar, NativeModel } from './native.js'

/** A text that says what an answer may be. */
export interface GrammarText {
  readonly syntax: GrammarSyntax
  readonly text: string
}

/** Each takes up to some megabytes, with what it has learnt of the vocabulary. */
const kept = 32

export class Grammars {
  readonly #native: Pick<NativeModel, 'compileGrammar'>
  /** In the order of their last use. */
  readonly #compiled = new Map<string, Promise<NativeGrammar>>()

  constructor(native: Pick<NativeModel, 'compileGrammar'>) {
    this.#native = native
  }

  /** Rejects with ERR_CRIA_BAD_ARGUMENT for what is no grammar. */
  compile({ syntax, text }: GrammarText): Promise<NativeGrammar> {
    const key = `${syntax} ${text}`
    const compiled =
      this.#compiled.get(key) ?? calling(async () => this.#native.compileGrammar(syntax, text))
    this.#compiled.delete(key)
    this.#compiled.set(key, compiled)
    compiled.catch(() => {
      if (this.#compiled.get(key) === compiled) this.#compiled.delete(key)
    })
    for (const oldest of this.#compiled.keys()) {
      if (this.#compiled.size <= kept) break
      this.#compiled.delete(oldest)
    }
    return compiled
  }
}
