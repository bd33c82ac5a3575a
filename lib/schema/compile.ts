/** JSON Schema to a grammar: each conjunction of schemas becomes a rule, found from the root on. */

import { CriaError } from '../errors.js'
import type { ArrayCase, Bound, Case, NumberCase } from './cases.js'
import { type All, combine, pathOf, SchemaDocument } from './document.js'
import { alt, type Expr, Grammar, nothing, optional, repeat, seq, text } from './gbnf.js'
import { comma, literalsExpr } from './literals.js'
import { Members } from './members.js'
import { numberExpr } from './numbers.js'
import {
  Budget,
  cannot,
  defaultLimits,
  invalid,
  type SchemaLimits,
  unsatisfiable
} from './problem.js'
import { snapshot } from './snapshot.js'
import { Texts } from './texts.js'
import { Values } from './values.js'

export interface CompileOptions extends Partial<SchemaLimits> {
  /**
   * Whether an object that names properties and says nothing of others may have others: false where
   * models are to write it (the default), true to take every valid value.
   */
  readonly open?: boolean | undefined
}

export interface CompiledSchema {
  /** Rules for llama.cpp's GBNF, `root` the first. */
  readonly gbnf: string
  /** Elementary steps that it took; at most `steps` of the limits. */
  readonly steps: number
}

/** Throws ERR_CRIA_UNSUPPORTED or ERR_CRIA_BAD_ARGUMENT with the place in the schema. */
export function compileSchema(schema: unknown, options: CompileOptions = {}): CompiledSchema {
  const { open = false, ...given } = options
  const limits: SchemaLimits = { ...defaultLimits, ...given }
  let copy: ReturnType<typeof snapshot>
  try {
    copy = snapshot(schema, limits)
  } catch (error) {
    if (error instanceof CriaError) throw error
    throw invalid('', `it cannot be read: ${String(error).slice(0, 200)}`)
  }
  return new Compiler(new SchemaDocument(copy), limits, open).compile()
}

/** The same for numbers that are written alike. */
function numberName({ integer, low, high, power }: NumberCase): string {
  const bound = (of: Bound | undefined, sign: string) =>
    of ? ` ${sign}${of.exclusive ? '' : '='}${of.value}` : ''
  const step = power === undefined ? '' : ` 1e${power}`
  return `${integer ? 'integer' : 'number'}${bound(low, '>')}${bound(high, '<')}${step}`
}

class Compiler {
  readonly #values: Values
  readonly #grammar: Grammar
  readonly #budget: Budget
  readonly #texts: Texts
  readonly #members: Members
  readonly #rules = new Map<string, Expr>()
  readonly #queue: { readonly name: string; readonly all: All }[] = []

  constructor(document: SchemaDocument, limits: SchemaLimits, open: boolean) {
    this.#budget = new Budget(limits)
    this.#values = new Values(document, this.#budget)
    this.#grammar = new Grammar(limits)
    this.#texts = new Texts(this.#grammar, this.#budget)
    this.#members = new Members({
      values: this.#values,
      grammar: this.#grammar,
      texts: this.#texts,
      open,
      ruleOf: (all) => this.#ruleOf(all)
    })
  }

  compile(): CompiledSchema {
    const { root } = this.#values.document
    this.#ruleOf(combine([root]))
    for (let next = this.#queue.pop(); next; next = this.#queue.pop()) {
      this.#grammar.set(next.name, this.#valueExpr(next.all))
    }
    const gbnf = this.#grammar.print()
    if (gbnf === undefined) throw unsatisfiable('', 'no value satisfies it')
    return { gbnf, steps: this.#budget.spent }
  }

  /** The rule of values that satisfy all; its expression is found later, so that nothing nests. */
  #ruleOf(all: All): Expr {
    const key = all.map(({ id }) => id).join()
    const known = this.#rules.get(key)
    if (known) return known
    const name = this.#grammar.name(all.length === 0 ? 'value' : (all[0]?.token ?? ''))
    const rule: Expr = { kind: 'rule', name }
    this.#rules.set(key, rule)
    this.#queue.push({ name, all })
    return rule
  }

  #valueExpr(all: All): Expr {
    const path = all[0] ? pathOf(all[0]) : '#'
    const cases = this.#values.cases(all)
    this.#budget.spend(1 + cases.length, path)
    const literals = cases.flatMap((found) => (found.kind === 'literal' ? [found.value] : []))
    const options: Expr[] = []
    if (literals.length > 0) {
      options.push(literalsExpr(literals, this.#grammar, this.#budget, path))
    }
    for (const found of cases) {
      if (found.kind !== 'literal') options.push(this.#caseExpr(found, path))
    }
    return alt(options)
  }

  #caseExpr(found: Exclude<Case, { kind: 'literal' }>, path: string): Expr {
    switch (found.kind) {
      case 'number':
        return this.#grammar.shared(numberName(found), () => numberExpr(found, path))
      case 'string':
        return this.#texts.string(found, path)
      case 'array':
        return this.#array(found, path)
      case 'object':
        return this.#members.object(found, path)
    }
  }

  #array(found: ArrayCase, path: string): Expr {
    const { prefix, rest, min, max, contains, unique } = found
    if (unique && max > 1) {
      throw cannot(
        `${path}/uniqueItems`,
        'whether items are unique is no part of a grammar',
        'take it out, or list what is allowed in enum'
      )
    }
    if (contains.length > 0) return this.#containing(found, path)
    const least = Math.max(0, min - prefix.length)
    const most = max - prefix.length
    const item = this.#ruleOf(rest)
    // From the end: what may follow the first items of the prefix.
    let tail = most > 0 ? this.#grammar.times(seq(comma, item), least, most) : text('')
    if (prefix.length === 0) {
      if (max === 0) return text('[]')
      const some = seq(item, this.#grammar.times(seq(comma, item), Math.max(0, min - 1), max - 1))
      return seq(text('['), min === 0 ? optional(some) : some, text(']'))
    }
    for (let i = prefix.length - 1; i >= 0; i--) {
      if (i >= max) continue
      this.#budget.spend(1, path)
      const own = this.#ruleOf(prefix[i] as All)
      const here = seq(...(i === 0 ? [] : [comma]), own, tail)
      tail = i < min ? here : optional(here)
      if (i > 0 && i < min) continue
      if (i > 0) tail = this.#grammar.rule('items', tail)
    }
    return seq(text('['), tail, text(']'))
  }

  /** Items, so many of them of a kind: between those, and around them, any. */
  #containing({ prefix, rest, min, max, contains, unique }: ArrayCase, path: string): Expr {
    const [only, ...more] = contains
    const needed = only?.min ?? 0
    if (
      !only ||
      more.length > 0 ||
      prefix.length > 0 ||
      max !== Number.POSITIVE_INFINITY ||
      unique
    ) {
      throw cannot(
        `${path}/contains`,
        'contains beside prefixItems, maxItems or another contains is not supported',
        'describe the items by prefixItems'
      )
    }
    if (min > needed) {
      throw cannot(
        `${path}/minItems`,
        'minItems beside contains is not supported where it asks for more items',
        'take one of them out'
      )
    }
    const item = this.#ruleOf(rest)
    const wanted = this.#ruleOf(combine(rest, only.of))
    const before = repeat(seq(item, comma), 0, Number.POSITIVE_INFINITY)
    const after = repeat(seq(comma, item), 0, Number.POSITIVE_INFINITY)
    const one = seq(before, wanted)
    const others = this.#grammar.times(seq(comma, one), needed - 1, needed - 1)
    return needed > 0 ? seq(text('['), one, others, after, text(']')) : nothing
  }
}
