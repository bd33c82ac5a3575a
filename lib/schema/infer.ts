/** The TypeScript type of a schema's values, as far as a type can tell. */
import type { StandardSchema } from './standard.js'

/** JSON Schema as a literal or as data: an object of keywords, or `true` or `false`. */
export type JsonSchema = boolean | { readonly [keyword: string]: unknown }

/** What the option `schema` takes. */
export type Schema = JsonSchema | StandardSchema

/**
 * The type of a schema's values. Of JSON Schema: `type`, `const`, `enum`, `properties`, `required`,
 * `additionalProperties`, `items`, `prefixItems`, `anyOf`, `oneOf`, `allOf` and `$ref` into `$defs`, eight
 * deep; `unknown` beyond, and for a schema whose keywords the compiler does not see (write it in place, or
 * `as const`). Of a library's schema, its output.
 */
export type InferSchema<S> = S extends {
  readonly '~standard': { readonly types?: infer Types }
}
  ? NonNullable<Types> extends { readonly output: infer Output }
    ? Output
    : unknown
  : Infer<S, S, Depth>

type Depth = [0, 0, 0, 0, 0, 0, 0, 0]
type Less<D extends readonly unknown[]> = D extends readonly [unknown, ...infer Rest] ? Rest : []

type Infer<S, Root, D extends readonly unknown[]> = D extends readonly []
  ? unknown
  : S extends boolean
    ? S extends false
      ? never
      : unknown
    : S extends { readonly const: infer Value }
      ? Value
      : S extends { readonly enum: readonly (infer Value)[] }
        ? Value
        : Typed<S, Root, D> & Combined<S, Root, D>

type Combined<S, Root, D extends readonly unknown[]> = (S extends {
  readonly $ref: infer Ref
}
  ? Referred<Ref, Root, D>
  : unknown) &
  (S extends { readonly anyOf: readonly (infer Branch)[] } ? Each<Branch, Root, D> : unknown) &
  (S extends { readonly oneOf: readonly (infer Branch)[] } ? Each<Branch, Root, D> : unknown) &
  (S extends { readonly allOf: infer Parts extends readonly unknown[] }
    ? Every<Parts, Root, D>
    : unknown)

type Each<Branch, Root, D extends readonly unknown[]> = Branch extends unknown
  ? Infer<Branch, Root, Less<D>>
  : never

type Every<
  Parts extends readonly unknown[],
  Root,
  D extends readonly unknown[]
> = Parts extends readonly [infer First, ...infer Rest]
  ? Infer<First, Root, Less<D>> & Every<Rest, Root, D>
  : unknown

type Referred<Ref, Root, D extends readonly unknown[]> = Ref extends '#'
  ? Infer<Root, Root, Less<D>>
  : Ref extends `#/${infer Map}/${infer Name}`
    ? Root extends { readonly [M in Map]: { readonly [N in Name]: infer S } }
      ? Infer<S, Root, Less<D>>
      : unknown
    : unknown

type Typed<S, Root, D extends readonly unknown[]> = S extends { readonly type: infer Type }
  ? Type extends readonly (infer One)[]
    ? OfType<One, S, Root, D>
    : OfType<Type, S, Root, D>
  : unknown

type OfType<Type, S, Root, D extends readonly unknown[]> = Type extends 'string'
  ? string
  : Type extends 'number' | 'integer'
    ? number
    : Type extends 'boolean'
      ? boolean
      : Type extends 'null'
        ? null
        : Type extends 'array'
          ? ArrayOf<S, Root, D>
          : Type extends 'object'
            ? ObjectOf<S, Root, D>
            : unknown

type ArrayOf<S, Root, D extends readonly unknown[]> = S extends {
  readonly prefixItems: infer Items extends readonly unknown[]
}
  ? Tuple<Items, S, Root, D>
  : S extends { readonly items: infer Item }
    ? Infer<Item, Root, Less<D>>[]
    : unknown[]

/** Items of a prefix may be left out, unless `minItems` asks for as many. */
type Tuple<Items extends readonly unknown[], S, Root, D extends readonly unknown[]> = S extends {
  readonly minItems: Items['length']
  readonly items: false
}
  ? { -readonly [I in keyof Items]: Infer<Items[I], Root, Less<D>> }
  : (
      | Infer<Items[number], Root, Less<D>>
      | (S extends { readonly items: infer Rest } ? Infer<Rest, Root, Less<D>> : unknown)
    )[]

type ObjectOf<S, Root, D extends readonly unknown[]> = S extends { readonly properties: infer P }
  ? Flat<
      {
        -readonly [K in keyof P as K extends Required<S> ? K : never]: Infer<P[K], Root, Less<D>>
      } & {
        -readonly [K in keyof P as K extends Required<S> ? never : K]?: Infer<P[K], Root, Less<D>>
      }
    >
  : S extends { readonly additionalProperties: infer Rest }
    ? Record<string, Infer<Rest, Root, Less<D>>>
    : Record<string, unknown>

type Required<S> = S extends { readonly required: readonly (infer Name)[] } ? Name : never

type Flat<T> = { [K in keyof T]: T[K] }
