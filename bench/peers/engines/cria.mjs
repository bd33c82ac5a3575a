/** Cria, through its public API, from dist/. */
import { spawnSync } from 'node:child_process'
import { closeSync, openSync, readSync } from 'node:fs'
import { roomFor, serve } from '../serve.mjs'

/** A small model may be faster on one thread, so each engine may stream with one, too. */
export function variants({ kind, threads }) {
  if (kind !== 'stream' || threads === 1) return [{ label: '' }]
  return [
    { label: `${threads} threads`, threads },
    { label: '1 thread', threads: 1 }
  ]
}

export async function measure(request) {
  if (request.kind === 'read') return read(request)
  const cria = await import('../../../dist/index.js')
  const kinds = { describe, pp: speed, tg: speed, stream, serve: talks, text, load }
  return kinds[request.kind](cria, request)
}

async function describe({ diagnose, version }) {
  const { cpu, machine } = diagnose()
  return {
    version: `${version} (${commit()})`,
    machine: { ...machine, kernels: cpu.selected?.variant || cpu.selected?.name },
    threads: cpu.threads
  }
}

/** The last commit that changed what computes; `+` where files differ from it. */
function commit() {
  const git = (...args) => {
    const options = { cwd: new URL('../../..', import.meta.url), encoding: 'utf8' }
    return spawnSync('git', [...args, '--', 'csrc', 'lib'], options).stdout?.trim()
  }
  const hash = git('log', '-1', '--format=%h')
  if (!hash) return 'no commit'
  return `${hash}${git('status', '--porcelain') ? '+' : ''}`
}

async function speed({ benchmark }, request) {
  const { kind, path, tokens, depth, kvType, threads, batchSize, repetitions } = request
  const { rows } = await benchmark(path, {
    prompt: kind === 'pp' ? [tokens] : [],
    generate: kind === 'tg' ? [tokens] : [],
    depths: [depth],
    kvType,
    threads,
    batchSize,
    repetitions
  })
  return { rates: rows[0].seconds.map((seconds) => tokens / seconds) }
}

/** Tokens per second of the async iterator, from the call to the end of the text. */
async function stream({ Model }, { path, threads, prompt, tokens, repetitions }) {
  const model = await Model.load(path, { threads })
  const rates = []
  for (let run = 0; run <= repetitions; run++) {
    const start = performance.now()
    let count = 0
    const generation = model.generate(prompt, { maxTokens: tokens, temperature: 0 })
    for await (const chunk of generation) count += chunk.tokens.length
    if (run > 0) rates.push((count * 1000) / (performance.now() - start))
  }
  await model.dispose()
  return { rates }
}

/** Conversations at once, through `model.generate`. */
async function talks({ Model }, { path, threads, load }) {
  const { targetOf } = await import('../../../dist/cli/load-target.js')
  const room = { contextSize: await roomFor(load), sequences: load.conversations }
  const model = await Model.load(path, { threads, ...room })
  await model.generate([1], { maxTokens: 2 }) // what only the first request pays
  const measured = await serve(targetOf(model), load, model.info.vocabSize)
  await model.dispose()
  return measured
}

/** A greedy continuation. The ids of the prompt are what all engines continue. */
async function text({ Model }, { path, threads, prompt, ids, tokens }) {
  const model = await Model.load(path, { threads })
  const given = ids ?? [...(await model.tokenizer.encode(prompt, { bos: true }))]
  const result = await model.generate(given, { maxTokens: tokens, temperature: 0 })
  await model.dispose()
  return { prompt: given, ids: [...result.tokens], text: result.text }
}

/** Seconds from the call of `Model.load` to the first token. */
async function load({ Model }, { path, threads }) {
  const start = performance.now()
  const model = await Model.load(path, { threads })
  for await (const _ of model.generate([1], { maxTokens: 1, temperature: 0 })) break
  const seconds = (performance.now() - start) / 1000
  await model.dispose()
  return { seconds }
}

/** Seconds of plain reads of the whole file, for comparison. */
function read({ path }) {
  const buffer = Buffer.allocUnsafe(8 << 20)
  const start = performance.now()
  const file = openSync(path, 'r')
  while (readSync(file, buffer) > 0);
  closeSync(file)
  return { seconds: (performance.now() - start) / 1000 }
}
