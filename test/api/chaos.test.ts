/**
 * Everything at once, on the demo model: sessions and single requests of all kinds, with schemas,
 * tools, banned texts and guesses, cancelled, aborted, timed out, forked, saved, restored and disposed
 * at random. Seeded: CRIA_CHAOS_SEED and
 * CRIA_CHAOS_REQUESTS choose another run, and a longer one.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, expect, test } from 'vitest'
import type { GenerateOptions, Model, Result, Session } from '../../lib/index.js'
import { cria, demo } from './support/built.js'

const seed = Number(process.env.CRIA_CHAOS_SEED ?? 1)
const total = Number(process.env.CRIA_CHAOS_REQUESTS ?? 2000)
const folder = mkdtempSync(join(tmpdir(), 'cria-chaos-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** SplitMix32: small, seeded. */
function randomNumbers(state: number) {
  return () => {
    state = (state + 0x9e3779b9) | 0
    let z = Math.imul(state ^ (state >>> 16), 0x21f0aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
    return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32
  }
}

const random = randomNumbers(seed)
const upTo = (count: number) => Math.floor(random() * count)
const pick = <T>(values: readonly T[]): T => values[upTo(values.length)] as T

const prompts = ['Once upon a time', 'One day', 'In a small house', 'Far away, at night']
const tail = ' there lived a girl. She sang a song every day.'
const promptOf = (n: number) => pick(prompts) + tail.repeat(n % 4)

const notes = ['do', 're', 'mi'] as const
const note = { enum: notes }
const song = {
  type: 'object',
  properties: { song: { type: 'array', items: note, maxItems: 2 } },
  required: ['song'],
  additionalProperties: false
} as const
const singing = {
  type: 'object',
  properties: { note },
  required: ['note'],
  additionalProperties: false
} as const

/** What a request may end with, besides a result. */
const expected = new Set([
  'AbortError',
  'ERR_CRIA_TIMEOUT',
  'ERR_CRIA_QUEUE_FULL',
  'ERR_CRIA_CONTEXT_OVERFLOW',
  'ERR_CRIA_DISPOSED'
])
const nameOf = (error: unknown) => {
  const { code, name } = error as { code?: unknown; name: string }
  return typeof code === 'string' ? code : name
}

class Chaos {
  readonly ends = new Map<string, number>()
  readonly greedy = new Map<string, string>() // what prompts are continued with, always
  sessions: Session[] = []
  files = 0

  readonly model: Model

  constructor(model: Model) {
    this.model = model
  }

  count(end: string) {
    this.ends.set(end, (this.ends.get(end) ?? 0) + 1)
  }

  options(): GenerateOptions {
    const abort = new AbortController()
    if (upTo(5) === 0) setTimeout(() => abort.abort(), upTo(20))
    return {
      maxTokens: 1 + upTo(8),
      priority: upTo(5) - 2,
      cacheKey: upTo(8) === 0 ? 'tenant' : '',
      speculation: pick(['auto', 'auto', 'lookup', 'off']),
      ...(upTo(10) === 0 ? { banned: ['girl', 'day'] } : {}),
      ...(upTo(12) === 0 ? { timeout: 1 + upTo(30) } : {}),
      signal: abort.signal
    }
  }

  async one(n: number): Promise<void> {
    const greedy = upTo(2) === 0
    const prompt = promptOf(n)
    const given = { ...this.options(), temperature: greedy ? 0 : 0.8, seed: n }
    const generation = this.model.generate(prompt, given)
    if (upTo(8) === 0) setTimeout(() => generation.cancel(), upTo(15))
    if (upTo(10) === 0) {
      for await (const { tokens } of generation) if (tokens.length > 0) break
    }
    const result = await generation
    this.checkResult(result, given.maxTokens ?? 0)
    if (greedy && !given.banned) this.checkSame(prompt, result)
  }

  /** Whatever runs beside it, a prompt is continued with the same text. */
  checkSame(prompt: string, { text }: Result): void {
    const known = this.greedy.get(prompt) ?? ''
    const [short, long] = text.length < known.length ? [text, known] : [known, text]
    expect(long.startsWith(short)).toBe(true)
    this.greedy.set(prompt, long)
  }

  checkResult({ usage, tokens, finishReason }: Result, maxTokens: number): void {
    expect(usage.completionTokens).toBe(tokens.length)
    expect(tokens.length).toBeLessThanOrEqual(maxTokens)
    if (finishReason !== 'abort') expect(usage.cachedTokens).toBeLessThan(usage.promptTokens)
    this.count(finishReason)
  }

  /** Held to a schema: what is whole keeps it. */
  async held(n: number): Promise<void> {
    const given = { ...this.options(), maxTokens: 1 + upTo(24), schema: song, seed: n }
    const result = await this.model.generate(promptOf(n), given)
    this.checkResult(result, given.maxTokens)
    const { object, complete } = result
    expect(object !== undefined).toBe(complete === true)
    if (!object) return
    expect(object.song.length).toBeLessThanOrEqual(2)
    expect(object.song.every((note) => notes.some((known) => known === note))).toBe(true)
    this.count('object')
  }

  /** A call of a tool, which answers at once, late, never, or with an error. */
  async called(n: number): Promise<void> {
    const { banned: _, ...options } = this.options()
    const run = ({ note }: { note: string }, { signal }: { signal: AbortSignal }) => {
      expect(notes).toContain(note)
      this.count('called')
      if (n % 4 === 0) throw new Error('out of tune')
      if (n % 4 === 1) return note
      return sleep(n % 4 === 2 ? 5 : 60_000, note, { signal, ref: false })
    }
    const timeout = setTimeout(() => generation.cancel(), 2000)
    const tools = { sing: { description: 'Sings.', schema: singing, run } }
    const messages = [{ role: 'user' as const, content: 'Sing.' }]
    const given = { ...options, maxTokens: 80, tools, seed: n, maxToolRounds: 1 }
    const generation = this.model.generate(messages, { ...given, toolChoice: 'required' })
    try {
      const { finishReason } = await generation
      this.count(`tools ${finishReason}`)
    } finally {
      clearTimeout(timeout)
    }
  }

  async turn(): Promise<void> {
    const session = pick(this.sessions) ?? this.open()
    const { cacheKey: _, ...options } = this.options()
    const shift = upTo(2) === 0 ? ({ onOverflow: 'shift' } as const) : {}
    const given = { ...options, ...shift }
    this.checkResult(await session.send(promptOf(upTo(4)), given), given.maxTokens ?? 0)
  }

  open(): Session {
    const session = this.model.session({ system: 'Be brief.', cacheKey: pick(['', 'tenant']) })
    this.sessions.push(session)
    return session
  }

  async change(): Promise<void> {
    const session = pick(this.sessions)
    if (!session || this.sessions.length < 24) {
      this.open()
      return
    }
    switch (upTo(5)) {
      case 0:
        this.sessions.push(session.fork())
        this.count('forked')
        break
      case 1: {
        const file = join(folder, `${this.files++ % 50}.session`)
        await session.save(file)
        this.sessions.push(await this.model.restore(file))
        this.count('restored')
        break
      }
      case 2:
        session.reset()
        break
      default:
        session.dispose()
        this.sessions = this.sessions.filter((one) => one !== session)
    }
  }

  async act(n: number): Promise<void> {
    const what = upTo(10)
    try {
      if (what < 3) await this.one(n)
      else if (what < 4) await this.held(n)
      else if (what < 5) await this.called(n)
      else if (what < 8) await this.turn()
      else await this.change()
    } catch (error) {
      const name = nameOf(error)
      const busy = name === 'ERR_CRIA_BAD_ARGUMENT' && /still running/.test(String(error))
      if (!busy && !expected.has(name)) throw error
      this.count(busy ? 'busy' : name)
    }
  }
}

test(`${total} requests of all kinds end as they should`, { timeout: 600_000 }, async () => {
  const model = await cria.Model.load(demo, {
    draft: demo,
    contextSize: 384,
    sequences: 2,
    maxQueue: 24
  })
  const chaos = new Chaos(model)
  const running = new Set<Promise<void>>()
  let residentAtHalf = 0
  for (let n = 0; n < total; n++) {
    const action = chaos.act(n)
    running.add(action)
    action.finally(() => running.delete(action)).catch(() => {})
    // Mostly what the queue has room for; at times more.
    while (running.size >= (n % 500 < 400 ? 24 : 64)) await Promise.race(running)
    if (n === total >> 1) residentAtHalf = process.memoryUsage().rss
  }
  await Promise.all(running)
  if (process.env.CRIA_CHAOS_SEED) {
    const megabytes = (bytes: number) => Math.round(bytes / 2 ** 20)
    const [half, end] = [residentAtHalf, process.memoryUsage().rss].map(megabytes)
    console.log(chaos.ends, `resident: ${half} MB at half, ${end} MB at the end`)
  }
  // The model still serves, and the same text as at the beginning.
  const [[prompt, text]] = [...chaos.greedy] as [[string, string]]
  const last = await model.generate(prompt, { temperature: 0, maxTokens: 8, cacheKey: 'last' })
  expect(last.text.startsWith(text) || text.startsWith(last.text)).toBe(true)
  expect(process.memoryUsage().rss - residentAtHalf).toBeLessThan(256 * 2 ** 20)
  const wanted = [
    'abort',
    'AbortError',
    'forked',
    'restored',
    'ERR_CRIA_TIMEOUT',
    'object',
    'called'
  ]
  for (const end of [...wanted, 'ERR_CRIA_QUEUE_FULL']) {
    expect(chaos.ends.get(end) ?? 0, end).toBeGreaterThan(0)
  }
  expect(chaos.ends.get('length')).toBeGreaterThan(total / 8)

  // Disposed in the middle: all of it rejects, with one error.
  const late = prompts.map((one) => model.generate(one + tail).then(nameOf, nameOf))
  await sleep(5)
  await model.dispose()
  expect(new Set(await Promise.all(late))).toEqual(new Set(['ERR_CRIA_DISPOSED']))
  expect(readdirSync(folder).filter((name) => !name.endsWith('.session'))).toEqual([])
})
