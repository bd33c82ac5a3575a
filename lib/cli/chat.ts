/** `cria chat`: a conversation, on a terminal or line by line. */
import { createInterface, type Interface } from 'node:readline'
import { CriaError, type GenerateOptions, type Generation, type Session } from '../index.js'
import type { Command } from './command.js'
import { exitCodes } from './exit.js'
import type { Arguments } from './flags.js'
import {
  draftFlag,
  generateFlags,
  loadFlags,
  quietFlag,
  toGenerateOptions,
  toLoadOptions
} from './groups.js'
import { loadModel } from './load.js'
import { hasReader, note, print, timingsLine } from './output.js'

export const chatCommand: Command = {
  name: 'chat',
  operands: '',
  maxOperands: 0,
  summary: 'talk with the model; where standard input is no terminal, each line is a turn',
  details: `/reset begins anew, /exit (or Ctrl-D) ends. Ctrl-C ends an answer, and between answers the
conversation.`,
  flags: [
    ...loadFlags,
    draftFlag,
    ...generateFlags,
    { name: 'system', kind: 'text', value: 'TEXT', help: 'what the model is told beforehand' },
    quietFlag
  ],
  run
}

async function run(args: Arguments): Promise<number> {
  toLoadOptions(args)
  const options = toGenerateOptions(args)
  await using model = await loadModel(args)
  using session = model.session({ system: args.text('system') })
  const onTerminal = process.stdin.isTTY === true
  const lines = createInterface({
    input: process.stdin,
    ...(onTerminal ? { output: process.stderr, terminal: true } : { terminal: false })
  })
  const conversation = new Conversation(session, options, lines, args.has('quiet'))
  if (onTerminal && !args.has('quiet')) note(`${model.info.name} · /reset · /exit`)
  return await conversation.run(onTerminal) // before the model goes
}

class Conversation {
  readonly #session: Session
  readonly #options: GenerateOptions
  readonly #lines: Interface
  readonly #quiet: boolean
  #answer: Generation | undefined

  constructor(session: Session, options: GenerateOptions, lines: Interface, quiet: boolean) {
    this.#session = session
    this.#options = options
    this.#lines = lines
    this.#quiet = quiet
  }

  async run(onTerminal: boolean): Promise<number> {
    let interrupted = false
    const interrupt = () => {
      if (this.#answer) return this.#answer.cancel()
      interrupted = !onTerminal
      this.#lines.close()
    }
    // On a terminal readline has the keyboard, and tells of Ctrl-C itself.
    this.#lines.on('SIGINT', interrupt)
    process.on('SIGINT', interrupt)
    try {
      if (onTerminal) this.#lines.prompt()
      for await (const line of this.#lines) {
        if (!(await this.#take(line.trim(), onTerminal))) break
        if (onTerminal) this.#lines.prompt()
      }
    } finally {
      process.off('SIGINT', interrupt)
      this.#lines.close()
    }
    return interrupted ? exitCodes.interrupted : exitCodes.ok
  }

  /** One line of input; false: the conversation is over. */
  async #take(line: string, onTerminal: boolean): Promise<boolean> {
    if (line === '/exit' || line === '/quit') return false
    if (line === '/reset') this.#session.reset()
    else if (line !== '') {
      try {
        await this.#say(line)
      } catch (error) {
        // A person can go on from here; a script must hear of it.
        if (!onTerminal || !(error instanceof CriaError)) throw error
        note(`cria: ${error.message}`)
      }
    }
    return hasReader()
  }

  async #say(line: string): Promise<void> {
    const answer = this.#session.send(line, this.#options)
    this.#answer = answer
    try {
      for await (const text of answer.textStream) {
        await print(text)
        if (!hasReader()) break
      }
      await print('\n')
      const result = await answer
      if (!this.#quiet) note(timingsLine(result))
    } finally {
      this.#answer = undefined
    }
  }
}
