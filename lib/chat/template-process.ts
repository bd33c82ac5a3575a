/**
 * The process that renders Jinja templates of model files. A template is somebody else's program: it
 * may run for ever, or ask for more memory than there is, which ends a whole process (a thread's heap
 * limit does not contain one huge list). So it runs apart, without environment or streams, and with a
 * time and a memory budget of its own.
 */
import { createContext, runInContext } from 'node:vm'
import type { NativeSegment } from '../native.js'
import type { TemplateMessage } from '../tools/native.js'
import { guardMessages, splitAtMarks } from './guard.js'
import { ChatTemplate } from './jinja.js'
import type { ChatVocab } from './segments.js'

/** What the process is asked. */
export interface TemplateJob {
  readonly template: string
  readonly messages: readonly TemplateMessage[]
  /** As OpenAI's API has them; absent or empty: none. */
  readonly tools?: readonly object[]
  readonly vocab: ChatVocab
  readonly budgetMs: number
}

/** What it answers; `stage` says what failed: the messages, the template as such, or its run. */
export type TemplateAnswer =
  | { readonly segments: NativeSegment[] }
  | { readonly stage: Stage | 'budget'; readonly message: string }

type Stage = 'guard' | 'parse' | 'render'

/** No context holds more text than this, in UTF-16 units. */
const maxOutput = 2 ** 24

/** Runs `work`, and ends it after `ms`: only a script can be interrupted, so one calls it. */
function within<T>(ms: number, work: () => T): T {
  const context = createContext({ work })
  return runInContext('work()', context, { timeout: ms }) as T
}

function answer({ template, messages, tools = [], vocab, budgetMs }: TemplateJob): TemplateAnswer {
  let stage: Stage = 'guard'
  const render = (): TemplateAnswer => {
    const guarded = guardMessages(messages, vocab.controlPieces, template, tools)
    stage = 'parse'
    const parsed = new ChatTemplate(template)
    stage = 'render'
    const { text, tookLetters } = parsed.render({
      messages: guarded.messages,
      bos_token: vocab.bos,
      eos_token: vocab.eos,
      add_generation_prompt: true,
      tools: tools.length === 0 ? null : guarded.tools,
      documents: null
    })
    if (text.length > maxOutput) return { stage, message: `it gave ${text.length} characters` }
    const last = guarded.messages.at(-1)
    if (tookLetters && last?.role === 'user' && !text.includes(last.content.trim())) {
      return { stage, message: 'it takes a message for a list of parts, and left its text out' }
    }
    return { segments: splitAtMarks(text, guarded.mark) }
  }
  try {
    return within(budgetMs, render)
  } catch (error) {
    const { message, code } = error as Error & { code?: string }
    if (code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return { stage: 'budget', message: '' }
    return { stage, message: String(message).slice(0, 300) }
  }
}

process.on('message', (job: TemplateJob) => process.send?.(answer(job)))
process.send?.('ready')
