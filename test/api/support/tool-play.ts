/** Plays a model that answers with calls: scripted answers over a fake engine. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { LoadedModel } from '../../../lib/loaded.js'
import type { NativeSegment } from '../../../lib/native.js'
import { toOrder } from '../../../lib/prompt.js'
import type { Tool } from '../../../lib/tools/types.js'
import type { GenerateOptions, Message } from '../../../lib/types.js'
import { FakeModel } from './fake.js'

export let fake: FakeModel
export let loaded: LoadedModel

export function begin(template: string | null = null): void {
  fake = new FakeModel(template)
  loaded = new LoadedModel(fake, fake.router)
}

export const question: readonly Message[] = [{ role: 'user', content: 'And the weather?' }]

export const weather: Tool = {
  description: 'The weather of a city.',
  schema: {
    type: 'object',
    properties: { city: { type: 'string' }, days: { type: 'integer', maximum: 7 } },
    required: ['city'],
    additionalProperties: false
  },
  run: ({ city }: { city: string }) => ({ city, sky: 'clear' })
}
export const tools = { weather }

export function generate(options: GenerateOptions = {}, messages = question) {
  return loaded.submit(() => {
    const settings = loaded.settings({ tools, ...options })
    return { settings, sequence: 0, ...toOrder(messages, settings, loaded) }
  })
}

export const text = () =>
  (fake.last.prompt as NativeSegment[]).map((segment) => segment.text).join('')

/** Grammars are compiled and tools run off this turn of the loop. */
export async function settle() {
  for (let i = 0; i < 8; i++) await nextTurn()
}

/** Plays one answer of the model, piece by piece, and waits until tools that answer at once have. */
export async function say(answer: string, end: Parameters<FakeModel['step']>[2] = {}) {
  await settle()
  const { id } = fake.last
  for (const piece of answer.match(/[\s\S]{1,7}/g) ?? []) fake.step(id, piece)
  fake.step(id, '', end)
  await settle()
}

export const call = (city: string, more = {}) =>
  JSON.stringify({ tool: 'weather', arguments: { city, ...more } })
