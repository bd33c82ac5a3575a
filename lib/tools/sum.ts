/** The figures of several rounds as those of one generation. */
import type { GenerationEnd } from '../generation.js'

type Figures = Pick<GenerationEnd, 'usage' | 'timings' | 'droppedMessages'>

export function addEnds(ends: readonly Figures[]): Figures {
  return ends.reduce((sum, end) => ({
    droppedMessages: Math.max(sum.droppedMessages, end.droppedMessages),
    usage: add(sum.usage, end.usage),
    timings: add(sum.timings, end.timings)
  }))
}

function add<T extends object>(a: T, b: T): T {
  const keys = Object.keys(a) as (keyof T & string)[]
  return Object.fromEntries(keys.map((key) => [key, Number(a[key]) + Number(b[key])])) as T
}
