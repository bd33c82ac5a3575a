/** A caller's schema as plain data: read once, bounded, with nothing of the caller's in it. */
import { describe } from '../check.js'
import { invalid, type SchemaLimits, tooComplex } from './problem.js'

/** JSON. Objects are maps, so that no key is special. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject
export type JsonObject = ReadonlyMap<string, Json>

export function isObject(value: Json | undefined): value is JsonObject {
  return value instanceof Map
}

export function isArray(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value)
}

export function isScalar(value: Json): boolean {
  return typeof value !== 'object' || value === null
}

/** Scalars are the same where their keys are. */
export function scalarKey(value: Json): string {
  return typeof value === 'string' ? `s${value}` : String(value)
}

/** Equality of JSON values: members in any order. */
export function same(a: Json, b: Json): boolean {
  if (isScalar(a) || isScalar(b)) return a === b
  if (isArray(a) && isArray(b)) {
    return a.length === b.length && a.every((value, i) => same(value, b[i] as Json))
  }
  if (!isObject(a) || !isObject(b) || a.size !== b.size) return false
  return [...a].every(([key, value]) => b.has(key) && same(value, b.get(key) as Json))
}

/** A token of a JSON pointer, escaped. */
export function pointerToken(token: string): string {
  return token.replaceAll('~', '~0').replaceAll('/', '~1')
}

interface Frame {
  readonly source: object
  readonly key: string // under which it stands in the frame below
  readonly keys: readonly string[] | undefined // of an object
  readonly length: number
  readonly into: Json[] | Map<string, Json>
  next: number
}

/**
 * Copies without recursion. Each property is read once: a getter or a Proxy may give what it likes,
 * but never two different things. `undefined` properties count as absent, as JSON.stringify has it.
 */
export function snapshot(root: unknown, limits: SchemaLimits): Json {
  const frames: Frame[] = []
  const open = new Set<object>() // what encloses the value, to tell a circle
  const done = new Map<object, Json>()
  let left = limits.values
  const path = () => `#${frames.map(({ key }) => pointerToken(key)).join('/')}`
  const enter = (value: unknown, key: string): Json | undefined => {
    left--
    if (left < 0) throw tooComplex(path(), `it has more than ${limits.values} values`)
    if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
    if (typeof value === 'number' && Number.isFinite(value)) return value
    if (typeof value !== 'object') {
      throw invalid(path(), `${JSON.stringify(key)} is ${describe(value)}, which is not JSON`)
    }
    if (open.has(value)) throw invalid(path(), `${JSON.stringify(key)} contains itself; use $ref`)
    const copied = done.get(value)
    if (copied !== undefined) return copied
    if (frames.length >= limits.depth) {
      throw tooComplex(path(), `nested deeper than ${limits.depth}`)
    }
    frames.push(frameOf(value, key, left, path))
    open.add(value)
    return undefined
  }
  const first = enter(root, '')
  if (first !== undefined) return first
  for (;;) {
    const frame = frames.at(-1) as Frame
    if (frame.next === frame.length) {
      frames.pop()
      open.delete(frame.source)
      done.set(frame.source, frame.into)
      const below = frames.at(-1)
      if (!below) return frame.into
      put(below, frame.into)
      continue
    }
    const key = frame.keys ? (frame.keys[frame.next] as string) : String(frame.next)
    const value = Reflect.get(frame.source, key) as unknown
    if (value === undefined && frame.keys) {
      frame.next++
      continue
    }
    const copy = enter(value, key)
    if (copy !== undefined) put(frame, copy)
  }
}

function put(frame: Frame, value: Json): void {
  if (frame.into instanceof Map) frame.into.set(frame.keys?.[frame.next] as string, value)
  else frame.into.push(value)
  frame.next++
}

function frameOf(source: object, key: string, most: number, path: () => string): Frame {
  if (Array.isArray(source)) {
    const { length } = source
    if (length > most) {
      const what = `an array of ${length} values, where ${most} are left of those that it may have`
      throw tooComplex(`${path()}/${pointerToken(key)}`, what)
    }
    return { source, key, keys: undefined, length, into: [], next: 0 }
  }
  const proto: unknown = Object.getPrototypeOf(source)
  if (proto !== null && Object.getPrototypeOf(proto) !== null) {
    throw invalid(
      path(),
      `${JSON.stringify(key)} is an object of a class, where plain JSON is expected`
    )
  }
  const keys = Object.keys(source)
  return { source, key, keys, length: keys.length, into: new Map(), next: 0 }
}
