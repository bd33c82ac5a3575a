/**
 * The grammar, in GBNF, of an answer with tools: calls whose arguments fit their schemas, or something
 * else where calls are not required. What an answer is, its first token decides.
 */
import { compileSchema } from '../schema/compile.js'
import type { DeclaredTool } from './declare.js'
import type { ToolSyntax } from './syntax.js'

/** Calls that one answer may make. */
const mostCalls = 16

export interface ToolGrammar {
  readonly tools: readonly DeclaredTool[]
  readonly syntax: ToolSyntax
  /** Whether the answer must be a call. */
  readonly required: boolean
  /** The grammar of any other answer; absent: any text that does not begin as a call does. */
  readonly answer?: string | undefined
}

/** A grammar may be no longer: then arguments are held to JSON alone, and validated afterwards. */
const longest = 2 ** 20

/** Undefined where the model's own way to call cannot be written as a grammar and none is required. */
export function toolGrammar(wanted: ToolGrammar): string | undefined {
  const { syntax, required, answer } = wanted
  const hasControl = syntax.openers.some((opener) => opener.startsWith('['))
  if (hasControl && !required && answer === undefined) return undefined
  const exact = compose(wanted, argumentsGrammar)
  return exact.length <= longest ? exact : compose(wanted, anyObject)
}

function compose(
  { tools, syntax, required, answer }: ToolGrammar,
  grammarOf: (parameters: object) => string
): string {
  const { written, begins } = syntax
  const names = tools.map((_, i) => `call-${i}`)
  const rules = [
    `call ::= ${names.join(' | ')}`,
    ...tools.flatMap(({ definition: { name, parameters } }, i) => [
      `call-${i} ::= ${quoted(`{"${written.name}": "${name}", "${written.arguments}": `)} t${i}-root "}"`,
      prefixed(grammarOf(parameters), `t${i}-`)
    ]),
    `calls ::= ${callsRule(written)}`
  ]
  if (required) return ['root ::= " "? calls', ...rules].join('\n')
  if (answer !== undefined) {
    return ['root ::= " "? (calls | a-root)', ...rules, prefixed(answer, 'a-')].join('\n')
  }
  const text = `text ::= ([ \\t\\n]* [^${begins} \\t\\n] .*)?`
  return ['root ::= " "? calls | text', text, ...rules].join('\n')
}

function callsRule({ open, close, list, alone }: ToolSyntax['written']): string {
  const one = [open && quoted(open), 'call', close && quoted(close)].filter(Boolean).join(' ')
  if (alone) return one
  const many = `call (", " call){0,${mostCalls - 1}}`
  if (list === 'always') return `"[" ${many} "]"`
  if (list === 'several') return `${one} | "[" ${many} "]"`
  return `${one} ("\\n" ${one}){0,${mostCalls - 1}}`
}

const anyObject = () => compileSchema({ type: 'object' }, { open: true }).gbnf

const compiled = new WeakMap<object, string>() // for the rounds of a generation

/** Of any object where a schema has no grammar: it is validated afterwards in any case. */
function argumentsGrammar(parameters: object): string {
  const known = compiled.get(parameters)
  if (known !== undefined) return known
  let gbnf: string
  try {
    gbnf = compileSchema(parameters).gbnf
  } catch {
    gbnf = anyObject()
  }
  compiled.set(parameters, gbnf)
  return gbnf
}

const quoted = (text: string) => JSON.stringify(text)

/** The same grammar with other names of its rules, so that several fit into one. */
export function prefixed(gbnf: string, prefix: string): string {
  // A text, a set of characters, a comment and a count hold no names.
  return gbnf.replace(
    /"(?:\\.|[^"\\])*"|\[(?:\\.|[^\]\\])*\]|#[^\n]*|\{[^}]*\}|([A-Za-z][\w-]*)/g,
    (whole, name?: string) => (name === undefined ? whole : prefix + name)
  )
}
