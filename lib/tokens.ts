/** Token ids as the native side takes them. */
import { describe } from './check.js'
import { badArgument } from './errors.js'

/** Checks that every id is one of the vocabulary's, 0 to `vocabSize` - 1. */
export function toIds(ids: unknown, vocabSize: number): Int32Array {
  if (typeof ids !== 'object' || ids === null || !(Symbol.iterator in ids)) {
    throw badArgument(`expected token ids, got ${describe(ids)}`)
  }
  const values: readonly unknown[] | Int32Array =
    Array.isArray(ids) || ids instanceof Int32Array ? ids : [...(ids as Iterable<unknown>)]
  const checked = new Int32Array(values.length)
  for (let index = 0; index < values.length; index++) {
    const id = values[index]
    if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id >= vocabSize) {
      throw badArgument(
        `token ${index}: expected an integer from 0 to ${vocabSize - 1}, got ${describe(id)}`
      )
    }
    checked[index] = id
  }
  return checked
}

/** Ids as a plain array; a loop, since `Array.from` takes several times as long for millions. */
export function toNumbers(ids: Int32Array): number[] {
  const numbers = new Array<number>(ids.length)
  for (let index = 0; index < ids.length; index++) numbers[index] = ids[index] as number
  return numbers
}
