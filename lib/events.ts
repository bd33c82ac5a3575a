/**
 * What a model tells `node:diagnostics_channel`: nothing is made, and next to nothing spent, while
 * nobody listens. A listener that throws is Node's affair (an uncaught exception), not the request's.
 */
import { channel } from 'node:diagnostics_channel'
import type { NativeEnd } from './native.js'
import type { ModelStats } from './stats.js'
import type { ModelInfo } from './types.js'

/** What a request is for. */
export type RequestKind = 'generate' | 'embed' | 'score'

/** Message of `cria:request:start`: the engine has the request. */
export interface RequestStart {
  readonly model: ModelInfo
  /** Tells the model's running requests apart. */
  readonly id: number
  readonly kind: RequestKind
}

/** Message of `cria:request:end`: the engine has done with it. */
export interface RequestEnd extends RequestStart {
  readonly reason: NativeEnd['reason']
  readonly usage: NativeEnd['usage']
  readonly timings: NativeEnd['timings']
  /** Where `reason` is `'error'`. */
  readonly error?: Error
}

/** Message of `cria:step`: news of one step, or of several where JavaScript was busy meanwhile. */
export interface StepNews {
  readonly model: ModelInfo
  /** Requests that the news are of. */
  readonly requests: number
  /** Tokens that they brought. */
  readonly tokens: number
  readonly stats: ModelStats
}

const startChannel = channel('cria:request:start')
const endChannel = channel('cria:request:end')
const stepChannel = channel('cria:step')

export function tellStart(message: RequestStart): void {
  if (startChannel.hasSubscribers) startChannel.publish(message)
}

export function tellEnd(
  request: RequestStart,
  end: Pick<NativeEnd, 'reason' | 'usage' | 'timings'>,
  error?: Error
): void {
  if (!endChannel.hasSubscribers) return
  const { reason, usage, timings } = end
  endChannel.publish({ ...request, reason, usage, timings, ...(error ? { error } : {}) })
}

export function tellStep(make: () => StepNews): void {
  if (stepChannel.hasSubscribers) stepChannel.publish(make())
}
