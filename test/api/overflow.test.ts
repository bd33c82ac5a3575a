/** Turns that are left out: which, and when. A token is a character here. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fitContext } from '../../lib/overflow.js'
import type { Message } from '../../lib/types.js'

const context = 100

/** A conversation's prompt is its contents, one after the other. */
const model = {
  info: { contextSize: context },
  renderChat: (messages: readonly Message[]) => ({
    prompt: messages.map(({ content }) => ({ text: content, special: false })),
    bos: false,
    trimStart: true as const
  }),
  native: {
    tokenizer: {
      encode: async (segments: readonly { text: string }[]) =>
        Int32Array.from([...segments.map(({ text }) => text).join('')], (c) => c.charCodeAt(0))
    }
  }
}

const textOf = (prompt: unknown) => String.fromCharCode(...(prompt as Int32Array))
const user = (content: string): Message => ({ role: 'user', content })
const assistant = (content: string): Message => ({ role: 'assistant', content })
const system: Message = { role: 'system', content: 'S' }
const turn = (letter: string, length: number) => [
  user(letter.repeat(length)),
  assistant(letter.toUpperCase().repeat(length))
]

test('what fits stays whole', async () => {
  const messages = [system, ...turn('a', 10), user('b'.repeat(54))]
  const { prompt, droppedMessages } = await fitContext(messages, 0, 0, model)
  expect(droppedMessages).toBe(0)
  expect(prompt).toHaveLength(75)
})

test('the oldest turns go, twice the room of the answer is left, the system message stays', async () => {
  const messages = [
    system,
    ...turn('a', 10),
    ...turn('b', 10),
    ...turn('c', 10),
    user('d'.repeat(20))
  ]
  const window = await fitContext(messages, 0, 0, model)
  expect(window.droppedMessages).toBe(4)
  expect(textOf(window.prompt)).toBe(`S${'c'.repeat(10)}${'C'.repeat(10)}${'d'.repeat(20)}`)
  const less = await fitContext(messages, 0, 5, model)
  expect(less.droppedMessages).toBe(0)
  const more = [...messages, assistant('D'.repeat(20)), user('e')]
  expect((await fitContext(more, 0, 5, model)).droppedMessages).toBe(2)
})

test('what was left out stays out while the rest fits', async () => {
  const messages = [system, ...turn('a', 10), ...turn('b', 10), user('c')]
  expect((await fitContext(messages, 2, 0, model)).droppedMessages).toBe(2)
})

test('the last turn is never left out', async () => {
  const long = [system, ...turn('a', 10), user('x'.repeat(500))]
  const window = await fitContext(long, 0, 0, model)
  expect(window.droppedMessages).toBe(2)
  expect(window.prompt).toHaveLength(501)
  expect((await fitContext([user('x'.repeat(500))], 0, 0, model)).droppedMessages).toBe(0)
})

test('any conversation: a suffix of turns that fits, and no shorter than it has to be', async () => {
  const lengths = fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 12 })
  await fc.assert(
    fc.asyncProperty(lengths, fc.integer({ min: 0, max: 60 }), async (sizes, maxTokens) => {
      const turns = sizes.flatMap((size) => turn('a', size))
      const messages = [system, ...turns, user('end')]
      const room = Math.min(maxTokens || context, context / 4)
      const size = (from: number) =>
        [system, ...messages.slice(1 + from)].reduce((sum, { content }) => sum + content.length, 0)
      const { prompt, droppedMessages } = await fitContext(messages, 0, maxTokens, model)
      expect(prompt).toHaveLength(size(droppedMessages))
      expect(messages[1 + droppedMessages]?.role).toBe('user')
      if (size(0) <= context - room) expect(droppedMessages).toBe(0)
      else {
        expect(size(droppedMessages)).toBeLessThanOrEqual(context - 2 * room)
        if (droppedMessages > 2)
          expect(size(droppedMessages - 2)).toBeGreaterThan(context - 2 * room)
      }
    }),
    { seed: 1 }
  )
})
