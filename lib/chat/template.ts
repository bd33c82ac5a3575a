/** Renders a model's Jinja template in a worker thread, within a time and a memory budget. */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { badArgument, unsupported } from '../errors.js'
import type { NativeSegment } from '../native.js'
import type { TemplateAnswer, TemplateJob } from './template-worker.js'

/** Real templates take a millisecond; the first one a few more. */
const defaultBudgetMs = 2000
const heapMb = 64
const maxTemplate = 2 ** 20

const remedy = 'give the prompt as a text instead of messages'

/** One worker and the jobs that wait for it; the worker never keeps the process alive when idle. */
export class TemplateRenderer {
  readonly #budgetMs: number
  #worker: Worker | undefined
  #tail: Promise<unknown> = Promise.resolve()

  constructor(budgetMs = defaultBudgetMs) {
    this.#budgetMs = budgetMs
  }

  /**
   * The conversation as the template writes it. Rejects with ERR_CRIA_UNSUPPORTED where the template
   * is no Jinja or breaks its budget, ERR_CRIA_BAD_ARGUMENT where it refuses the conversation.
   */
  render(job: TemplateJob): Promise<NativeSegment[]> {
    const rendered = this.#tail.then(() => this.#run(job))
    this.#tail = rendered.catch(() => {})
    return rendered
  }

  /** Ends the worker; a later render starts another. */
  async close(): Promise<void> {
    await this.#worker?.terminate()
  }

  async #run(job: TemplateJob): Promise<NativeSegment[]> {
    if (job.template.length > maxTemplate) {
      throw unsupported(`the chat template has more than ${maxTemplate} characters; ${remedy}`)
    }
    this.#worker ??= await this.#spawn()
    const answer = await this.#ask(this.#worker, job)
    if ('segments' in answer) return answer.segments
    const { stage, message } = answer
    if (stage === 'guard') throw badArgument(message)
    if (stage === 'render') {
      throw badArgument(`the chat template of the model refused the conversation: ${message}`)
    }
    throw unsupported(`the chat template of the model is no valid Jinja: ${message}; ${remedy}`)
  }

  async #spawn(): Promise<Worker> {
    const worker = new Worker(new URL('./template-worker.js', import.meta.url), {
      env: {},
      argv: [],
      execArgv: [],
      stdin: false,
      stdout: true,
      stderr: true,
      resourceLimits: { maxOldGenerationSizeMb: heapMb, maxYoungGenerationSizeMb: 16 }
    })
    worker.on('error', () => {}) // told to the job that waits, if any
    worker.on('exit', () => {
      if (this.#worker === worker) this.#worker = undefined
    })
    await once(worker, 'message') // its imports are done: from here on the budget counts
    return worker
  }

  #ask(worker: Worker, job: TemplateJob): Promise<TemplateAnswer> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        settle()
        this.#worker = undefined
        void worker.terminate()
        reject(
          unsupported(
            `the chat template of the model took more than ${this.#budgetMs} ms; ${remedy}`
          )
        )
      }, this.#budgetMs)
      const onMessage = (answer: TemplateAnswer) => {
        settle()
        resolve(answer)
      }
      const onError = (error: Error & { code?: string }) => {
        settle()
        this.#worker = undefined
        const why =
          error.code === 'ERR_WORKER_OUT_OF_MEMORY'
            ? `took more than ${heapMb} MB of memory`
            : `failed: ${error.message}`
        reject(unsupported(`the chat template of the model ${why}; ${remedy}`))
      }
      const onExit = () => onError(new Error('its thread ended'))
      const settle = () => {
        clearTimeout(timer)
        worker.off('message', onMessage).off('error', onError).off('exit', onExit).unref()
      }
      worker.on('message', onMessage).on('error', onError).on('exit', onExit).ref()
      worker.postMessage(job)
    })
  }
}
