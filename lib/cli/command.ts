/** What a command is, and what ends one. */
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

/** Exit codes: also in the help. */
export const exitCodes = { ok: 0, failure: 1, usage: 2, interrupted: 130 } as const

/** A command line that makes no sense: exit code 2. */
export class UsageError extends Error {}
