/** The options that say what an answer is held to. */
import type { Rule } from './check.js'
import { badArgument } from './errors.js'
import type { GrammarText } from './grammar.js'

/** As given, checked each by itself. */
export interface GivenGrammar {
  grammar: string | undefined
  regex: string | undefined
}

const maxLength = 2 ** 20

const grammar: Rule<string | undefined> = {
  expected: `a text of up to ${maxLength} characters`,
  fallback: undefined,
  accept: (value) => (typeof value === 'string' && value.length <= maxLength ? value : undefined)
}

const regex: Rule<string | undefined> = {
  expected: `a text of up to ${maxLength} characters, or a RegExp without flags other than u`,
  fallback: undefined,
  accept(value) {
    if (!(value instanceof RegExp)) return grammar.accept(value)
    return value.flags.replace('u', '') === '' ? value.source : undefined
  }
}

export const grammarRules = { grammar, regex }

/** Throws ERR_CRIA_BAD_ARGUMENT where there is more than one. */
export function toGrammar(given: GivenGrammar): GrammarText | undefined {
  if (given.grammar !== undefined && given.regex !== undefined) {
    throw badArgument('generate options: grammar and regex exclude each other; give one of them')
  }
  if (given.grammar !== undefined) return { syntax: 'gbnf', text: given.grammar }
  if (given.regex !== undefined) return { syntax: 'regex', text: given.regex }
  return undefined
}
