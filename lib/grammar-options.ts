/** The options that an answer is held to a form by: `grammar`, `regex` and `schema`, one of them at most. */
import type { Rule } from './check.js'
import { badArgument } from './errors.js'
import type { GrammarText } from './grammar.js'
import { type PreparedSchema, prepareSchema } from './schema/option.js'

/** As given, checked each by itself. */
export interface GivenGrammar {
  readonly grammar: string | undefined
  readonly regex: string | undefined
  readonly schema: PreparedSchema | undefined
}

const schema: Rule<PreparedSchema | undefined> = {
  expected: 'a JSON Schema, or a schema of a library that has ~standard',
  fallback: undefined,
  accept: prepareSchema
}

const maxGrammarLength = 2 ** 20

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

export const grammarRules = { grammar: grammarText, regex, schema }

/** Throws ERR_CRIA_BAD_ARGUMENT where there is more than one, or a schema beside `stop`. */
export function toGrammar({
  grammar,
  regex,
  schema,
  stop
}: GivenGrammar & { readonly stop: readonly string[] }): GrammarText | undefined {
  if ([grammar, regex, schema].filter((one) => one !== undefined).length > 1) {
    throw badArgument(
      'generate options: grammar, regex and schema exclude each other; give one of them'
    )
  }
  if (schema && stop.length > 0) {
    throw badArgument('generate options: give schema or stop: a text of a schema ends by itself')
  }
  const gbnf = schema?.gbnf ?? grammar
  if (gbnf !== undefined) return { syntax: 'gbnf', text: gbnf }
  return regex === undefined ? undefined : { syntax: 'regex', text: regex }
}
