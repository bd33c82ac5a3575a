/** Turns of a conversation, over a fake engine. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { beforeEach, expect, test, vi } from 'vitest'
import { LoadedModel } from '../../lib/loaded.js'
import type { NativeSegment } from '../../lib/native.js'
import { Session } from '../../lib/session.js'
import { FakeModel } from './support/fake.js'

vi.mock('../../lib/native.js', () => ({ native: {}, nativePath: '' }))

let fake: FakeModel
let loaded: LoadedModel

beforeEach(() => {
  fake = new FakeModel()
  loaded = new LoadedModel(fake, fake.router)
})

const answer = (text: string) => fake.step(fake.last.id, text, {})
const prompt = () => (fake.last.prompt as NativeSegment[]).map(({ text }) => text).join('')

test('each turn sends the whole conversation on the same sequence', async () => {
  const session = new Session(loaded, { system: 'Be brief.' })
  const first = session.send('one')
  expect(prompt()).toBe('<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\none [/INST]')
  expect(fake.last.bos).toBe(false)
  expect(fake.last.trimStart).toBe(true)
  answer('1')
  await first
  const second = session.send('two')
  expect(prompt()).toBe(
    '<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\none [/INST] 1 </s><s>[INST] two [/INST]'
  )
  answer('2')
  expect((await second).text).toBe('2')
  expect(fake.requests.map(({ sequence }) => sequence)).toEqual([1, 1])
  expect(session.messages).toEqual([
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'one' },
    { role: 'assistant', content: '1' },
    { role: 'user', content: 'two' },
    { role: 'assistant', content: '2' }
  ])
})

test('sessions have sequences of their own', () => {
  new Session(loaded).send('a')
  new Session(loaded).send('b')
  expect(fake.requests.map(({ sequence }) => sequence)).toEqual([1, 2])
})

test('messages is a copy', () => {
  const session = new Session(loaded, { system: 'x' })
  ;(session.messages as unknown[]).push('y')
  expect(session.messages).toEqual([{ role: 'system', content: 'x' }])
  expect(Object.isFrozen(session.messages[0])).toBe(true)
})

test('a conversation saved earlier goes on', async () => {
  const messages = [
    { role: 'user', content: 'one' },
    { role: 'assistant', content: '1' }
  ] as const
  const session = new Session(loaded, { system: 's', messages })
  session.send('two')
  expect(prompt()).toContain('one [/INST] 1 </s><s>[INST] two')
  expect(session.messages).toHaveLength(3)
  const system = { role: 'system', content: 's' } as const
  expect(() => new Session(loaded, { system: 's', messages: [system] })).toThrow('not both')
  expect(() => new Session(loaded, { messages: [{ role: 'usr' as 'user', content: '' }] })).toThrow(
    'role must be one of'
  )
})

test('a second send while one runs is refused, and the first goes on', async () => {
  const session = new Session(loaded)
  const first = session.send('one')
  await expect(session.send('two')).rejects.toMatchObject({ code: 'ERR_CRIA_BAD_ARGUMENT' })
  answer('1')
  expect((await first).text).toBe('1')
  session.send('two')
  expect(fake.requests).toHaveLength(2)
})

test('right after the result the session is ready and has the messages', async () => {
  const session = new Session(loaded)
  const seen = session.send('one').then(() => {
    expect(session.messages).toHaveLength(2)
    session.send('two')
  })
  answer('1')
  await seen
  expect(fake.requests).toHaveLength(2)
})

test('cancel keeps the partial answer', async () => {
  const session = new Session(loaded)
  const turn = session.send('one')
  fake.step(1, 'par')
  turn.cancel()
  fake.step(1, '', { reason: 'abort' })
  await turn
  expect(session.messages.at(-1)).toEqual({ role: 'assistant', content: 'par' })
})

test('an aborted signal leaves the conversation as it was; the next turn waits for the engine', async () => {
  const session = new Session(loaded)
  const abort = new AbortController()
  const turn = session.send('one', { signal: abort.signal })
  fake.step(1, 'par')
  abort.abort()
  await expect(turn).rejects.toMatchObject({ name: 'AbortError' })
  expect(session.messages).toEqual([])
  const next = session.send('two')
  await nextTurn()
  expect(fake.requests).toHaveLength(1)
  fake.step(1, '', { reason: 'abort' })
  await nextTurn()
  expect(prompt()).toBe('<s>[INST] two [/INST]')
  answer('2')
  await next
  expect(session.messages).toHaveLength(2)
})

test('an error leaves the conversation as it was, and the session usable', async () => {
  const session = new Session(loaded)
  const turn = session.send('one')
  fake.step(1, '', { reason: 'error', code: 'ERR_CRIA_CONTEXT_OVERFLOW', message: 'too long' })
  await expect(turn).rejects.toMatchObject({ code: 'ERR_CRIA_CONTEXT_OVERFLOW' })
  expect(session.messages).toEqual([])
  await expect(session.send(1 as unknown as string)).rejects.toThrow('expected the text')
  await expect(session.send('x', { topK: -1 })).rejects.toThrow('topK')
  session.send('two')
  expect(fake.requests).toHaveLength(2)
})

test('reset keeps the system message, and drops an answer that still runs', async () => {
  const session = new Session(loaded, { system: 's' })
  const turn = session.send('one')
  session.reset()
  expect(fake.cancelled).toEqual([1])
  fake.step(1, 'par', { reason: 'abort' })
  await turn
  expect(session.messages).toEqual([{ role: 'system', content: 's' }])
})

test('a fork goes on apart, from the turns that were complete', async () => {
  const session = new Session(loaded, { system: 's', cacheKey: 'k' })
  const first = session.send('one')
  answer('1')
  await first
  session.send('two')
  const fork = session.fork()
  expect(fake.forked).toEqual([[1, 2]])
  expect(fork.messages.map(({ content }) => content)).toEqual(['s', 'one', '1'])
  const other = fork.send('three')
  expect(fake.last).toMatchObject({ sequence: 2, cacheKey: 'k' })
  answer('3')
  await other
  expect(session.messages).toHaveLength(3)
  expect(fork.messages).toHaveLength(5)
  fork.dispose()
  expect(() => fork.fork()).toThrow('disposed')
})

test('save and restore keep the conversation', async () => {
  const session = new Session(loaded, { system: 's', cacheKey: 'k' })
  const turn = session.send('one')
  await expect(session.save('/a')).rejects.toThrow('still running')
  answer('1')
  await turn
  expect(await session.save('/a')).toMatchObject({ tokens: 1 })
  const restored = await Session.restore(loaded, '/a')
  expect(restored.messages).toEqual(session.messages)
  restored.send('two')
  expect(fake.last).toMatchObject({ sequence: 2, cacheKey: 'k' })
  for (const text of ['', '{', '{"messages":[{"role":"x"}]}', '{"mesages":[]}']) {
    fake.files.set('/b', text)
    await expect(Session.restore(loaded, '/b')).rejects.toMatchObject({
      code: 'ERR_CRIA_BAD_SESSION'
    })
  }
  await expect(session.save(undefined as unknown as string)).rejects.toThrow('expected a path')
  session.dispose()
  await expect(session.save('/a')).rejects.toMatchObject({ code: 'ERR_CRIA_DISPOSED' })
})

test('dispose gives the sequence back once, after the engine has done with it', async () => {
  const session = new Session(loaded)
  const turn = session.send('one')
  session.dispose()
  session.dispose()
  expect(fake.cancelled).toEqual([1])
  expect(fake.released).toEqual([])
  fake.step(1, '', { reason: 'abort' })
  await turn
  await nextTurn()
  expect(fake.released).toEqual([1])
  await expect(session.send('two')).rejects.toMatchObject({ code: 'ERR_CRIA_DISPOSED' })
  expect(() => session.reset()).toThrow('disposed')
})

test('dispose of an idle session is at once; using does it', () => {
  {
    using session = new Session(loaded)
    expect(session.messages).toEqual([])
  }
  expect(fake.released).toEqual([1])
})

test('a disposed model ends turns, sessions and generations', async () => {
  const session = new Session(loaded)
  const turn = session.send('one')
  const disposal = loaded.dispose()
  await expect(turn).rejects.toMatchObject({ code: 'ERR_CRIA_DISPOSED' })
  await disposal
  await loaded.dispose()
  expect(fake.disposals).toBe(1)
  await expect(session.send('two')).rejects.toMatchObject({ code: 'ERR_CRIA_DISPOSED' })
  session.dispose()
  expect(fake.released).toEqual([])
  expect(() => new Session(loaded)).toThrow('disposed')
})

test('logitBias is held against the vocabulary', async () => {
  const session = new Session(loaded)
  await expect(session.send('x', { logitBias: { 100: 1 } })).rejects.toThrow('100 tokens')
  expect(fake.requests).toEqual([])
})
