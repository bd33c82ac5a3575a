/**
 * Objects as text: properties in the order of their definition, each at most once, then what
 * patternProperties and additionalProperties allow.
 */
import { memberOf } from './admits.js'
import type { ObjectCase } from './cases.js'
import { type All, combine } from './document.js'
import { alt, type Expr, type Grammar, nothing, optional, repeat, seq, text } from './gbnf.js'
import { colon, comma } from './literals.js'
import { cannot } from './problem.js'
import { type Condition, literal } from './regex.js'
import type { Texts } from './texts.js'
import type { Values } from './values.js'

interface Setting {
  readonly values: Values
  readonly grammar: Grammar
  readonly texts: Texts
  readonly open: boolean
  ruleOf(all: All): Expr
}

interface Member {
  readonly expr: Expr
  readonly required: boolean
}

const maxPatterns = 4
const unlimited = Number.POSITIVE_INFINITY

export class Members {
  readonly #in: Setting

  constructor(setting: Setting) {
    this.#in = setting
  }

  object(found: ObjectCase, path: string): Expr {
    const { values } = this.#in
    const names = new Set([
      ...found.layers.flatMap(({ properties }) => [...properties.keys()]),
      ...found.required
    ])
    values.budget.spend(30 * names.size, path) // with its rules
    const members: Member[] = []
    const requiredNames = new Set(found.required)
    for (const name of names) {
      values.budget.spend(found.layers.length, path)
      const allowed = found.names.every((all) => values.admits(all, name))
      const required = requiredNames.has(name)
      if (!allowed && !required) continue
      const value = allowed ? this.#in.ruleOf(memberOf(values.budget, found, name)) : nothing
      members.push({ expr: seq(text(`${JSON.stringify(name)}:`), space, value), required })
    }
    const kinds = this.#others(found, names, path)
    const other = kinds.length > 0 ? this.#in.grammar.rule('other', alt(kinds)) : undefined
    const counted = found.min > 0 || found.max !== unlimited
    const body = counted
      ? this.#counted(found, members, other, path)
      : this.#plain(members, other && repeat(seq(comma, other), 0, unlimited), other)
    return seq(text('{'), body, text('}'))
  }

  /** Members beyond those that have a name: a key and a value for each kind of key. */
  #others(found: ObjectCase, names: ReadonlySet<string>, path: string): Expr[] {
    const { layers } = found
    const patterns = layers.flatMap((layer) => layer.patterns)
    const said = layers.some(({ additional }) => additional)
    if (!said && patterns.length === 0 && names.size > 0 && !this.#in.open) return []
    if (patterns.length === 0 && found.names.length === 0) {
      const all = combine(...layers.map(({ additional }) => additional ?? []))
      if (all.some(({ value }) => value === false)) return []
      return [seq(this.#in.texts.otherThan([...names]), colon, this.#in.ruleOf(all))]
    }
    if (patterns.length > maxPatterns) {
      throw cannot(path, `${patterns.length} patterns of properties`, `give up to ${maxPatterns}`)
    }
    const unnamed: Condition[] =
      names.size > 0
        ? [{ regex: { kind: 'alt', options: [...names].map(literal) }, negated: true }]
        : []
    return this.#allowedKeys(found, path).flatMap((keys) =>
      Array.from({ length: 2 ** patterns.length }, (_, chosen) => {
        const all = this.#valueOf(found, chosen)
        if (all.some(({ value }) => value === false)) return nothing
        const conditions = patterns.map(({ condition }, i) => ({
          ...condition,
          negated: condition.negated === ((chosen >> i) % 2 === 1)
        }))
        const of = { ...keys, conditions: [...keys.conditions, ...unnamed, ...conditions] }
        if (!this.#in.texts.isPossible(of, path)) return nothing
        return seq(this.#in.texts.string(of, path), colon, this.#in.ruleOf(all))
      })
    )
  }

  /** What a member must satisfy whose key matches those of the patterns that are chosen. */
  #valueOf({ layers }: ObjectCase, chosen: number): All {
    let index = 0
    const sets: All[] = []
    for (const { patterns, additional } of layers) {
      let matched = false
      for (const { of } of patterns) {
        if ((chosen >> index) % 2 === 1) {
          sets.push(of)
          matched = true
        }
        index++
      }
      if (!matched && additional) sets.push(additional)
    }
    return combine(...sets)
  }

  /** The strings that propertyNames allows. */
  #allowedKeys({ names }: ObjectCase, path: string) {
    const cases = this.#in.values.cases(combine(...names))
    return cases.flatMap((found) => {
      if (found.kind === 'string') return [found]
      if (found.kind !== 'literal' || typeof found.value !== 'string') return []
      this.#in.values.budget.spend(found.value.length, path)
      const regex = literal(found.value)
      return [
        { kind: 'string' as const, min: 0, max: unlimited, conditions: [{ regex, negated: false }] }
      ]
    })
  }

  /** Any number of members. Rules are shared from the end, so that their size is linear. */
  #plain(members: readonly Member[], more: Expr | undefined, other: Expr | undefined): Expr {
    const tail = more ?? text('')
    let next = tail // after a member
    let first = other ? optional(seq(other, tail)) : text('') // nothing before it
    for (const { expr, required } of [...members].reverse()) {
      const begun = seq(expr, next)
      first = required ? begun : alt([begun, this.#named(first)])
      const follow = seq(comma, expr)
      next = this.#named(seq(required ? follow : optional(follow), next))
    }
    return first
  }

  #named(expr: Expr): Expr {
    const short = expr.kind === 'rule' || expr.kind === 'text'
    return short ? expr : this.#in.grammar.rule('more', expr)
  }

  /** A bounded number of members: a rule for each property and number of those before it. */
  #counted(
    found: ObjectCase,
    members: readonly Member[],
    other: Expr | undefined,
    path: string
  ): Expr {
    const { min, max } = found
    const { budget } = this.#in.values
    const known = new Map<string, Expr>()
    const required = members.filter((member) => member.required).length
    // Keys beyond the named ones may repeat, so that two of them count for one member only.
    if (other && min - required > 1) {
      throw cannot(
        `${path}/minProperties`,
        'whether the keys of additional properties differ is no part of a grammar',
        'name the properties, or ask for one at most'
      )
    }
    const rest = (count: number): Expr => {
      const least = Math.max(0, min - count)
      if (!other) return least > 0 ? nothing : text('')
      const most = max - count
      if (most <= 0) return least > 0 ? nothing : text('')
      if (count > 0) return this.#in.grammar.times(seq(comma, other), least, most)
      const some = seq(
        other,
        this.#in.grammar.times(seq(comma, other), Math.max(0, least - 1), most - 1)
      )
      return least === 0 ? optional(some) : some
    }
    // Beyond `min` the count makes no difference where there is no most.
    const counts = Math.min(members.length, max === unlimited ? min : max)
    for (let index = members.length; index >= 0; index--) {
      for (let count = 0; count <= Math.min(index, counts); count++) {
        budget.spend(1, path)
        const member = members[index]
        if (!member) {
          known.set(`${index}:${count}`, this.#named(rest(count)))
          continue
        }
        const options: Expr[] = []
        const next = known.get(`${index + 1}:${Math.min(count + 1, counts)}`)
        if (count + 1 <= max && next) {
          options.push(seq(...(count > 0 ? [comma] : []), member.expr, next))
        }
        if (!member.required) options.push(known.get(`${index + 1}:${count}`) ?? nothing)
        known.set(`${index}:${count}`, this.#in.grammar.rule('more', alt(options)))
      }
    }
    return known.get('0:0') ?? nothing
  }
}

const space = optional(text(' '))
