/** Runs the built program as a shell would. */
import { type ChildProcess, spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

const program = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
}

export function start(
  args: readonly string[],
  options: { input?: string; env?: object } = {}
): Running {
  const { CRIA_CPU: _, CRIA_DEBUG: __, ...env } = process.env
  const child = spawn(process.execPath, [program, ...args], { env: { ...env, ...options.env } })
  child.stdin.on('error', () => {}) // it need not read what it is given
  child.stdin.end(options.input ?? '')
  const output = Promise.all([
    text(child.stdout).catch(() => ''), // a test may close it
    text(child.stderr)
  ])
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', async (code, signal) => {
      const [stdout, stderr] = await output
      resolve({ code, signal, stdout, stderr })
    })
  })
  return { child, ended }
}

export const cria = (args: readonly string[], options?: { input?: string; env?: object }) =>
  start(args, options).ended
