/** The values of the template engine, made and compared and written as Python does. */
import { Environment } from '@huggingface/jinja'

/** A value of the engine. Objects and namespaces hold a Map, lists an array of values. */
export interface Value {
  readonly type: string
  readonly value: unknown
  __bool__(): { readonly value: boolean }
  toString(): string
}

/** The engine keeps its classes to itself, so they are taken from values that it makes. */
const samples = new Environment()
const classOf = (sample: unknown) =>
  (samples.set(`v${samples.variables.size}`, sample) as object).constructor as new (
    value: unknown
  ) => Value
const [TextValue, BooleanValue, IntegerValue, ListValue, ObjectValue, UndefinedValue, Callable] = [
  classOf(''),
  classOf(true),
  classOf(1),
  classOf([]),
  classOf({}),
  classOf(undefined),
  classOf(() => null)
] as const

export const kinds = {
  text: (value: string) => new TextValue(value),
  truth: (value: boolean) => new BooleanValue(value),
  integer: (value: number) => new IntegerValue(value),
  list: (values: readonly Value[]) => new ListValue(values),
  map: (entries: Iterable<readonly [string, Value]>) => new ObjectValue(new Map(entries)),
  undefined: () => new UndefinedValue(undefined),
  callable: (call: (args: Value[]) => Value) => new Callable(call)
}

export function isKind({ type }: Value, ...names: readonly string[]): boolean {
  return names.includes(type)
}

/** `==` of Python: no text equals a number, lists and dicts are equal by what they hold. */
export function sameValue(a: Value, b: Value, depth = 0): boolean {
  const [left, right] = [a.value, b.value]
  if (left === right || depth > 100) return left === right
  if (Array.isArray(left) && Array.isArray(right)) {
    return (
      a.type === b.type &&
      left.length === right.length &&
      left.every((part: Value, i) => sameValue(part, right[i] as Value, depth + 1))
    )
  }
  if (left instanceof Map && right instanceof Map) {
    return (
      left.size === right.size &&
      [...left].every(([key, part]: [string, Value]) => {
        const other = right.get(key) as Value | undefined
        return other !== undefined && sameValue(part, other, depth + 1)
      })
    )
  }
  // True is 1 in Python.
  const number = (value: unknown) => (typeof value === 'boolean' ? Number(value) : value)
  return typeof left !== 'string' && left !== null && number(left) === number(right)
}

/** As `{{ value }}` writes it. */
export function pythonText(value: Value): string {
  return isKind(value, 'StringValue') ? (value.value as string) : repr(value)
}

/** Inside of a list or dict: with quotes. */
function repr(value: Value, depth = 0): string {
  if (depth > 100) throw new Error('a value is nested too deeply to be written')
  const within = (part: Value) => repr(part, depth + 1)
  switch (value.type) {
    case 'StringValue':
      return quoted(value.value as string)
    case 'BooleanValue':
      return value.value ? 'True' : 'False'
    case 'NullValue':
      return 'None'
    case 'UndefinedValue':
      return ''
    case 'ArrayValue':
      return `[${(value.value as Value[]).map(within).join(', ')}]`
    case 'TupleValue': {
      const parts = (value.value as Value[]).map(within)
      return parts.length === 1 ? `(${parts[0]},)` : `(${parts.join(', ')})`
    }
    default:
      if (!(value.value instanceof Map)) return value.toString()
  }
  const entries = [...(value.value as Map<string, Value>)]
  return `{${entries.map(([key, part]) => `${quoted(key)}: ${within(part)}`).join(', ')}}`
}

function quoted(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'"
  const names: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what Python escapes.
  const escaped = text.replace(/[\\'"\u0000-\u001f\u007f]/g, (character) => {
    if (character === '\\' || character === quote) return `\\${character}`
    if (character === '"' || character === "'") return character
    const code = character.charCodeAt(0).toString(16).padStart(2, '0')
    return names[character] ?? `\\x${code}`
  })
  return `${quote}${escaped}${quote}`
}
