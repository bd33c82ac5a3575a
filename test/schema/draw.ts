/** Seeded schemas and values for the tests. */

/** mulberry32. */
function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

/** Random values, and random schemas that say something of them. */
export class Draw {
  readonly random: () => number

  constructor(seed: number) {
    this.random = randomOf(seed)
  }

  int(from: number, to: number): number {
    return from + Math.floor(this.random() * (to - from + 1))
  }

  one<T>(list: readonly T[]): T {
    return list[this.int(0, list.length - 1)] as T
  }

  some<T>(list: readonly T[], chance = 0.5): T[] {
    return list.filter(() => this.random() < chance)
  }

  value(depth = 2): unknown {
    const kind = this.int(0, depth > 0 ? 6 : 4)
    if (kind === 0) return null
    if (kind === 1) return this.random() < 0.5
    if (kind === 2) return this.int(-15, 120)
    if (kind === 3) return this.one([0.5, -1.25, 2.75, 3.14, -0.1, 10.01])
    if (kind === 4) return this.one(['', 'a', 'b', 'ab', 'ba', 'aab', 'x"y', 'é😀', 'abc'])
    if (kind === 5) return Array.from({ length: this.int(0, 3) }, () => this.value(depth - 1))
    return Object.fromEntries(
      this.some(['a', 'b', 'ab', 'c']).map((key) => [key, this.value(depth - 1)])
    )
  }

  /** Keywords of one kind or of several, that may contradict one another. */
  schema(depth = 2): unknown {
    if (this.random() < 0.06) return this.random() < 0.8
    const schema: Record<string, unknown> = {}
    for (const add of this.some([0, 1, 2, 3, 4, 5], 0.4)) this.#add(schema, add, depth)
    return schema
  }

  #add(schema: Record<string, unknown>, what: number, depth: number): void {
    const maybe = (keyword: string, value: () => unknown, chance = 0.5) => {
      if (this.random() < chance) schema[keyword] = value()
    }
    const inner = () => (depth > 0 ? this.schema(depth - 1) : { type: this.one(types) })
    if (what === 0) maybe('type', () => this.some(types, 0.4).concat(this.one(types)), 0.9)
    if (what === 1) {
      maybe('minimum', () => this.one([-11, 0, 0.5, 3, -1.25]))
      maybe('maximum', () => this.one([2.75, 9, 100, 7.5]))
      maybe('exclusiveMaximum', () => this.one([10, 99, 0.5]), 0.3)
      maybe('multipleOf', () => this.one([1, 10, 0.1, 0.01]), 0.3)
    }
    if (what === 2) {
      maybe('minLength', () => this.int(0, 2))
      maybe('maxLength', () => this.int(1, 3))
      maybe('pattern', () => this.one(['^a', 'b$', '^[ab]*$', 'a.b?', '^(a|ab)+$', '^(?!aa)']))
    }
    if (what === 3) {
      maybe('items', inner)
      maybe('prefixItems', () => [inner(), inner()], 0.3)
      maybe('minItems', () => this.int(0, 2), 0.4)
      maybe('maxItems', () => this.int(1, 3), 0.4)
      maybe('contains', inner, 0.15)
    }
    if (what === 4) {
      maybe('properties', () => Object.fromEntries(this.some(names).map((name) => [name, inner()])))
      maybe('required', () => this.some(names, 0.3))
      maybe('additionalProperties', inner, 0.4)
      maybe('patternProperties', () => ({ [this.one(['^a', 'b'])]: inner() }), 0.25)
      maybe('propertyNames', () => ({ maxLength: 1 }), 0.1)
      maybe('minProperties', () => 1, 0.2)
      maybe('maxProperties', () => this.int(1, 2), 0.2)
    }
    if (what === 5 && depth > 0) {
      const part = this.one(['anyOf', 'allOf', 'oneOf', 'not', 'enum', 'const'])
      if (part === 'enum') schema.enum = Array.from({ length: this.int(1, 5) }, () => this.value(1))
      else if (part === 'const') schema.const = this.value(1)
      else schema[part] = part === 'not' ? inner() : [inner(), inner()]
    }
  }
}

const types = ['null', 'boolean', 'integer', 'number', 'string', 'array', 'object']
const names = ['a', 'b', 'ab']
