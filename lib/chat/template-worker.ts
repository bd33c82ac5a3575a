/**
 * The worker that renders Jinja templates of model files. A template is somebody else's program:
 * here it has a heap of its own, no environment, no files, and may be ended at any moment.
 */
import { parentPort } from 'node:worker_threads'
import { Template } from '@huggingface/jinja'
import type { NativeSegment } from '../native.js'
import type { Message } from '../types.js'
import { guardMessages, splitAtMarks } from './guard.js'
import type { ChatVocab } from './segments.js'

/** What the worker is asked. */
export interface TemplateJob {
  readonly template: string
  readonly messages: readonly Message[]
  readonly vocab: ChatVocab
}

/** What it answers; `stage` says what failed: the messages, the template as such, or its run. */
export type TemplateAnswer =
  | { readonly segments: NativeSegment[] }
  | { readonly stage: Stage; readonly message: string }

type Stage = 'guard' | 'parse' | 'render'

/** No context holds more text than this, in UTF-16 units. */
const maxOutput = 2 ** 24

let last: { source: string; template: Template } | undefined

function answer({ template: source, messages, vocab }: TemplateJob): TemplateAnswer {
  let stage: Stage = 'guard'
  try {
    const guarded = guardMessages(messages, vocab.controlPieces, source)
    stage = 'parse'
    if (last?.source !== source) last = { source, template: new Template(source) }
    stage = 'render'
    const text = last.template.render({
      messages: guarded.messages,
      bos_token: vocab.bos,
      eos_token: vocab.eos,
      add_generation_prompt: true,
      tools: null
    })
    if (typeof text !== 'string') return { stage, message: 'it gave no text' }
    if (text.length > maxOutput) return { stage, message: `it gave ${text.length} characters` }
    return { segments: splitAtMarks(text, guarded.mark) }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return { stage, message: message.slice(0, 300) }
  }
}

parentPort?.on('message', (job: TemplateJob) => parentPort?.postMessage(answer(job)))
parentPort?.postMessage('ready')
