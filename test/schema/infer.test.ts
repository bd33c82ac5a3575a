/** The types of values, from JSON Schema and from libraries: held by the compiler, not at run time. */
import { expectTypeOf, test } from 'vitest'
import type { Generation } from '../../lib/generation.js'
import type { Model } from '../../lib/model.js'
import type { InferSchema } from '../../lib/schema/infer.js'
import type { StandardSchema } from '../../lib/schema/standard.js'
import type { Session } from '../../lib/session.js'
import type { ObjectResult, Result } from '../../lib/types.js'

const infer = <const S>(_: S): InferSchema<S> => undefined as InferSchema<S>

test('scalars, constants and lists', () => {
  expectTypeOf(infer({ type: 'string' })).toEqualTypeOf<string>()
  expectTypeOf(infer({ type: 'integer', minimum: 3 })).toEqualTypeOf<number>()
  expectTypeOf(infer({ type: ['boolean', 'null'] })).toEqualTypeOf<boolean | null>()
  expectTypeOf(infer({ const: 'x' })).toEqualTypeOf<'x'>()
  expectTypeOf(infer({ enum: ['a', 1, null] })).toEqualTypeOf<'a' | 1 | null>()
  expectTypeOf(infer({})).toEqualTypeOf<unknown>()
  expectTypeOf(infer(true)).toEqualTypeOf<unknown>()
})

test('objects and arrays', () => {
  const person = infer({
    type: 'object',
    properties: {
      name: { type: 'string' },
      age: { type: 'integer' },
      tags: { type: 'array', items: { enum: ['x', 'y'] } }
    },
    required: ['name', 'tags']
  })
  expectTypeOf(person).toEqualTypeOf<{ name: string; tags: ('x' | 'y')[]; age?: number }>()
  expectTypeOf(infer({ type: 'object', additionalProperties: { type: 'number' } })).toEqualTypeOf<
    Record<string, number>
  >()
  expectTypeOf(
    infer({
      type: 'array',
      prefixItems: [{ type: 'string' }, { type: 'number' }],
      items: false,
      minItems: 2
    })
  ).toExtend<readonly [string, number]>()
})

test('branches and references', () => {
  const shape = infer({
    anyOf: [
      { type: 'object', properties: { kind: { const: 'a' } }, required: ['kind'] },
      { type: 'null' }
    ]
  })
  expectTypeOf(shape).toEqualTypeOf<{ kind: 'a' } | null>()
  expectTypeOf(
    infer({ $defs: { n: { type: 'number' } }, type: 'array', items: { $ref: '#/$defs/n' } })
  ).toEqualTypeOf<number[]>()
  const tree = infer({
    type: 'object',
    properties: { next: { $ref: '#' }, value: { type: 'number' } },
    required: ['value']
  })
  expectTypeOf(tree).toHaveProperty('value').toEqualTypeOf<number>()
  expectTypeOf(tree).toHaveProperty('next').toExtend<{ value: number } | undefined>()
})

test('a generation has it in its result', () => {
  const generate = undefined as unknown as Model['generate']
  const send = undefined as unknown as Session['send']
  const ofModel = () => generate('x', { schema: { type: 'string' } })
  const ofSession = () => send('x', { maxTokens: 3, schema: { type: 'number' } })
  const plain = () => generate('x', { maxTokens: 3 })
  const library = (schema: StandardSchema<Date>) => generate('x', { schema })
  expectTypeOf(ofModel).returns.toEqualTypeOf<Generation<ObjectResult<string>>>()
  expectTypeOf(ofSession).returns.toEqualTypeOf<Generation<ObjectResult<number>>>()
  expectTypeOf(plain).returns.toEqualTypeOf<Generation<Result>>()
  expectTypeOf(library).returns.toEqualTypeOf<Generation<ObjectResult<Date>>>()
})
