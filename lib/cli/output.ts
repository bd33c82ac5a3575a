/** Writing: text to standard output as fast as its reader takes it, all else to standard error. */
import { once } from 'node:events'
import type { Result } from '../index.js'

let broken = false // the reader of standard output has gone (`| head`)

/** Must run before anything is written: a reader that leaves is no error. */
export function watchOutput(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
      if (stream === process.stdout) broken = true
    })
  }
}

/** Whether standard output still has a reader. */
export function hasReader(): boolean {
  return !broken
}

/** Resolves when the text is on its way. */
export async function print(text: string): Promise<void> {
  if (broken || process.stdout.write(text)) return
  await Promise.race([once(process.stdout, 'drain'), once(process.stdout, 'close')]).catch(() => {})
}

export async function printJson(value: unknown): Promise<void> {
  const plain = (_: string, item: unknown) => {
    if (typeof item !== 'bigint') return item
    return Number.isSafeInteger(Number(item)) ? Number(item) : item.toString()
  }
  await print(`${JSON.stringify(value, plain, 2)}\n`)
}

export function note(line: string): void {
  process.stderr.write(`${line}\n`)
}

const units = ['bytes', 'KB', 'MB', 'GB', 'TB']

/** "1.2 GB": powers of 1000. */
export function bytes(count: number): string {
  let value = count
  let unit = 0
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`
}

/** Text of a file that nobody vouches for: no control character reaches the terminal. */
export function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    if (character === '\n') return '\\n'
    return `\\u{${(character.codePointAt(0) as number).toString(16)}}`
  })
}

/** "12 prompt tokens at 310.0 tokens/s; 64 tokens at 1520.3 tokens/s (length)" */
export function timingsLine({ usage, timings, finishReason }: Result): string {
  const rate = (perSecond: number) => (perSecond > 0 ? ` at ${perSecond.toFixed(1)} tokens/s` : '')
  const cached = usage.cachedTokens > 0 ? ` (${usage.cachedTokens} cached)` : ''
  return (
    `${usage.promptTokens} prompt tokens${cached}${rate(timings.prefillTokensPerSecond)}; ` +
    `${usage.completionTokens} tokens${rate(timings.decodeTokensPerSecond)} (${finishReason})`
  )
}
