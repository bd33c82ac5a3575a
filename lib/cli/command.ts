/** What a command is. */
import type { Arguments, Flag } from './flags.js'

export interface Command {
  readonly name: string
  /** What comes after the flags: "[PROMPT]"; empty: nothing. */
  readonly operands: string
  /** How many of them, at most. */
  readonly maxOperands: number
  readonly summary: string
  /** More lines for the command's own help. */
  readonly details?: string
  readonly flags: readonly Flag[]
  /** Gives the exit code. */
  run(args: Arguments): Promise<number>
}
