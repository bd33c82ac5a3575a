/** Which of a conversation's oldest turns are left out so that its prompt fits the context. */
import type { ChatFormat } from './chat/format.js'
import type { NativeTokenizer } from './native.js'
import type { Prompt } from './request.js'
import type { Message, ModelInfo } from './types.js'

/** What of a model makes prompts. */
export interface Renderer {
  readonly info: Pick<ModelInfo, 'contextSize'>
  readonly native: { readonly tokenizer: Pick<NativeTokenizer, 'encode'> }
  readonly renderChat: ChatFormat
}

/**
 * The prompt of a conversation without its oldest turns, where it does not fit with room for the
 * answer: `maxTokens`, a quarter of the context at most. Then as many turns go as leave twice that
 * room, so that the next turns find their beginning in the cache. The system message and the last
 * turn stay: where they alone are too long, the engine says so. `dropped` messages are left out in
 * any case.
 */
export async function fitContext(
  messages: readonly Message[],
  dropped: number,
  maxTokens: number,
  model: Renderer
): Promise<Prompt & { prompt: Int32Array; droppedMessages: number }> {
  const { contextSize } = model.info
  const room = Math.min(maxTokens || contextSize, Math.floor(contextSize / 4))
  const system = messages.slice(0, messages[0]?.role === 'system' ? 1 : 0)
  const render = async (from: number) => {
    const { prompt, bos, trimStart } = await model.renderChat([
      ...system,
      ...messages.slice(system.length + from)
    ])
    const ids = await model.native.tokenizer.encode(prompt, bos)
    return { prompt: ids, bos: false, trimStart, droppedMessages: from }
  }
  const whole = await render(dropped)
  if (whole.prompt.length <= contextSize - room) return whole

  // Each turn begins with what the user says. The prompts get shorter from one to the next.
  const starts = messages.flatMap(({ role }, i) =>
    role === 'user' && i - system.length > dropped ? [i - system.length] : []
  )
  if (starts.length === 0) return whole
  let first = 0
  let last = starts.length - 1
  let best: typeof whole | undefined
  while (first < last) {
    const middle = (first + last) >> 1
    const window = await render(starts[middle] as number)
    if (window.prompt.length <= contextSize - 2 * room) {
      best = window
      last = middle
    } else first = middle + 1
  }
  const start = starts[first] as number
  return best?.droppedMessages === start ? best : render(start)
}
