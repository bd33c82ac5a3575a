/**
 * Which values satisfy schemas: the cases of a conjunction of places, found once for each.
 *
 * `allOf` and `$ref` are intersections of cases, `anyOf` unions of them, `oneOf` unions whose branches
 * are shown to share nothing, and `enum` lists values that everything else admits.
 */
import { admits } from './admits.js'
import { type Case, isInteger, kindOf, type LiteralCase, literalCase, meet } from './cases.js'
import { disjoint, tagsOf, toldApart } from './disjoint.js'
import { type All, type Place, pathOf, type SchemaDocument } from './document.js'
import { keywordsOf } from './keywords.js'
import { ownCases, type Schema } from './places.js'
import { type Budget, cannot, invalid, tooComplex } from './problem.js'
import { parsePattern } from './regex.js'
import { isArray, isScalar, type Json, same, scalarKey } from './snapshot.js'

export class Values {
  readonly document: SchemaDocument
  readonly budget: Budget
  readonly #ofAll = new Map<string, readonly Case[]>()
  readonly #ofPlace = new Map<Place, readonly Case[]>()
  readonly #open = new Set<Place>() // whose cases are being found

  constructor(document: SchemaDocument, budget: Budget) {
    this.document = document
    this.budget = budget
  }

  /** The values that satisfy all of these. */
  cases(all: All): readonly Case[] {
    const key = all.map(({ id }) => id).join()
    const known = this.#ofAll.get(key)
    if (known) return known
    let found: readonly Case[] | undefined
    for (const place of all) {
      const next = this.#casesAt(place)
      found = found ? this.#meetAll(found, next, pathOf(place)) : next
    }
    found ??= everything
    this.#ofAll.set(key, found)
    return found
  }

  admits(all: All, value: Json): boolean {
    return this.cases(all).some((found) => admits(this, found, value))
  }

  #casesAt(place: Place): readonly Case[] {
    const known = this.#ofPlace.get(place)
    if (known) return known
    if (place.value === false) return []
    const path = pathOf(place)
    if (this.#open.has(place)) {
      throw invalid(
        path,
        'it refers to itself before a value begins; put a property or item between'
      )
    }
    if (this.#open.size >= this.budget.limits.depth) {
      throw tooComplex(path, `${this.budget.limits.depth} schemas apply through one another`)
    }
    this.#open.add(place)
    try {
      const schema = { document: this.document, place, keywords: keywordsOf(place) }
      const found = this.#find(schema, path)
      this.#ofPlace.set(place, found)
      return found
    } finally {
      this.#open.delete(place)
    }
  }

  #find(schema: Schema, path: string): readonly Case[] {
    const { document, place, keywords } = schema
    this.budget.spend(1, path)
    const listed = this.#listed(schema)
    if (listed && keywords.size === 1) return listed // the usual branch that is told by its value
    let found: readonly Case[] = ownCases(schema)
    const ref = keywords.get('$ref')
    if (typeof ref === 'string') {
      found = this.#meetAll(found, this.#casesAt(document.resolve(place, ref)), path)
    }
    const children = (keyword: string): Place[] => {
      const list = keywords.get(keyword)
      return isArray(list) ? list.map((_, i) => document.child(place, keyword, i)) : []
    }
    for (const part of children('allOf')) found = this.#meetAll(found, this.#casesAt(part), path)
    if (listed) found = this.#meetAll(listed, found, path)
    const any = children('anyOf')
    if (any.length > 0) {
      const branches = any.flatMap((branch) => this.#casesAt(branch))
      found = this.#meetAll(found, branches, path)
    }
    const one = children('oneOf')
    if (one.length > 0) found = this.#oneOf(found, one, path)
    if (keywords.has('not')) found = this.#without(found, document.child(place, 'not'))
    return found
  }

  /** `enum` and `const`. */
  #listed({ keywords, place }: Schema): readonly Case[] | undefined {
    const list = keywords.get('enum')
    const values = isArray(list) ? list : undefined
    this.budget.spend(values?.length ?? 0, pathOf(place))
    const constant = keywords.get('const')
    if (constant === undefined) return values?.map(literalCase)
    if (values && !values.some((value) => same(value, constant))) {
      throw invalid(pathOf(place), 'const is none of the values of enum')
    }
    return [literalCase(constant)]
  }

  #meetAll(a: readonly Case[], b: readonly Case[], path: string): readonly Case[] {
    if (b === everything) return a
    if (a === everything) return b
    const left = sorted(a)
    const right = sorted(b)
    this.budget.spend(a.length + b.length + left.others.length * right.others.length, path)
    const admitted = (others: readonly Case[], value: Json) => {
      const kind = kindOf(value)
      return others.some((other) => other.kind === kind && admits(this, other, value))
    }
    const found: Case[] = []
    for (const one of left.scalars.values()) {
      const known = right.scalars.has(scalarKey(one.value))
      if (known || admitted(right.others, one.value)) found.push(one)
    }
    for (const [key, one] of right.scalars) {
      if (!left.scalars.has(key) && admitted(left.others, one.value)) found.push(one)
    }
    for (const one of left.others)
      for (const other of right.others) this.#meetOne(one, other, found)
    return found
  }

  #meetOne(a: Case, b: Case, found: Case[]): void {
    if (a.kind === 'literal') {
      const fits = b.kind === 'literal' ? same(a.value, b.value) : admits(this, b, a.value)
      if (fits && !found.includes(a)) found.push(a)
    } else if (b.kind === 'literal') {
      if (admits(this, a, b.value)) found.push(b)
    } else {
      const both = meet(a, b)
      if (both) found.push(both)
    }
  }

  #oneOf(found: readonly Case[], branches: readonly Place[], path: string): readonly Case[] {
    const parts = branches.map((branch) => this.#meetAll(found, this.#casesAt(branch), path))
    const tags = new Map(parts.flat().map((one) => [one, tagsOf(this, one)]))
    const apart = (a: Case, b: Case) => toldApart(tags.get(a), tags.get(b)) || disjoint(this, a, b)
    parts.forEach((one, i) => {
      this.budget.spend(parts.length - i, path)
      parts.slice(i + 1).forEach((other, j) => {
        const overlap = one.some((a) => other.some((b) => !apart(a, b)))
        if (!overlap) return
        throw cannot(
          `${path}/oneOf`,
          `its branches ${i} and ${i + 1 + j} may both hold for one value`,
          'use anyOf, or tell them apart by a required property with a const'
        )
      })
    })
    return parts.flat()
  }

  /** `not`, where what is left is a matter of types, lists, single patterns or missing members. */
  #without(found: readonly Case[], place: Place): readonly Case[] {
    const keywords = keywordsOf(place)
    const path = pathOf(place)
    if (place.value === false || keywords.has('not')) {
      if (place.value === false) return found
      const inner = this.document.child(place, 'not')
      if (keywords.size === 1) return this.#meetAll(found, this.#casesAt(inner), path)
    }
    if (place.value === true || keywords.size === 0) return []
    if (found.every((one) => one.kind === 'literal')) {
      const denied = this.#casesAt(place)
      return found.filter((one) => !denied.some((other) => admits(this, other, one.value)))
    }
    const types = keywords.get('type')
    const list = new Set(isArray(types) ? types : [types])
    const onlyType = keywords.size === 1 && types !== undefined
    if (onlyType && !list.has('integer')) {
      return found.filter((one) => !isOfType(one, list))
    }
    if (onlyType && list.has('integer')) {
      const rest = found.filter((one) => !isOfType(one, list))
      if (rest.every((one) => one.kind !== 'number')) return rest
    }
    const required = keywords.get('required')
    if (keywords.size === 1 && isArray(required) && required.length === 1) {
      return this.#meetAll(found, [lacking(String(required[0]))], path)
    }
    const pattern = keywords.get('pattern')
    if (keywords.size === 2 && typeof pattern === 'string' && types === 'string') {
      const conditions = parsePattern(pattern, `${path}/pattern`)
      const [condition] = conditions
      if (condition && conditions.length === 1) {
        const negated = { ...condition, negated: !condition.negated }
        return found.map((one) =>
          one.kind === 'string' ? { ...one, conditions: [...one.conditions, negated] } : one
        )
      }
    }
    // What shares nothing with all that is left takes nothing away.
    const denied = this.#casesAt(place)
    if (denied.length === 0) return found
    const untouched = found.filter((one) => denied.every((other) => disjoint(this, one, other)))
    if (untouched.length === found.length) return found
    throw cannot(path, 'such a not is no part of a grammar', 'say what is allowed instead')
  }
}

/** Of a schema that says nothing. */
const everything: readonly Case[] = ownCases({
  document: undefined as never,
  place: undefined as never,
  keywords: new Map()
})

/** Objects without this member. */
function lacking(name: string): Case {
  const never: Place = { id: 0, value: false, parent: undefined, token: '' }
  return {
    kind: 'object',
    layers: [{ properties: new Map([[name, [never]]]), patterns: [], additional: undefined }],
    required: [],
    names: [],
    min: 0,
    max: Number.POSITIVE_INFINITY
  }
}

function isOfType(found: Case, types: ReadonlySet<Json | undefined>): boolean {
  const kind = found.kind === 'literal' ? kindOf(found.value) : found.kind
  if (kind === 'number') {
    if (types.has('number')) return true
    if (found.kind === 'number') return isInteger(found) && types.has('integer')
    return Number.isInteger((found as LiteralCase).value) && types.has('integer')
  }
  if (kind !== 'literal') return types.has(kind)
  const { value } = found as LiteralCase
  return types.has(value === null ? 'null' : 'boolean')
}

/** Null, booleans, numbers and texts apart from the rest, to spare the comparison of each with each. */
function sorted(cases: readonly Case[]) {
  const scalars = new Map<string, LiteralCase>()
  const others: Case[] = []
  for (const one of cases) {
    if (one.kind === 'literal' && isScalar(one.value)) scalars.set(scalarKey(one.value), one)
    else others.push(one)
  }
  return { scalars, others }
}
