/** Text held to a grammar or a regex: every sample is one of it, and nobody else notices. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Grammars } from '../../lib/grammar.js'
import type { GenerateOptions, Model, Result } from '../../lib/index.js'
import { checkGenerate } from '../../lib/options.js'
import { cria } from './support/built.js'
import { FakeModel } from './support/fake.js'

const json = String.raw`
# JSON with little white space
root   ::= object
value  ::= object | array | string | number | "true" | "false" | "null"
object ::= "{" (pair (", " pair){0,3})? "}"
pair   ::= string ": " value
array  ::= "[" (value (", " value){0,3})? "]"
string ::= "\"" ([^"\\\x00-\x1F] | "\\" ["\\/bfnrt]){0,20} "\""
number ::= "-"? ("0" | [1-9] [0-9]{0,5}) ("." [0-9]{1,3})?
`

let model: Model
beforeAll(async () => {
  model = await cria.Model.load(undefined, { threads: 2, contextSize: 512, sequences: 4 })
})
afterAll(() => model.dispose())

const story = 'Once upon a time, in the garden,'
const ask = (options: GenerateOptions) => model.generate(story, { maxTokens: 200, ...options })

describe('what comes is what was asked for', () => {
  test('JSON that parses, whatever the seed', async () => {
    const results = await Promise.all(
      Array.from({ length: 24 }, (_, seed) =>
        ask({ grammar: json, seed, temperature: 1.5, topK: 0 })
      )
    )
    let whole = 0
    for (const { text, finishReason, complete } of results) {
      expect(complete).toBe(finishReason === 'stop')
      if (!complete) continue
      expect(typeof JSON.parse(text)).toBe('object')
      whole++
    }
    expect(whole).toBeGreaterThan(5)
  })

  test.each([
    /(yes|no)/,
    /\d{4}-\d\d-\d\d/,
    /[A-Z][a-z]{2,8}( [a-z]{1,8}){3}\./u,
    /é+日?[^\n]{3}/,
    /^(?:one|two|three){2}$/
  ])('a text that matches %s', async (regex) => {
    const whole = new RegExp(`^(?:${regex.source})$`, 'u')
    const runs = [0, 1, 2, 3].map((seed) => ask({ regex, seed, temperature: 2, topK: 0, minP: 0 }))
    for (const { text, complete, finishReason } of await Promise.all(runs)) {
      expect(complete).toBe(true)
      expect(finishReason).toBe('stop')
      expect(text).toMatch(whole)
    }
  })

  test('random regexes, as the engine of JavaScript reads them', async () => {
    const atom = fc.constantFrom('a', 'bc', 'é', '[a-c]', '[^a-z]', '\\d', '\\w', '.', ' ', '\\.')
    const { regex } = fc.letrec<{ regex: string }>((tie) => ({
      regex: fc.oneof(
        { maxDepth: 3, withCrossShrink: true },
        atom,
        fc.tuple(tie('regex'), tie('regex')).map(([a, b]) => a + b),
        fc.tuple(tie('regex'), tie('regex')).map(([a, b]) => `(?:${a}|${b})`),
        fc
          .tuple(tie('regex'), fc.constantFrom('?', '{2}', '{0,3}', '{1,2}'))
          .map(([a, q]) => `(${a})${q}`)
      )
    }))
    await fc.assert(
      fc.asyncProperty(regex, fc.nat(), async (source, seed) => {
        const { text, complete } = await ask({ regex: source, seed, temperature: 2, topK: 0 })
        expect(complete).toBe(true)
        expect(text).toMatch(new RegExp(`^(?:${source})$`, 'u'))
      }),
      { numRuns: 40 }
    )
  })

  test('ends as soon as nothing may follow', async () => {
    const { text, tokens, finishReason, usage } = await ask({ regex: 'abc' })
    expect(text).toBe('abc')
    expect(finishReason).toBe('stop')
    expect(usage.completionTokens).toBe(tokens.length)
    expect(tokens.length).toBeLessThanOrEqual(3)
  })

  test('says that it was cut off', async () => {
    const { text, finishReason, complete } = await ask({ regex: '[a-z ]{100}', maxTokens: 3 })
    expect(finishReason).toBe('length')
    expect(complete).toBe(false)
    expect(text).toMatch(/^[a-z ]+$/)
    const optional = await ask({ regex: '[a-z ]+', maxTokens: 3, temperature: 0 })
    expect(optional.complete).toBe(true)
    const stopped = await ask({ regex: '[a-z]{9} end', stop: ' en' })
    expect(stopped).toMatchObject({ finishReason: 'stop', complete: false })
    expect(stopped.text).toHaveLength(9)
    expect(await ask({ maxTokens: 3 })).not.toHaveProperty('complete')
  })

  test('an answer in a chat begins without the space that words come with', async () => {
    const session = model.session()
    for (const seed of [1, 2, 3]) {
      const { text, complete } = await session.send('Tell me a story.', {
        regex: '[A-Z][a-z]+( [a-z]+){2}\\.',
        seed
      })
      expect(complete).toBe(true)
      expect(text).toMatch(/^[A-Z][a-z]+( [a-z]+){2}\.$/)
    }
    expect(session.messages).toHaveLength(6)
    const spaced = await model.generate([{ role: 'user', content: 'Hi' }], { regex: '  a' })
    expect(spaced.text).toBe('  a')
    session.dispose()
  })

  test('bans and penalties hold, and what they leave nothing of is an error', async () => {
    const ids = ['a', '<0x61>'].map((piece) => model.tokenizer.idOf(piece))
    const logitBias = Object.fromEntries(
      ids.flatMap((id) => (id === undefined ? [] : [[id, -Infinity]]))
    )
    await expect(ask({ regex: 'a', logitBias })).rejects.toMatchObject({
      code: 'ERR_CRIA_BAD_ARGUMENT'
    })
    expect((await ask({ regex: '(a|b)', logitBias })).text).toBe('b')
  })
})

describe('among others', () => {
  const plain = { seed: 5, maxTokens: 40 }
  const same = (a: Result, b: Result) => expect(a.tokens).toEqual(b.tokens)

  test('its neighbours draw the same tokens, and so does it', async () => {
    const alone = await ask(plain)
    const heldAlone = await ask({ ...plain, grammar: json, maxTokens: 60 })
    const others = Array.from({ length: 5 }, (_, seed) => ask({ grammar: json, seed }))
    const [beside, heldBeside] = await Promise.all([
      ask(plain),
      ask({ ...plain, grammar: json, maxTokens: 60 })
    ])
    await Promise.all(others)
    same(beside, alone)
    same(heldBeside, heldAlone)
    expect(heldBeside.text).toBe(heldAlone.text)
  })

  test('a cached prompt changes nothing', async () => {
    const options = { regex: '[a-z ]{30}\\.', seed: 8 }
    const prompt = `${story} there was a little dog who liked to play with his red ball all day long.`
    const key = { cacheKey: 'grammar test' }
    const first = await model.generate(prompt, { ...options, ...key, maxTokens: 60 })
    const second = await model.generate(prompt, { ...options, ...key, maxTokens: 60 })
    same(second, first)
  })

  test('one that waited for its reader goes on where it was', async () => {
    const options = { regex: '[a-z ]{300}\\.', seed: 4, maxTokens: 150, temperature: 1 }
    const whole = await ask(options)
    const slow = ask(options)
    let text = ''
    for await (const chunk of slow) {
      text += chunk.text
      await new Promise((done) => setTimeout(done, 2))
    }
    expect(text).toBe(whole.text)
  })

  test('those that are sent back for want of room keep to it', async () => {
    await using small = await cria.Model.load(undefined, { threads: 2, contextSize: 256 })
    const options = (seed: number) => ({ regex: '[a-z ,]{400}', seed, maxTokens: 120 })
    const alone = []
    for (const seed of [0, 1, 2, 3]) alone.push(await small.generate(story, options(seed)))
    const together = await Promise.all([0, 1, 2, 3].map((s) => small.generate(story, options(s))))
    for (const [i, result] of together.entries()) same(result, alone[i] as Result)
  })

  test('it can be aborted', async () => {
    const generation = ask({ regex: '[a-z ]*\\.', maxTokens: 400 })
    for await (const _ of generation) break
    expect((await generation).finishReason).toBe('abort')
    const abort = new AbortController()
    const aborted = ask({ regex: '[a-z ]*x', signal: abort.signal })
    abort.abort()
    await expect(aborted).rejects.toMatchObject({ name: 'AbortError' })
  })
})

describe('what is wrong is told before anything is generated', () => {
  test.each([
    [{ grammar: 'root ::= "a" |\n  nothing' }, 'grammar, line 2, column 3: rule nothing is used'],
    [{ grammar: 'root ::= root "a"' }, 'left recursion'],
    [{ grammar: 'root ::= <[12]>' }, 'references to tokens are not supported'],
    [{ grammar: `root ::= ${'('.repeat(100_000)}` }, 'deep'],
    [{ regex: '(?=a)b' }, 'regex, line 1, column 2'],
    [{ regex: /\bword/ }, 'expected an escape that is supported'],
    [{ regex: /a/i }, 'without flags other than u, got an object'],
    [{ grammar: 7 as unknown as string }, 'grammar must be a text'],
    [{ regex: 'a', grammar: 'root ::= "a"' }, 'exclude each other']
  ])('%o', async (options, message) => {
    const error = await ask(options).then(
      () => undefined,
      (reason: unknown) => reason
    )
    expect(error).toMatchObject({ code: 'ERR_CRIA_BAD_ARGUMENT' })
    expect((error as Error).message).toContain(message)
  })

  test('a text that can be read in too many ways ends with an error, not without its grammar', async () => {
    const grammar = 'root ::= "a" root "b" | "a" root "c" | "a" root "d" | "9"'
    const logitBias = Object.fromEntries(
      ['9', '<0x39>'].flatMap((piece) => {
        const id = model.tokenizer.idOf(piece)
        return id === undefined ? [] : [[id, -10_000]]
      })
    )
    const error = ask({ grammar, logitBias, temperature: 0 })
    await expect(error).rejects.toMatchObject({ code: 'ERR_CRIA_BAD_ARGUMENT' })
    await expect(error).rejects.toThrow('too ambiguous')
    expect((await ask({ regex: 'fine' })).text).toBe('fine')
  })
})

test('a grammar is compiled once; what failed is tried again', async () => {
  const native = new FakeModel()
  const grammars = new Grammars(native)
  const both = await Promise.all([1, 2].map(() => grammars.compile({ syntax: 'gbnf', text: 'a' })))
  expect(both[0]).toBe(both[1])
  await grammars.compile({ syntax: 'regex', text: 'a' })
  expect(native.grammars).toEqual(['gbnf a', 'regex a'])
  for (const _ of [1, 2]) {
    await expect(grammars.compile({ syntax: 'gbnf', text: 'wrong' })).rejects.toMatchObject({
      code: 'ERR_CRIA_BAD_ARGUMENT'
    })
  }
  expect(native.grammars).toHaveLength(4)
  for (let i = 0; i < 40; i++) await grammars.compile({ syntax: 'gbnf', text: `${i}` })
  await grammars.compile({ syntax: 'gbnf', text: 'a' })
  expect(native.grammars).toHaveLength(45)
})

test('options: one of them, as a text', () => {
  expect(checkGenerate({ grammar: 'g' }).grammar).toEqual({ syntax: 'gbnf', text: 'g' })
  expect(checkGenerate({ regex: /a+/u }).grammar).toEqual({ syntax: 'regex', text: 'a+' })
  expect(checkGenerate({}).grammar).toBeUndefined()
})
