/** From a command line to an exit code: finds the command, runs it, and tells what went wrong. */
import { CriaError, nearestName, version } from '../index.js'
import { benchCommand } from './bench.js'
import { benchKernelsCommand } from './bench-kernels.js'
import { benchLoadCommand } from './bench-load.js'
import { chatCommand } from './chat.js'
import type { Command } from './command.js'
import { doctorCommand } from './doctor.js'
import { exitCodes, UsageError } from './exit.js'
import { parseFlags } from './flags.js'
import { commandHelp, helpFlag, programHelp } from './help.js'
import { inspectCommand } from './inspect.js'
import { hasReader, print, watchOutput } from './output.js'
import { perplexityCommand } from './perplexity.js'
import { runCommand } from './run.js'
import { tokenizeCommand } from './tokenize.js'

const commands = [
  runCommand,
  chatCommand,
  inspectCommand,
  tokenizeCommand,
  perplexityCommand,
  benchCommand,
  benchKernelsCommand,
  benchLoadCommand,
  doctorCommand
]

/** Runs one command line; never throws. */
export async function run(argv: readonly string[]): Promise<number> {
  watchOutput()
  try {
    return await dispatch(argv)
  } catch (error) {
    return report(error)
  }
}

async function dispatch([first, ...rest]: readonly string[]): Promise<number> {
  if (first === undefined) throw new UsageError('no command given; cria --help lists them')
  if (first === '--version' || first === '-v') {
    await print(`${version}\n`)
    return exitCodes.ok
  }
  if (first === '--help' || first === '-h' || first === 'help') {
    const [topic, ...more] = rest
    await print(topic === undefined ? programHelp(commands) : commandHelp(find(topic, more)[0]))
    return exitCodes.ok
  }
  const [command, words] = find(first, rest)
  const args = parseFlags(words, [...command.flags, helpFlag])
  if (args.has('help')) {
    await print(commandHelp(command))
    return exitCodes.ok
  }
  const extra = args.operands[command.maxOperands]
  if (extra !== undefined) {
    const longer = nearestName(`${command.name} ${extra}`, twoWords)
    const known = longer ? `; did you mean ${longer}?` : ''
    const hint = command.maxOperands > 0 ? '; put quotes around a text of several words' : known
    throw new UsageError(`${command.name} does not take ${JSON.stringify(extra)}${hint}`)
  }
  return command.run(args)
}

/** Commands whose name is two words. */
const twoWords = commands.map(({ name }) => name).filter((name) => name.includes(' '))

/** The command that a line begins with, and what comes after its name. */
function find(name: string, rest: readonly string[]): [Command, readonly string[]] {
  const long = commands.find((known) => known.name === `${name} ${rest[0]}`)
  if (long) return [long, rest.slice(1)]
  const command = commands.find((known) => known.name === name)
  if (command) return [command, rest]
  const nearest = nearestName(
    name,
    commands.map((known) => known.name)
  )
  const hint = nearest ? `did you mean ${nearest}?` : 'cria --help lists them'
  throw new UsageError(`no command ${JSON.stringify(name)}; ${hint}`)
}

/** One clear line, and the exit code that goes with it. */
function report(error: unknown): number {
  const known = error instanceof Error ? error : new Error(String(error))
  if (known.name === 'AbortError') return exitCodes.interrupted
  if (!hasReader() && (known as NodeJS.ErrnoException).code === 'EPIPE') return exitCodes.ok
  const code = known instanceof CriaError ? ` [${known.code}]` : ''
  process.stderr.write(`cria: ${known.message.replaceAll('\n', ' ')}${code}\n`)
  if (process.env.CRIA_DEBUG === '1') process.stderr.write(`${known.stack}\n`)
  const ownFault =
    known instanceof UsageError ||
    (known instanceof CriaError && known.code === 'ERR_CRIA_BAD_ARGUMENT')
  return ownFault ? exitCodes.usage : exitCodes.failure
}
