/** What a text is held to: the options `grammar`, `regex` and `schema`, of which a call gives one. */
import type { Rule } from './check.js'
import { badArgument } from './errors.js'
import type { GrammarText } from './grammar.js'
import { type PreparedSchema, prepareSchema } from './schema/option.js'

const maxGrammarLength = 2 ** 21

const grammarText: Rule<string | undefined> = {
  expected: `a text of up to ${maxGrammarLength} characters`,
  fallback: undefined,
  accept: (value) =>
    typeof value === 'string' && value.length <= maxGrammarLength ? value : undefined
}

const regex: Rule<string | undefined> = {
  expected: `a text of up to ${maxGrammarLength} characters, or a RegExp without flags other than u`,
  fallback: undefined,
  accept(value) {
    if (!(value instanceof RegExp)) return grammarText.accept(value)
    return value.flags.replace('u', '') === '' ? value.source : undefined
  }
}

const schema: Rule<PreparedSchema | undefined> = {
  expected: 'a JSON Schema, or a schema of a library that has ~standard',
  fallback: undefined,
  accept: prepareSchema
}

export const heldRules = { grammar: grammarText, regex, schema }

interface Held {
  readonly grammar: string | undefined
  readonly regex: string | undefined
  readonly schema: PreparedSchema | undefined
  readonly stop: readonly string[]
}

/** The grammar of the text; throws where the options do not fit each other. */
export function heldTo({ grammar, regex, schema, stop }: Held): GrammarText | undefined {
  const given = Object.entries({ grammar, regex, schema }).filter(([, one]) => one !== undefined)
  if (given.length > 1) {
    const names = given.map(([name]) => name).join(' and ')
    throw badArgument(`generate options: ${names} exclude each other; give one of them`)
  }
  if (schema && stop.length > 0) {
    throw badArgument('generate options: give schema or stop: a text of a schema ends by itself')
  }
  if (schema) return { syntax: 'gbnf', text: schema.gbnf }
  if (grammar !== undefined) return { syntax: 'gbnf', text: grammar }
  return regex === undefined ? undefined : { syntax: 'regex', text: regex }
}
