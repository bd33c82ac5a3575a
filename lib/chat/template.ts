/** Renders a model's Jinja template in a process apart, within a time and a memory budget. */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { badArgument, type CriaError, unsupported } from '../errors.js'
import type { NativeSegment } from '../native.js'
import type { TemplateAnswer, TemplateJob } from './template-process.js'

/** Real templates take a millisecond; the first one a few more. */
const defaultBudgetMs = 2000
/** The process ends a template itself; where it cannot, it is ended after this much longer. */
const graceMs = 3000
const heapMb = 64
const maxTemplate = 2 ** 20

const remedy = 'give the prompt as a text instead of messages'
const program = fileURLToPath(new URL('./template-process.js', import.meta.url))

/** One process and the jobs that wait for it; when idle it keeps nothing alive. */
export class TemplateRenderer {
  readonly #budgetMs: number
  #process: ChildProcess | undefined
  #tail: Promise<unknown> = Promise.resolve()

  constructor(budgetMs = defaultBudgetMs) {
    this.#budgetMs = budgetMs
  }

  /**
   * The conversation as the template writes it. Rejects with ERR_CRIA_UNSUPPORTED where the template
   * is no Jinja or breaks its budget, ERR_CRIA_BAD_ARGUMENT where it refuses the conversation.
   */
  render(job: Omit<TemplateJob, 'budgetMs'>): Promise<NativeSegment[]> {
    const rendered = this.#tail.then(() => this.#run({ ...job, budgetMs: this.#budgetMs }))
    this.#tail = rendered.catch(() => {})
    return rendered
  }

  /** Ends the process; a later render starts another. */
  close(): void {
    this.#process?.kill('SIGKILL')
    this.#process = undefined
  }

  async #run(job: TemplateJob): Promise<NativeSegment[]> {
    if (job.template.length > maxTemplate) {
      throw unsupported(`the chat template has more than ${maxTemplate} characters; ${remedy}`)
    }
    const { template, messages, tools = [], vocab, budgetMs } = job // nothing else goes over
    const process = await this.#ready()
    const answer = await this.#ask(process, { template, messages, tools, vocab, budgetMs })
    if ('segments' in answer) return answer.segments
    throw toError(answer, job.budgetMs)
  }

  /** The process, started where there is none; resolves when its imports are done. */
  async #ready(): Promise<ChildProcess> {
    if (this.#process?.connected) return this.#process
    const process = fork(program, [], {
      env: {},
      execArgv: [`--max-old-space-size=${heapMb}`],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      serialization: 'advanced'
    })
    process.on('error', () => {}) // told to the job that waits, if any
    this.#process = process
    await this.#next(process, () => {})
    return process
  }

  async #ask(process: ChildProcess, job: TemplateJob): Promise<TemplateAnswer> {
    const timer = setTimeout(() => this.close(), job.budgetMs + graceMs)
    try {
      return (await this.#next(process, () => process.send(job))) as TemplateAnswer
    } finally {
      clearTimeout(timer)
    }
  }

  /** The next message of the process, which keeps the event loop alive only meanwhile. */
  #next(process: ChildProcess, start: () => void): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const settle = () => {
        process.off('message', onMessage).off('error', onError).off('exit', onExit)
        process.unref()
        process.channel?.unref()
      }
      const onMessage = (message: unknown) => {
        settle()
        resolve(message)
      }
      const fail = (why: string) => {
        settle()
        if (this.#process === process) this.#process = undefined
        reject(unsupported(`the chat template of the model ${why}; ${remedy}`))
      }
      const onError = (error: Error) => fail(`cannot be rendered: ${error.message}`)
      const onExit = () => fail(`took more than ${heapMb} MB of memory, or too long`)
      process.on('message', onMessage).on('error', onError).on('exit', onExit)
      process.ref()
      process.channel?.ref()
      start()
    })
  }
}

type Failure = Exclude<TemplateAnswer, { segments: unknown }>

function toError({ stage, message }: Failure, budgetMs: number): CriaError {
  switch (stage) {
    case 'guard':
      return badArgument(message)
    case 'render':
      return badArgument(`the chat template of the model refused the conversation: ${message}`)
    case 'parse':
      return unsupported(`the chat template of the model is no valid Jinja: ${message}; ${remedy}`)
    case 'budget':
      return unsupported(`the chat template of the model took more than ${budgetMs} ms; ${remedy}`)
  }
}
