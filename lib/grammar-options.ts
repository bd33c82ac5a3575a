/** The options that say what an answer is held to. */
import type { Rule } from './check.js'
import { badArgument } from './errors.js'
import type { GrammarText } from './grammar.js'
import type { PreparedSchema } from './schema/option.js'

/** As given, checked each by itself. */
export interface GivenGrammar {
  grammar: string | undefined
  regex: string | undefined
  schema: PreparedSchema | undefined
  stop: readonly string[]
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
  const { grammar, regex, schema, stop } = given
  const kinds = Object.entries({ grammar, regex, schema }).filter(([, one]) => one !== undefined)
  if (kinds.length > 1) {
    const names = kinds.map(([name]) => name).join(' and ')
    throw badArgument(`generate options: ${names} exclude each other; give one of them`)
  }
  if (schema && stop.length > 0) {
    throw badArgument('generate options: give schema or stop: a text of a schema ends by itself')
  }
  if (schema) return { syntax: 'gbnf', text: schema.gbnf }
  if (grammar !== undefined) return { syntax: 'gbnf', text: grammar }
  return regex === undefined ? undefined : { syntax: 'regex', text: regex }
}
