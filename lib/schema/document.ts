/** A schema document: its places, and what `$ref` means at each. */
import { cannot, invalid } from './problem.js'
import type { Condition } from './regex.js'
import { isArray, isObject, type Json, type JsonObject, pointerToken } from './snapshot.js'

/** One place of the document. Places are the same where their values are the same object. */
export interface Place {
  readonly id: number
  readonly value: Json
  readonly parent: Place | undefined
  readonly token: string
}

/** Values that satisfy all of these schemas; of none: every value. Sorted, none twice. */
export type All = readonly Place[]

/** Keywords whose value is a schema, an array of schemas, or schemas by name. */
const schemaKeywords = [
  'additionalProperties',
  'additionalItems',
  'contains',
  'not',
  'propertyNames'
]
const listKeywords = ['allOf', 'anyOf', 'oneOf', 'prefixItems']
const mapKeywords = ['$defs', 'definitions', 'properties', 'patternProperties']

export class SchemaDocument {
  readonly root: Place
  /** What patterns say, by their source: the same one is parsed once, and is the same object. */
  readonly patterns = new Map<string, readonly Condition[]>()
  readonly #places = new Map<Json, Place>()
  readonly #anchors = new Map<Place, ReadonlyMap<string, Place>>()
  #ids = 0

  constructor(value: Json) {
    this.root = this.#place(value, undefined, '')
  }

  child(parent: Place, ...tokens: readonly (string | number)[]): Place {
    let place = parent
    for (const token of tokens) {
      const { value } = place
      const key = String(token)
      const next = isObject(value)
        ? value.get(key)
        : isArray(value)
          ? value[Number(key)]
          : undefined
      place = this.#place(next as Json, place, key)
    }
    return place
  }

  #place(value: Json, parent: Place | undefined, token: string): Place {
    const known = this.#places.get(value)
    if (known) return known
    this.#ids++
    const place = { id: this.#ids, value, parent, token }
    this.#places.set(value, place)
    return place
  }

  /** What a `$ref` at this place names. */
  resolve(from: Place, ref: string): Place {
    const path = `${pathOf(from)}/$ref`
    const hash = ref.indexOf('#')
    const uri = hash < 0 ? ref : ref.slice(0, hash)
    const resource = resourceOf(from)
    if (uri !== '' && uri !== idOf(resource.value)?.replace(/#$/, '')) {
      throw cannot(
        path,
        `${JSON.stringify(ref.slice(0, 80))} is outside the schema`,
        'nothing is fetched: put it under $defs and refer to it with #/$defs/…'
      )
    }
    const fragment = decode(hash < 0 ? '' : ref.slice(hash + 1), path)
    if (fragment === '') return resource
    if (!fragment.startsWith('/')) return this.#anchor(resource, fragment, path)
    let place = resource
    for (const escaped of fragment.slice(1).split('/')) {
      const token = escaped.replaceAll('~1', '/').replaceAll('~0', '~')
      const { value } = place
      const found =
        (isObject(value) && value.has(token)) ||
        (isArray(value) && /^\d+$/.test(token) && Number(token) < value.length)
      if (!found) throw invalid(path, `${JSON.stringify(ref.slice(0, 80))} names nothing`)
      place = this.child(place, token)
    }
    return place
  }

  #anchor(resource: Place, name: string, path: string): Place {
    let anchors = this.#anchors.get(resource)
    if (!anchors) {
      anchors = this.#findAnchors(resource)
      this.#anchors.set(resource, anchors)
    }
    const place = anchors.get(name)
    if (!place) throw invalid(path, `there is no $anchor ${JSON.stringify(name.slice(0, 80))}`)
    return place
  }

  #findAnchors(resource: Place): Map<string, Place> {
    const found = new Map<string, Place>()
    const queue = [resource]
    for (let place = queue.pop(); place; place = queue.pop()) {
      const { value } = place
      if (!isObject(value)) continue
      if (place !== resource && idOf(value) !== undefined) continue // another resource
      const anchor = value.get('$anchor')
      const id = value.get('$id')
      if (typeof anchor === 'string') found.set(anchor, place)
      else if (typeof id === 'string' && id.startsWith('#')) found.set(id.slice(1), place) // draft 7
      queue.push(...this.#subschemas(place, value))
    }
    return found
  }

  #subschemas(place: Place, value: JsonObject): Place[] {
    const found: Place[] = []
    for (const keyword of schemaKeywords) {
      if (value.has(keyword)) found.push(this.child(place, keyword))
    }
    for (const keyword of [...listKeywords, ...mapKeywords, 'items']) {
      const inner = value.get(keyword)
      if (isArray(inner)) inner.forEach((_, i) => void found.push(this.child(place, keyword, i)))
      else if (keyword === 'items' && inner !== undefined) found.push(this.child(place, keyword))
      else if (isObject(inner)) {
        for (const key of inner.keys()) found.push(this.child(place, keyword, key))
      }
    }
    return found
  }
}

const paths = new WeakMap<Place, string>()

/** As a JSON pointer, a URI fragment. */
export function pathOf(place: Place): string {
  const known = paths.get(place)
  if (known !== undefined) return known
  const path = place.parent ? `${pathOf(place.parent)}/${pointerToken(place.token)}` : '#'
  paths.set(place, path)
  return path
}

export function combine(...sets: readonly All[]): All {
  const byId = new Map<number, Place>()
  for (const set of sets) {
    for (const place of set) if (!saysNothing(place.value)) byId.set(place.id, place)
  }
  return [...byId.values()].sort((a, b) => a.id - b.id)
}

const saysNothing = (value: Json) => value === true || (isObject(value) && value.size === 0)

/** An `$id` that begins a resource of its own: not draft 7's way to spell an anchor. */
function idOf(value: Json): string | undefined {
  const id = isObject(value) ? value.get('$id') : undefined
  return typeof id === 'string' && !id.startsWith('#') ? id : undefined
}

function resourceOf(place: Place): Place {
  let at = place
  while (at.parent && idOf(at.value) === undefined) at = at.parent
  return at
}

function decode(fragment: string, path: string): string {
  try {
    return decodeURIComponent(fragment)
  } catch {
    throw invalid(path, 'a fragment with a broken % escape')
  }
}
