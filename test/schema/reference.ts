/** JSON Schema as its text says it: a plain validator, for the keywords that are supported. */

type Schema = boolean | { readonly [keyword: string]: unknown }

export function isValid(schema: unknown, value: unknown, root: unknown = schema): boolean {
  if (typeof schema === 'boolean') return schema
  const s = schema as Exclude<Schema, boolean>
  const holds = (part: unknown, of: unknown) => isValid(part, of, root)
  const has = (keyword: string) => Object.hasOwn(s, keyword)
  const list = (keyword: string) => (s[keyword] ?? []) as unknown[]
  if (has('type') && ![s.type].flat().some((type) => isType(type as string, value))) return false
  if (has('const') && !equal(s.const, value)) return false
  if (has('enum') && !list('enum').some((one) => equal(one, value))) return false
  if (!list('allOf').every((part) => holds(part, value))) return false
  if (has('anyOf') && !list('anyOf').some((part) => holds(part, value))) return false
  if (has('oneOf') && list('oneOf').filter((part) => holds(part, value)).length !== 1) return false
  if (has('not') && holds(s.not, value)) return false
  if (has('$ref') && !holds(find(root, s.$ref as string), value)) return false
  if (typeof value === 'number') return number(s, value)
  if (typeof value === 'string') return text(s, value)
  if (Array.isArray(value)) return array(s, value, holds)
  return typeof value === 'object' && value !== null
    ? object(s, value as Record<string, unknown>, holds)
    : true
}

type Keywords = { readonly [keyword: string]: unknown }
type Holds = (schema: unknown, value: unknown) => boolean

function isType(type: string, value: unknown): boolean {
  if (type === 'null') return value === null
  if (type === 'array') return Array.isArray(value)
  if (type === 'integer') return Number.isInteger(value)
  if (type === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value)
  return typeof value === type
}

function equal(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || !a || !b) return a === b
  if (Array.isArray(a) !== Array.isArray(b)) return false
  const [keys, others] = [Object.keys(a), Object.keys(b)]
  return (
    keys.length === others.length &&
    keys.every((key) => Object.hasOwn(b, key) && equal(Reflect.get(a, key), Reflect.get(b, key)))
  )
}

function find(root: unknown, ref: string): unknown {
  const anchored = /^#([^/]+)$/.exec(ref)
  if (anchored) {
    const places = Object.values((root as { $defs: Record<string, Keywords> }).$defs)
    return places.find((place) => place.$anchor === anchored[1])
  }
  let at = root
  for (const token of ref
    .replace(/^[^#]*#\/?/, '')
    .split('/')
    .filter(Boolean)) {
    at = (at as Keywords)[token.replaceAll('~1', '/').replaceAll('~0', '~')]
  }
  return at
}

const limit = (s: Keywords, keyword: string, none: number) => (s[keyword] ?? none) as number

function number(s: Keywords, value: number): boolean {
  const step = s.multipleOf as number | undefined
  const times = step === undefined ? 0 : value / step
  const multiple = Math.abs(times - Math.round(times)) <= 1e-12 * Math.max(1, Math.abs(times))
  return (
    value >= limit(s, 'minimum', -Infinity) &&
    value <= limit(s, 'maximum', Infinity) &&
    value > limit(s, 'exclusiveMinimum', -Infinity) &&
    value < limit(s, 'exclusiveMaximum', Infinity) &&
    multiple
  )
}

function text(s: Keywords, value: string): boolean {
  const length = [...value].length
  return (
    length >= limit(s, 'minLength', 0) &&
    length <= limit(s, 'maxLength', Infinity) &&
    (s.pattern === undefined || new RegExp(s.pattern as string, 'u').test(value))
  )
}

function array(s: Keywords, value: readonly unknown[], holds: Holds): boolean {
  const prefix = (s.prefixItems ?? []) as unknown[]
  const found = value.filter((item) => s.contains !== undefined && holds(s.contains, item)).length
  return (
    value.length >= limit(s, 'minItems', 0) &&
    value.length <= limit(s, 'maxItems', Infinity) &&
    (s.contains === undefined || found >= limit(s, 'minContains', 1)) &&
    value.every((item, i) => holds(i < prefix.length ? prefix[i] : (s.items ?? true), item))
  )
}

function object(s: Keywords, value: Record<string, unknown>, holds: Holds): boolean {
  const keys = Object.keys(value)
  const properties = (s.properties ?? {}) as Keywords
  const patterns = Object.entries((s.patternProperties ?? {}) as Keywords)
  return (
    keys.length >= limit(s, 'minProperties', 0) &&
    keys.length <= limit(s, 'maxProperties', Infinity) &&
    ((s.required ?? []) as string[]).every((name) => Object.hasOwn(value, name)) &&
    keys.every((key) => {
      const own = Object.hasOwn(properties, key)
      const matching = patterns.filter(([pattern]) => new RegExp(pattern, 'u').test(key))
      const rest = !own && matching.length === 0 ? (s.additionalProperties ?? true) : true
      return (
        (!own || holds(properties[key], value[key])) &&
        matching.every(([, of]) => holds(of, value[key])) &&
        holds(rest, value[key]) &&
        (s.propertyNames === undefined || holds(s.propertyNames, key))
      )
    })
  )
}
