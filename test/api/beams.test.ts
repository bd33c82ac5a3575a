import { expect, test } from 'vitest'
import { Model } from '../../lib/index.js'

const prompt = 'Once upon a time'
const load = () => Model.load(undefined, { sequences: 8 })

test('gives the likeliest text, and all others it found', async () => {
  await using model = await load()
  const options = { maxTokens: 24, logprobs: 0, lengthPenalty: 0 }
  const result = await model.generate(prompt, { ...options, beams: 4 })
  const { beams = [], text, tokens, logprobs = [], usage } = result
  expect(beams).toHaveLength(4)
  expect(beams[0]).toMatchObject({ text, tokens })
  expect(usage.completionTokens).toBe(tokens.length)
  const scores = beams.map(({ score }) => score)
  expect(scores).toEqual([...scores].sort((a, b) => b - a))
  expect(new Set(beams.map((beam) => beam.tokens.join())).size).toBe(4)

  // What the model itself says of the best text, and of the one that greedy choice ends up with.
  const sum = logprobs.reduce((total, { logprob }) => total + logprob, 0)
  expect(sum).toBeCloseTo(scores[0] as number, 3)
  const greedy = await model.generate(prompt, {
    maxTokens: 24,
    logprobs: 0,
    temperature: 0
  })
  const greedySum = (greedy.logprobs ?? []).reduce((total, { logprob }) => total + logprob, 0)
  expect(sum).toBeGreaterThanOrEqual(greedySum - 1e-6)
})

test('is the same again, alone and beside others', async () => {
  await using model = await load()
  const search = (n: number) => model.generate(`${prompt} ${n}`, { maxTokens: 16, beams: 3 })
  const alone: string[] = []
  for (let n = 0; n < 4; n++) alone.push((await search(n)).text)
  const others = [1, 2, 3].map((seed) => model.generate(prompt, { maxTokens: 30, seed }))
  const together = await Promise.all([0, 1, 2, 3].map(search))
  expect(together.map(({ text }) => text)).toEqual(alone)
  await Promise.all(others)
})

test('keeps to a schema, and streams its text at the end', async () => {
  await using model = await load()
  const schema = {
    type: 'object',
    properties: { age: { type: 'integer', minimum: 1, maximum: 9 } }
  }
  const generation = model.generate(prompt, {
    schema: { ...schema, required: ['age'], additionalProperties: false },
    beams: 4,
    maxTokens: 60
  })
  const texts: string[] = []
  for await (const { text } of generation) texts.push(text)
  const { object, beams = [], text } = await generation
  expect(texts.filter((one) => one !== '')).toEqual([text])
  expect((object as { age: number }).age).toBeGreaterThan(0)
  for (const beam of beams) {
    if (beam.complete && beam.finishReason === 'stop') JSON.parse(beam.text)
  }
})

test('a session goes on after a search', async () => {
  await using model = await load()
  const session = model.session()
  const first = await session.send('Hello', { beams: 2, maxTokens: 12 })
  const second = await session.send('And then?', { beams: 2, maxTokens: 12 })
  expect(session.messages.map(({ role }) => role)).toEqual([
    'user',
    'assistant',
    'user',
    'assistant'
  ])
  expect(first.text.length).toBeGreaterThan(0)
  expect(second.usage.cachedTokens).toBeGreaterThan(0)
})

test('is cancelled and disposed like any other', async () => {
  const model = await load()
  const generation = model.generate(prompt, { beams: 8 })
  setTimeout(() => generation.cancel(), 20)
  expect(['abort', 'stop', 'length']).toContain((await generation).finishReason)
  const late = model.generate(prompt, { beams: 8 }).then(
    () => 'done',
    (error: unknown) => (error as { code: string }).code
  )
  await model.dispose()
  expect(['ERR_CRIA_DISPOSED', 'done']).toContain(await late)
})

test.each([
  [{ beams: 1 }, /beams must be an integer from 2 to 16/],
  [{ beams: 17 }, /beams must be an integer from 2 to 16/],
  [{ beams: 4, temperature: 0.5 }, /beams and temperature exclude each other/],
  [{ beams: 4, mirostat: 2 }, /beams and mirostat exclude each other/],
  [{ beams: 4, banned: ['x'] }, /beams and banned exclude each other/],
  [{ lengthPenalty: 1 }, /lengthPenalty judges beams/],
  [{ beams: 4, lengthPenalty: 11 }, /lengthPenalty must be/]
])('refuses %o', async (options, message) => {
  await using model = await load()
  const refused = model.generate(prompt, options as object).then(() => {})
  await expect(refused).rejects.toMatchObject({ code: 'ERR_CRIA_BAD_ARGUMENT', message })
})

test('generateMany samples, and says so', async () => {
  await using model = await load()
  expect(() => model.generateMany(prompt, { beams: 4 })).toThrow(/result\.beams/)
})
