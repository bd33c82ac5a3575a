/** The help texts, made of the tables that the parser uses. */
import { version } from '../index.js'
import type { Command } from './command.js'
import type { Flag } from './flags.js'

export const helpFlag: Flag = { name: 'help', short: 'h', kind: 'switch', help: 'show this help' }

export function programHelp(commands: readonly Command[]): string {
  const rows = commands.map(({ name, operands, summary }) => [
    `${name} ${operands}`.trim(),
    summary
  ])
  const width = Math.max(...rows.map(([head = '']) => head.length))
  return `cria ${version} · fast Llama inference in Node

usage: cria COMMAND [FLAGS]

${rows.map(([head = '', tail]) => `  ${head.padEnd(width)}  ${tail}`).join('\n')}

  cria help COMMAND shows the flags of one; cria --version the version.

Exit codes: 0 success, 1 failure, 2 wrong usage, 130 ended by Ctrl-C.
CRIA_CPU=scalar|avx2|avx_vnni|avx512 forces a kernel table, CRIA_DEBUG=1 shows stack traces.
`
}

export function commandHelp({ name, operands, summary, details, flags }: Command): string {
  const rows = [...flags, helpFlag].map((flag) => [head(flag), flag.help] as const)
  const width = Math.max(...rows.map(([left]) => left.length))
  return `usage: ${`cria ${name} [FLAGS] ${operands}`.trim()}

${summary}
${details ? `\n${details}\n` : ''}
${rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join('\n')}
`
}

function head({ name, short, value }: Flag): string {
  return `${short ? `-${short}, ` : '    '}--${name}${value ? ` ${value}` : ''}`
}
