/** Text given on the command line or on standard input. */
import { text } from 'node:stream/consumers'

/** `-` is standard input, without the line's end that a shell puts after it. */
export async function readInput(operand: string | undefined): Promise<string | undefined> {
  if (operand !== '-') return operand
  return (await text(process.stdin)).replace(/\r?\n$/, '')
}
