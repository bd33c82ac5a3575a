/** Flags of a command: how they are declared, parsed and read. */
import { parseArgs } from 'node:util'
import { nearestName } from '../index.js'
import { UsageError } from './exit.js'

export interface Flag {
  /** Long name, without dashes. */
  readonly name: string
  readonly short?: string
  readonly kind: 'switch' | 'text' | 'number' | 'list'
  /** Placeholder of the value in the help; a switch has none. */
  readonly value?: string
  readonly help: string
}

/** A parsed command line. */
export class Arguments {
  readonly operands: readonly string[]
  readonly #values: ReadonlyMap<string, readonly string[]>

  constructor(operands: readonly string[], values: ReadonlyMap<string, readonly string[]>) {
    this.operands = operands
    this.#values = values
  }

  /** The last value of a flag. */
  text(name: string): string | undefined {
    return this.#values.get(name)?.at(-1)
  }

  /** All values of a flag that may come several times. */
  list(name: string): readonly string[] {
    return this.#values.get(name) ?? []
  }

  has(name: string): boolean {
    return this.#values.has(name)
  }

  number(name: string): number | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const value = text.trim() === '' ? Number.NaN : Number(text)
    if (Number.isNaN(value)) {
      throw new UsageError(`--${name} must be a number, got ${JSON.stringify(text)}`)
    }
    return value
  }
}

/** Throws UsageError for an unknown flag, naming the nearest, and for a value that lacks or is one
 * too many. */
export function parseFlags(argv: readonly string[], flags: readonly Flag[]): Arguments {
  const known = new Map(flags.map((flag) => [flag.name, flag]))
  const options = Object.fromEntries(
    flags.map(({ name, short, kind }) => {
      const type: 'boolean' | 'string' = kind === 'switch' ? 'boolean' : 'string'
      return [name, short ? { type, short } : { type }]
    })
  )
  // Not strict: its errors name no nearest flag, and it takes no negative number as a value.
  const { tokens } = parseArgs({
    args: [...argv],
    options,
    strict: false,
    allowPositionals: true,
    tokens: true
  })
  const operands: string[] = []
  const values = new Map<string, string[]>()
  for (const token of tokens) {
    if (token.kind === 'positional') operands.push(token.value)
    if (token.kind !== 'option') continue
    const flag = known.get(token.name)
    if (!flag) throw new UsageError(unknownFlag(token.rawName, flags))
    const given = values.get(flag.name) ?? []
    values.set(flag.name, [...given, flagValue(flag, token.rawName, token.value)])
  }
  return new Arguments(operands, values)
}

function flagValue(flag: Flag, rawName: string, value: string | undefined): string {
  if (flag.kind === 'switch') {
    if (value !== undefined) throw new UsageError(`${rawName} takes no value`)
    return ''
  }
  if (value === undefined) throw new UsageError(`${rawName} needs a value: ${flag.value}`)
  return value
}

function unknownFlag(rawName: string, flags: readonly Flag[]): string {
  const name = rawName.replace(/^-+/, '')
  const nearest = nearestName(
    name,
    flags.map((flag) => flag.name)
  )
  return nearest ? `no flag ${rawName}; did you mean --${nearest}?` : `no flag ${rawName}`
}
