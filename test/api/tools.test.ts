/** Tools, over a fake engine that plays the model's answers. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { Session } from '../../lib/session.js'
import type { Tool } from '../../lib/tools/types.js'
import type { Chunk, Message } from '../../lib/types.js'
import {
  begin,
  call,
  fake,
  generate,
  loaded,
  say,
  settle,
  text,
  tools,
  weather
} from './support/tool-play.js'

vi.mock('../../lib/native.js', () => ({ native: {}, nativePath: '' }))

beforeEach(() => begin())

test('a call is run, its result told, and the answer is the text', async () => {
  const generation = generate({ maxTokens: 100 })
  await settle()
  expect(text()).toContain('<<SYS>>\nYou can use tools.')
  expect(text()).toContain('"name":"weather","description":"The weather of a city."')
  await say(call('Rome'))
  expect(fake.requests).toHaveLength(2)
  expect(text()).toContain(`${call('Rome')} </s><s>[INST] Results of tools:
{"tool": "weather", "result": {"city":"Rome","sky":"clear"}} [/INST]`)
  expect(fake.last.maxTokens).toBe(95)
  await say('Clear skies.')
  const result = await generation
  expect(result.text).toBe('Clear skies.')
  expect(result.tokens).toHaveLength('Clear skies.'.length)
  expect(result.finishReason).toBe('stop')
  expect(result.usage).toEqual({ promptTokens: 20, cachedTokens: 8, completionTokens: 10 })
  expect(result.toolCalls).toEqual([
    {
      id: 'call00001',
      name: 'weather',
      arguments: { city: 'Rome' },
      result: { city: 'Rome', sky: 'clear' },
      milliseconds: expect.any(Number),
      round: 1
    }
  ])
  expect(result.messages?.map(({ role }) => role)).toEqual(['assistant', 'tool', 'assistant'])
})

test('chunks tell of calls and results, and the syntax of a call is no text', async () => {
  const generation = generate()
  const chunks: Chunk[] = []
  const reading = (async () => {
    for await (const chunk of generation) chunks.push(chunk)
  })()
  await say(` ${call('Rome')}`)
  await say('Clear.')
  await reading
  expect(chunks.map((chunk) => chunk.text).join('')).toBe('Clear.')
  const calls = chunks.filter(({ toolCall }) => toolCall)
  const results = chunks.filter(({ toolResult }) => toolResult)
  expect(calls).toMatchObject([{ round: 1, toolCall: { name: 'weather' } }])
  expect(results).toMatchObject([{ round: 1, toolResult: { result: { sky: 'clear' } } }])
  expect(chunks.indexOf(calls[0] as Chunk)).toBeLessThan(chunks.indexOf(results[0] as Chunk))
  expect(chunks.at(-1)).toMatchObject({ round: 2 })
})

test('an answer without a call streams as it comes', async () => {
  const generation = generate()
  await settle()
  const texts = generation.textStream[Symbol.asyncIterator]()
  fake.step(fake.last.id, 'It ')
  expect(await texts.next()).toEqual({ done: false, value: 'It ' })
  await say('is {fine}.')
  const result = await generation
  expect(result.text).toBe('It is {fine}.')
  expect(result.toolCalls).toEqual([])
  expect(result.messages).toEqual([{ role: 'assistant', content: 'It is {fine}.' }])
  expect(fake.requests).toHaveLength(1)
})

test('JSON that is no call is an answer', async () => {
  const generation = generate()
  await say('{"name": "Rome", "arguments": {"city": 1}}')
  expect((await generation).text).toBe('{"name": "Rome", "arguments": {"city": 1}}')
})

test('calls of one answer run at the same time; results keep the order of the calls', async () => {
  let running = 0
  let most = 0
  const run = async ({ city }: { city: string }) => {
    most = Math.max(most, ++running)
    await nextTurn()
    if (city === 'Rome') await nextTurn()
    running--
    return city
  }
  const generation = generate({ tools: { weather: { ...weather, run } } })
  await say(`[${call('Rome')}, ${call('Oslo')}]`)
  for (let i = 0; i < 5; i++) await nextTurn()
  expect(most).toBe(2)
  expect(text()).toContain(
    'Results of tools:\n{"tool": "weather", "result": "Rome"}\n{"tool": "weather", "result": "Oslo"}'
  )
  await say('Both.')
  expect((await generation).toolCalls.map(({ id }) => id)).toEqual(['call00001', 'call00002'])
})

describe('what goes wrong with a call is told to the model, and ends nothing', () => {
  test.each([
    ['{"tool": "weather", "arguments": {"city": "Ro', 'the call is no valid JSON'],
    ['{"tool": "wether", "arguments": {}}', 'there is no tool "wether"; the tools are: weather'],
    ['{"tool": "weather"}', 'the arguments do not fit: city is missing'],
    ['{"tool": "weather", "arguments": []}', 'the arguments are no JSON object'],
    [call('Rome', { days: 8 }), 'days must be at most 7'],
    [call('Rome', { hour: 8 }), 'hour is not allowed'],
    ['{"tool": "weather", "arguments": {"city": 7}}', 'city must be of type string']
  ])('%s', async (answer, error) => {
    const run = vi.fn()
    const generation = generate({ tools: { weather: { ...weather, run } } })
    await say(answer)
    expect(fake.requests).toHaveLength(2)
    expect(text()).toContain('"result": {"error":')
    await say('Sorry.')
    const result = await generation
    expect(result.text).toBe('Sorry.')
    expect(result.toolCalls[0]?.error).toContain(error)
    expect(result.toolCalls[0]).not.toHaveProperty('result')
    expect(run).not.toHaveBeenCalled()
  })

  const circle: { self?: unknown } = {}
  circle.self = circle
  test.each<[string, () => unknown, string]>([
    [
      'throws',
      () => {
        throw new Error('no network')
      },
      'no network'
    ],
    ['rejects', () => Promise.reject(new TypeError('no city')), 'no city'],
    [
      'throws no error',
      () => {
        throw null
      },
      'null'
    ],
    [
      'throws at length',
      () => {
        throw new Error('x'.repeat(5000))
      },
      `${'x'.repeat(1000)}…`
    ],
    ['gives no JSON', () => circle, 'circular'],
    ['gives a function', () => () => 1, 'a function, which is no JSON'],
    ['gives too much', () => 'x'.repeat(2000), 'the result has 2000 characters']
  ])('a tool that %s', async (_, run, error) => {
    const generation = generate({ tools: { weather: { ...weather, run } } })
    await say(`[${call('Rome')}, {"tool": "none"}]`)
    await say('Sorry.')
    const { toolCalls, text } = await generation
    expect(text).toBe('Sorry.')
    expect(toolCalls[0]?.error).toContain(error)
    expect(toolCalls[0]?.error?.length).toBeLessThanOrEqual(1001)
    expect(toolCalls[1]?.error).toContain('no tool "none"')
  })

  test('nothing to tell is null', async () => {
    const generation = generate({ tools: { weather: { ...weather, run: () => undefined } } })
    await say(call('Rome'))
    expect(text()).toContain('{"tool": "weather", "result": null}')
    await say('Done.')
    expect((await generation).toolCalls[0]).not.toHaveProperty('error')
  })
})

describe('ending early', () => {
  /** A tool that waits until its signal is aborted, and what it saw. */
  function patient() {
    const seen: { signal?: AbortSignal; callId?: string } = {}
    const run: Tool['run'] = (_, { signal, callId }) => {
      Object.assign(seen, { signal, callId })
      return new Promise(() => {})
    }
    return { seen, tools: { weather: { ...weather, run } } }
  }

  test('an aborted signal rejects at once while tools run, and reaches them', async () => {
    const abort = new AbortController()
    const { seen, tools } = patient()
    const session = new Session(loaded)
    const turn = session.send('And?', { tools, signal: abort.signal })
    await say(call('Rome'))
    expect(seen).toMatchObject({ callId: 'call00001', signal: { aborted: false } })
    abort.abort(new Error('enough'))
    await expect(turn).rejects.toThrow('enough')
    expect(seen.signal?.reason).toEqual(new Error('enough'))
    expect(session.messages).toEqual([])
    const next = session.send('Hello?')
    await nextTurn()
    expect(text()).toBe('<s>[INST] Hello? [/INST]')
    await say('Yes.')
    expect((await next).text).toBe('Yes.')
  })

  test('a signal that is aborted before rejects before anything runs', async () => {
    const reason = new Error('never')
    await expect(generate({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    expect(fake.requests).toEqual([])
  })

  test('an aborted signal while the model answers ends the request', async () => {
    const abort = new AbortController()
    const generation = generate({ signal: abort.signal })
    await settle()
    fake.step(fake.last.id, 'It is')
    abort.abort()
    await expect(generation).rejects.toMatchObject({ name: 'AbortError' })
    expect(fake.cancelled).toEqual([fake.last.id])
    await say('', { reason: 'abort' })
    expect(fake.requests).toHaveLength(1)
  })

  test('cancel while tools run keeps the calls, each with a result', async () => {
    const { seen, tools } = patient()
    const session = new Session(loaded)
    const turn = session.send('And?', { tools })
    await say(call('Rome'))
    turn.cancel()
    const result = await turn
    expect(seen.signal?.aborted).toBe(true)
    expect(result).toMatchObject({ finishReason: 'abort', text: '' })
    expect(result.toolCalls[0]?.error).toBe('the call was cancelled')
    expect(session.messages.map(({ role }) => role)).toEqual([
      'user',
      'assistant',
      'tool',
      'assistant'
    ])
  })

  test('cancel while the model answers keeps the text so far, and runs nothing', async () => {
    const generation = generate()
    await settle()
    fake.step(fake.last.id, 'It is')
    generation.cancel()
    await say('', { reason: 'abort' })
    expect(await generation).toMatchObject({ finishReason: 'abort', text: 'It is', toolCalls: [] })
  })

  test('a call that the token limit cut off is not run', async () => {
    const generation = generate()
    await say('{"tool": "weather", "arg', { reason: 'length' })
    expect(await generation).toMatchObject({ finishReason: 'length', text: '', toolCalls: [] })
  })

  test('the token limit is for all rounds together', async () => {
    const generation = generate({ maxTokens: 5 })
    await say(call('Rome'))
    expect(await generation).toMatchObject({ finishReason: 'length', text: '' })
    expect(fake.requests).toHaveLength(1)
  })

  test('so is the timeout', async () => {
    const { seen, tools } = patient()
    const generation = generate({ tools, timeout: 20 })
    await say(call('Rome'))
    await expect(generation).rejects.toMatchObject({ code: 'ERR_CRIA_TIMEOUT' })
    expect(seen.signal?.aborted).toBe(true)
  })

  test('after maxToolRounds no more are run', async () => {
    const run = vi.fn(() => 1)
    const generation = generate({ tools: { weather: { ...weather, run } }, maxToolRounds: 2 })
    for (let i = 0; i < 3; i++) await say(call('Rome'))
    const result = await generation
    expect(result).toMatchObject({ finishReason: 'tool-rounds', text: '' })
    expect(run).toHaveBeenCalledTimes(2)
    expect(result.messages).toHaveLength(5)
  })

  test('a failed round rejects, and a disposed model does', async () => {
    const failed = generate()
    await say('', { reason: 'error', code: 'ERR_CRIA_CONTEXT_OVERFLOW', message: 'too long' })
    await expect(failed).rejects.toMatchObject({ code: 'ERR_CRIA_CONTEXT_OVERFLOW' })
    let finish = (_: unknown) => {}
    const run = () =>
      new Promise((resolve) => {
        finish = resolve
      })
    const disposed = generate({ tools: { weather: { ...weather, run } } })
    await say(call('Rome'))
    await loaded.dispose()
    finish(1)
    await expect(disposed).rejects.toMatchObject({ code: 'ERR_CRIA_DISPOSED' })
  })
})

describe('toolChoice', () => {
  test("'required' holds the answer to calls, in the first round", async () => {
    const generation = generate({ toolChoice: 'required' })
    await settle()
    expect(fake.grammars.at(-1)).toMatch(/^gbnf root ::= " "\? calls\n/)
    await say(call('Rome'))
    expect(fake.grammars.at(-1)).toMatch(/^gbnf root ::= " "\? calls \| text\n/)
    await say('Clear.')
    expect((await generation).toolCalls[0]).toMatchObject({ arguments: { city: 'Rome' }, round: 1 })
  })

  test('a control token that begins calls is put before the answer', async () => {
    begin('{% if tools %}[TOOL_CALLS]{% endif %}')
    const prompt = [{ text: 'x', special: true }]
    Object.assign(loaded, { renderChat: () => ({ prompt, bos: false, trimStart: true }) })
    const generation = generate({ toolChoice: { name: 'weather' } })
    await settle()
    expect(fake.last.prompt).toEqual([...prompt, { text: '[TOOL_CALLS] ', special: true }])
    expect(fake.grammars.at(-1)).toContain('calls ::= "[" call (", " call){0,15} "]"')
    await say('[{"name": "weather", "arguments": {"city": "Rome"}}]')
    expect(fake.last.grammar).toBeUndefined() // the token itself could not be in a grammar
    await say('Clear.')
    expect((await generation).toolCalls[0]).toMatchObject({ result: { city: 'Rome' } })
  })

  test("'none' tells of the tools and takes calls for text", async () => {
    const generation = generate({ toolChoice: 'none' })
    await settle()
    expect(text()).toContain('"name":"weather"')
    await say(call('Rome'))
    expect(await generation).toMatchObject({ text: call('Rome'), toolCalls: [] })
  })
})

describe('a session', () => {
  test('keeps calls and results, and goes on with them', async () => {
    const session = new Session(loaded, { system: 'Be brief.' })
    const turn = session.send('And?', { tools })
    await settle()
    expect(text()).toContain('<<SYS>>\nBe brief.\n\nYou can use tools.')
    await say(call('Rome'))
    expect(fake.requests.map(({ sequence }) => sequence)).toEqual([1, 1])
    await say('Clear.')
    await turn
    const expected: Message[] = [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'And?' },
      {
        role: 'assistant',
        content: '',
        toolCalls: [{ id: 'call00001', name: 'weather', arguments: { city: 'Rome' } }]
      },
      {
        role: 'tool',
        content: '{"city":"Rome","sky":"clear"}',
        toolCallId: 'call00001',
        name: 'weather'
      },
      { role: 'assistant', content: 'Clear.' }
    ]
    expect(session.messages).toEqual(expected)
    const next = session.send('And Oslo?', { tools })
    await say(call('Oslo'))
    expect(session.messages).toHaveLength(5)
    await say('Clear, too.')
    expect((await next).toolCalls[0]?.id).toBe('call00002')
    // A turn without tools knows of the calls before.
    session.send('Thanks.')
    expect(text()).toContain('"result": {"city":"Oslo","sky":"clear"}} [/INST] Clear, too. </s>')
    expect(text()).not.toContain('You can use tools')
  })

  test('save, restore, fork and messages keep them', async () => {
    const session = new Session(loaded)
    const turn = session.send('And?', { tools })
    await say(call('Rome'))
    await say('Clear.')
    await turn
    await session.save('/a')
    const restored = await Session.restore(loaded, '/a')
    expect(restored.messages).toEqual(session.messages)
    expect(session.fork().messages).toEqual(session.messages)
    expect(new Session(loaded, { messages: session.messages }).messages).toEqual(session.messages)
  })

  test('a second send while tools run is refused; reset and dispose end them', async () => {
    let signal: AbortSignal | undefined
    const run: Tool['run'] = (_, context) => {
      signal = context.signal
      return new Promise(() => {})
    }
    const session = new Session(loaded)
    const turn = session.send('And?', { tools: { weather: { ...weather, run } } })
    await say(call('Rome'))
    await expect(session.send('Hello?')).rejects.toThrow('still running')
    session.reset()
    expect((await turn).finishReason).toBe('abort')
    expect(signal?.aborted).toBe(true)
    expect(session.messages).toEqual([])
  })
})

test('an aside may come before the calls of other syntaxes', async () => {
  const template = '{% if tools %}<tool_call>{% endif %}{% for m in messages %}{% endfor %}'
  begin(template)
  const rendered: unknown[] = []
  Object.assign(loaded, {
    renderChat: (messages: unknown, definitions: unknown) => {
      rendered.push({ messages, definitions })
      return { prompt: [], bos: false, trimStart: true }
    }
  })
  const generation = generate()
  await say(
    'Let me see.\n<tool_call>\n{"name": "weather", "arguments": {"city": "Rome"}}\n</tool_call>\n' +
      '<tool_call>\n{"name": "weather", "arguments": "{\\"city\\": \\"Oslo\\"}"}\n</tool_call>'
  )
  await say('Clear.')
  const result = await generation
  expect(result.text).toBe('Clear.')
  expect(result.toolCalls.map((one) => one.arguments)).toEqual([{ city: 'Rome' }, { city: 'Oslo' }])
  expect(result.messages?.[0]?.content).toBe('Let me see.\n')
  expect(rendered).toHaveLength(2)
  expect(rendered[1]).toMatchObject({
    messages: [{ role: 'user' }, { role: 'assistant' }, { role: 'tool' }, { role: 'tool' }],
    definitions: [{ name: 'weather' }]
  })
})
