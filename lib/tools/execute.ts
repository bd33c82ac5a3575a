/** Runs the calls of one round, all at once. Whatever goes wrong with one is its result. */
import { describe } from '../check.js'
import type { DeclaredTool } from './declare.js'
import type { WrittenCall } from './syntax.js'
import type { ToolOutcome } from './types.js'

/** An error as the model reads it is no longer than this, in UTF-16 units. */
const maxError = 1000

/** A call with its id. */
export type NumberedCall = WrittenCall & { readonly id: string }

export interface Execution {
  readonly tools: ReadonlyMap<string, DeclaredTool>
  readonly signal: AbortSignal
  readonly round: number
  /** A result of more UTF-16 units is an error: the context could not take it. */
  readonly maxResult: number
}

/** An outcome with the text that the model is told of it. */
export interface Told {
  readonly outcome: ToolOutcome
  readonly text: string
}

/** Never rejects. Where the signal is aborted, calls that still run end with an error at once. */
export async function execute(call: NumberedCall, execution: Execution): Promise<Told> {
  const begun = performance.now()
  const { id, name, arguments: args } = call
  const about = { id, name, arguments: args, round: execution.round }
  const milliseconds = () => performance.now() - begun
  try {
    const result = await unlessAborted(execution.signal, () => perform(call, execution))
    const text = toText(result)
    if (text.length > execution.maxResult) {
      throw new Error(
        `the result has ${text.length} characters, more than the ${execution.maxResult} that are ` +
          'taken; ask for less'
      )
    }
    return { outcome: { ...about, result, milliseconds: milliseconds() }, text }
  } catch (thrown) {
    const error = shortened(messageOf(thrown))
    const text = JSON.stringify({ error })
    return { outcome: { ...about, error, milliseconds: milliseconds() }, text }
  }
}

async function perform(call: NumberedCall, { tools, signal }: Execution): Promise<unknown> {
  const tool = tools.get(call.name)
  if (call.problem !== undefined) throw new Error(call.problem)
  if (!tool) {
    const known = [...tools.keys()].join(', ') || 'none'
    throw new Error(`there is no tool ${describe(call.name)}; the tools are: ${known}`)
  }
  // A copy of its own: what a tool does to its arguments is not what the model said.
  const checked = await tool.check(structuredClone(call.arguments as Record<string, unknown>))
  if ('problem' in checked) throw new Error(`the arguments do not fit: ${checked.problem}`)
  signal.throwIfAborted()
  return await tool.run(checked.args, { signal, callId: call.id })
}

function unlessAborted<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(new Error('the call was cancelled'))
    if (signal.aborted) return abort()
    signal.addEventListener('abort', abort, { once: true })
    work()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', abort))
  })
}

/** A text as it is, anything else as JSON; throws what JSON cannot hold. */
function toText(result: unknown): string {
  if (typeof result === 'string') return result
  const text = JSON.stringify(result ?? null)
  if (text === undefined) throw new Error(`the tool gave ${describe(result)}, which is no JSON`)
  return text
}

function messageOf(thrown: unknown): string {
  try {
    const { message } = (thrown ?? {}) as { message?: unknown }
    return typeof message === 'string' && message !== '' ? message : String(thrown)
  } catch {
    return 'the tool failed'
  }
}

function shortened(text: string): string {
  return text.length > maxError ? `${text.slice(0, maxError)}…` : text
}
