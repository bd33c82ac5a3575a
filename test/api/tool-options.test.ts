/** What the options of tools take, and what answers are held to. */
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { prefixed } from '../../lib/tools/grammar.js'
import type { GenerateOptions } from '../../lib/types.js'
import { begin, call, fake, generate, say, settle, text, weather } from './support/tool-play.js'

vi.mock('../../lib/native.js', () => ({ native: {}, nativePath: '' }))

beforeEach(() => begin())

describe('what tools takes', () => {
  test.each<[GenerateOptions, string]>([
    [{ tools: [] as never }, 'tools must be an object'],
    [{ tools: { 'a b': weather } }, 'a name has 1 to 64'],
    [{ tools: { a: 7 as never } }, 'tools.a: expected { description, schema, run }, got 7'],
    [{ tools: { a: { ...weather, description: 7 as never } } }, 'description must be a text'],
    [{ tools: { a: { ...weather, run: 'x' as never } } }, 'run must be a function'],
    [{ tools: { a: { ...weather, schema: 'x' as never } } }, 'must be a JSON Schema'],
    [{ tools: { a: { ...weather, schema: { type: 'str' } } } }, '#/type names a type'],
    [{ toolChoice: 'always' as never }, "toolChoice must be 'auto'"],
    [{ toolChoice: { name: 'x' } }, 'no tool "x"; tools: weather'],
    [{ tools: {}, toolChoice: 'required' }, 'needs tools'],
    [{ maxToolRounds: 0 }, 'maxToolRounds must be']
  ])('%j is refused', async (options, message) => {
    await expect(generate(options)).rejects.toThrow(message)
    expect(fake.requests).toEqual([])
  })

  test('only messages can be answered with tools', async () => {
    await expect(generate({}, 'text' as never)).rejects.toThrow('tools need messages')
    await expect(generate({}, [1, 2] as never)).rejects.toThrow('tools need messages')
  })

  test('a schema of a Standard Schema library is used, its own checks too', async () => {
    const seen: unknown[] = []
    const schema = {
      '~standard': {
        version: 1,
        vendor: 'mine',
        validate: (value: { city: string }) =>
          value.city === '' ? { issues: [{ message: 'no city' }] } : { value: { at: value.city } },
        jsonSchema: { input: () => ({ type: 'object', properties: { city: { type: 'string' } } }) }
      }
    }
    const run = (args: unknown) => seen.push(args)
    const generation = generate({ tools: { weather: { description: '', schema, run } } })
    await settle()
    expect(text()).toContain('"properties":{"city":{"type":"string"}}')
    await say(`${call('')}\n${call('Rome')}`)
    await say('Yes.')
    expect((await generation).toolCalls[0]?.error).toContain('no city')
    expect(seen).toEqual([{ at: 'Rome' }])
    const plain = { '~standard': { vendor: 'old', validate: () => ({ value: 1 }) } }
    await expect(
      generate({ tools: { a: { description: '', schema: plain, run } } })
    ).rejects.toMatchObject({ code: 'ERR_CRIA_UNSUPPORTED' })
  })
})

describe('answers are held to a grammar', () => {
  const grammar = () =>
    fake.grammars
      .at(-1)
      ?.replace(/^gbnf /, '')
      .split('\n')

  test('calls have one of arguments, and text is free', async () => {
    const generation = generate()
    await settle()
    expect(grammar()?.slice(0, 4)).toEqual([
      'root ::= " "? calls | text',
      'text ::= ([ \\t\\n]* [^{\\[ \\t\\n] .*)?',
      'call ::= call-0',
      'call-0 ::= "{\\"tool\\": \\"weather\\", \\"arguments\\": " t0-root "}"'
    ])
    expect(grammar()?.at(-1)).toBe('calls ::= call | "[" call (", " call){0,15} "]"')
    await say('Hm.')
    await generation
  })

  test('a required call is held to it, in the first round alone', async () => {
    const other = { ...weather, schema: { type: 'object', unevaluatedItems: 1 } }
    await expect(generate({ tools: { weather, other } })).rejects.toThrow('unevaluatedItems')
    const generation = generate({ tools: { a: weather, b: weather }, toolChoice: { name: 'b' } })
    await settle()
    expect(text().endsWith(' [/INST]')).toBe(true)
    expect(grammar()?.[0]).toBe('root ::= " "? calls')
    expect(grammar()?.join('\n')).toContain('\\"tool\\": \\"b\\"')
    expect(grammar()?.join('\n')).not.toContain('\\"tool\\": \\"a\\"')
    await say('{"tool": "b", "arguments": {"city": "Rome"}}')
    expect(grammar()?.[0]).toBe('root ::= " "? calls | text')
    expect(grammar()?.join('\n')).toContain('\\"tool\\": \\"a\\"')
    await say('Clear.')
    expect((await generation).toolCalls).toHaveLength(1)
  })

  test('with a schema, the answer is of the schema', async () => {
    const schema = {
      type: 'object',
      properties: { sky: { enum: ['clear', 'grey'] } },
      required: ['sky']
    }
    const generation = generate({ schema })
    await settle()
    expect(grammar()?.[0]).toBe('root ::= " "? (calls | a-root)')
    expect(grammar()?.join('\n')).toContain('clear')
    await say(call('Rome'))
    await say('{"sky": "clear"}')
    expect(await generation).toMatchObject({ object: { sky: 'clear' }, text: '{"sky": "clear"}' })
    const cut = generate({ schema })
    await say('{"sky": "cl', { reason: 'length' })
    expect(await cut).toMatchObject({ finishReason: 'length' })
    expect(await cut).not.toHaveProperty('object')
  })

  test('a schema that no grammar is made of holds to any object, and is validated afterwards', async () => {
    const schema = { type: 'object', properties: { n: { not: { multipleOf: 7 } } } }
    const generation = generate({ tools: { weather: { ...weather, schema } } })
    await say('{"tool": "weather", "arguments": {"n": 14}}')
    expect(grammar()?.[0]).toBe('root ::= " "? calls | text')
    await say('Hm.')
    expect((await generation).toolCalls[0]?.error).toContain('n is what it must not be')
  })

  test('names of rules are told from texts, sets and counts', () => {
    const gbnf = '# of a\nroot ::= "a \\" b" [a-z\\]c] x-y{1,2} | root # b\nx-y ::= "c"'
    expect(prefixed(gbnf, 'p-')).toBe(
      '# of a\np-root ::= "a \\" b" [a-z\\]c] p-x-y{1,2} | p-root # b\np-x-y ::= "c"'
    )
  })
})
