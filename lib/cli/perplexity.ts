/** `cria perplexity`: how well a model foretells a long text, window by window. */
import { readFile } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'
import { CriaError, type Model } from '../index.js'
import type { Command } from './command.js'
import { exitCodes, UsageError } from './exit.js'
import type { Arguments } from './flags.js'
import { loadFlags, quietFlag } from './groups.js'
import { whileInterruptible } from './interrupt.js'
import { loadModel } from './load.js'
import { note, print, printJson } from './output.js'

export const perplexityCommand: Command = {
  name: 'perplexity',
  operands: 'FILE',
  maxOperands: 1,
  summary: 'measure how well a model foretells a text; - reads standard input',
  details: `Goes over the text in windows as long as the context, each a stride further than the one before it.
Every token is scored once, with at least the context less a stride of tokens before it (but for the
first window's). The running figure goes to standard error, the last one to standard output.`,
  flags: [
    ...loadFlags,
    {
      name: 'stride',
      kind: 'number',
      value: 'N',
      help: 'tokens from window to window (default: half of the context)'
    },
    { name: 'json', kind: 'switch', help: 'print one JSON object instead' },
    quietFlag
  ],
  run
}

/** Tokens of the text that a window holds, and the first of them that it scores. */
interface Window {
  readonly begin: number
  readonly end: number
  readonly from: number
}

/** Windows of `size` tokens over `total`, each with `stride` new ones. */
export function windows(total: number, size: number, stride: number): Window[] {
  const all: Window[] = []
  for (let from = 0; from < total; from = all.at(-1)?.end ?? 0) {
    const end = Math.min(total, from === 0 ? size : from + stride)
    all.push({ begin: Math.max(0, end - size), end, from })
  }
  return all
}

/** Sums over the tokens scored so far. */
class Surprise {
  tokens = 0
  #sum = 0
  #squares = 0

  add(logprobs: Float32Array): void {
    for (const logprob of logprobs) {
      this.#sum -= logprob
      this.#squares += logprob * logprob
    }
    this.tokens += logprobs.length
  }

  get nats(): number {
    return this.#sum
  }

  get mean(): number {
    return this.#sum / this.tokens
  }

  get perplexity(): number {
    return Math.exp(this.mean)
  }

  /** Of the perplexity: the standard error of the mean, carried through the exponential. */
  get error(): number {
    const variance = this.#squares / this.tokens - this.mean ** 2
    return this.perplexity * Math.sqrt(Math.max(0, variance) / Math.max(1, this.tokens - 1))
  }
}

async function run(args: Arguments): Promise<number> {
  const file = args.operands[0]
  if (file === undefined) throw new UsageError('perplexity needs a FILE (or - for standard input)')
  const text = await readText(file)
  const model = await loadModel(args)
  try {
    const abort = new AbortController()
    await whileInterruptible(
      () => abort.abort(),
      () => measure(model, text, file, args, abort.signal)
    )
  } finally {
    await model.dispose()
  }
  return exitCodes.ok
}

async function readText(file: string): Promise<Buffer> {
  if (file === '-') return buffer(process.stdin)
  try {
    return await readFile(file)
  } catch (cause) {
    throw new CriaError('ERR_CRIA_FILE', `cannot read the text: ${(cause as Error).message}`, {
      cause
    })
  }
}

async function measure(
  model: Model,
  bytes: Buffer,
  file: string,
  args: Arguments,
  signal: AbortSignal
): Promise<void> {
  const { bosId } = model.tokenizer
  const ids = await model.tokenizer.encode(bytes.toString('utf8'), { bos: true })
  const bos = bosId !== null && ids[0] === bosId ? ids.splice(0, 1) : []
  const size = model.info.contextSize - bos.length
  if (size < 2) throw new UsageError(`--ctx-size must be ${2 + bos.length} or more`)
  // Something has to come before the first new token of a window.
  const stride = toStride(args.number('stride'), bos.length > 0 ? size : size - 1, size)
  if (ids.length + bos.length < 2) {
    throw new CriaError('ERR_CRIA_BAD_ARGUMENT', `${file}: expected a text of some tokens to score`)
  }
  const all = windows(ids.length, size, stride)
  const surprise = new Surprise()
  const start = performance.now()
  for (const [index, { begin, end, from }] of all.entries()) {
    // Without a beginning-of-text token, nothing comes before the first token that could foretell it.
    const first = Math.max(1, bos.length + from - begin)
    const { logprobs } = await model.score([...bos, ...ids.slice(begin, end)], {
      from: first,
      signal
    })
    surprise.add(logprobs)
    if (args.has('quiet') || all.length === 1) continue
    const running = `${surprise.perplexity.toFixed(4)} (${surprise.tokens} tokens)`
    note(`window ${index + 1} of ${all.length}: perplexity ${running}`)
  }
  const seconds = (performance.now() - start) / 1000
  const report = {
    model: model.info.name,
    file,
    tokens: surprise.tokens,
    windows: all.length,
    context: model.info.contextSize,
    stride,
    perplexity: surprise.perplexity,
    error: surprise.error,
    bitsPerByte: surprise.nats / Math.LN2 / bytes.length,
    seconds
  }
  if (args.has('json')) return printJson(report)
  await print(
    `perplexity ${report.perplexity.toFixed(4)} ± ${report.error.toFixed(4)}, ` +
      `${report.bitsPerByte.toFixed(4)} bits a byte (${report.tokens} tokens, ` +
      `context ${report.context}, stride ${stride})\n`
  )
  if (!args.has('quiet')) note(`${(report.tokens / seconds).toFixed(1)} tokens/s`)
}

function toStride(given: number | undefined, most: number, size: number): number {
  if (given === undefined) return Math.floor(size / 2)
  if (!Number.isInteger(given) || given < 1 || given > most) {
    throw new UsageError(`--stride must be an integer from 1 to ${most}, got ${given}`)
  }
  return given
}
