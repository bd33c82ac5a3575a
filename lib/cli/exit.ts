/** How a command ends. */

/** Exit codes: also in the help. */
export const exitCodes = { ok: 0, failure: 1, usage: 2, interrupted: 130 } as const

/** A command line that makes no sense: exit code 2. */
export class UsageError extends Error {}
