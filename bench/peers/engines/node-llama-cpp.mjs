/** node-llama-cpp's CPU build, from bench/peers/node_modules. */
import { readFileSync } from 'node:fs'
import { roomFor, serve } from '../serve.mjs'
import * as cria from './cria.mjs'

/** With and without flash attention; a quantized KV cache needs it. */
export function variants(request) {
  const attentions = [
    { label: 'flash attention', flashAttention: true },
    { label: 'plain attention', flashAttention: false }
  ]
  return cria.variants(request).flatMap(({ label, ...rest }) =>
    attentions
      .filter(({ flashAttention }) => flashAttention || request.kvType === 'f16')
      .map((attention) => ({
        ...rest,
        ...attention,
        label: label ? `${attention.label}, ${label}` : attention.label
      }))
  )
}

export async function measure(request) {
  const peer = await import('node-llama-cpp')
  const threads = request.threads ?? 1
  const llama = await peer.getLlama({
    gpu: false,
    build: 'never',
    maxThreads: threads,
    logLevel: 'error',
    logger: (_, message) => process.stderr.write(message)
  })
  if (request.kind === 'describe') return describe(llama)
  const model = await llama.loadModel({ modelPath: request.path, gpuLayers: 0 })
  const kinds = { pp: speed, tg: speed, stream, serve: talks, text }
  try {
    return await kinds[request.kind](model, { ...request, threads }, peer)
  } finally {
    await llama.dispose()
  }
}

function describe(llama) {
  const manifest = new URL('../node_modules/node-llama-cpp/package.json', import.meta.url)
  const { version } = JSON.parse(readFileSync(manifest, 'utf8'))
  return { version: `${version} (llama.cpp ${llama.llamaCppRelease.release})` }
}

async function openSequence(model, request, contextSize) {
  return (await openContext(model, request, contextSize, 1)).getSequence()
}

/** `contextSize` tokens for each of the sequences. */
async function openContext(model, request, contextSize, sequences) {
  const { threads, flashAttention, kvType, batchSize } = request
  const context = await model.createContext({
    contextSize,
    sequences,
    batchSize,
    threads,
    flashAttention,
    experimentalKvCacheKeyType: kvType?.toUpperCase(),
    experimentalKvCacheValueType: kvType?.toUpperCase(),
    failedCreationRemedy: false
  })
  if (context.currentThreads !== threads || context.flashAttention !== flashAttention) {
    throw new Error(
      `asked for ${threads} threads and flash attention ${flashAttention}, got others`
    )
  }
  return context
}

/**
 * Prefill and decode as llama-bench does: batches of random tokens, logits of the last, no sampler.
 * The classes around the addon's context sample after every batch, so this calls the addon itself:
 * what node-llama-cpp adds to llama.cpp costs the peer nothing here.
 */
async function speed(model, request) {
  const { kind, tokens, depth, batchSize, repetitions } = request
  const sequence = await openSequence(model, request, depth + tokens)
  const [addon, id] = [sequence.context._ctx, sequence._sequenceId]
  const vocabulary = model.fileInfo.metadata.tokenizer.ggml.tokens.length
  const ids = Uint32Array.from({ length: depth + tokens }, (_, i) => (i * 7919 + 13) % vocabulary)
  const compute = async (from, to, step) => {
    for (let past = from; past < to; past += step) {
      const batch = ids.subarray(past, Math.min(past + step, to))
      addon.initBatch(batch.length)
      addon.addToBatch(id, past, batch, Uint32Array.of(batch.length - 1))
      await addon.decodeBatch()
    }
  }
  await compute(0, depth, batchSize)
  const rates = []
  for (let run = 0; run <= repetitions; run++) {
    const start = performance.now()
    await compute(depth, depth + tokens, kind === 'pp' ? batchSize : 1)
    if (run > 0) rates.push((tokens * 1000) / (performance.now() - start))
    addon.removeTokenCellsFromSequence(id, depth, depth + tokens)
  }
  return { rates }
}

/** Tokens per second of the streaming callback, from the call to the end of the text. */
async function stream(model, request, { LlamaCompletion }) {
  const { prompt, tokens, repetitions } = request
  const sequence = await openSequence(model, request, model.trainContextSize)
  const completion = new LlamaCompletion({ contextSequence: sequence })
  const rates = []
  for (let run = 0; run <= repetitions; run++) {
    await sequence.clearHistory()
    let count = 0
    const start = performance.now()
    await completion.generateCompletion(prompt, {
      maxTokens: tokens,
      temperature: 0,
      onTextChunk: () => {},
      onToken: (ids) => {
        count += ids.length
      }
    })
    if (run > 0) rates.push((count * 1000) / (performance.now() - start))
  }
  return { rates }
}

/**
 * The conversations of `cria bench load`, each in a sequence of its own: node-llama-cpp computes their next
 * tokens in one batch.
 */
async function talks(model, request) {
  const { load } = request
  const spare = 16 // so that no sequence comes near its end and is shifted
  const room = (await roomFor(load)) + spare
  const context = await openContext(model, request, room, load.conversations)
  const target = {
    bosId: model.tokens.bos,
    open() {
      const sequence = context.getSequence()
      return (history, predict) => answer(sequence, history, predict)
    }
  }
  const vocabulary = model.fileInfo.metadata.tokenizer.ggml.tokens.length
  return serve(target, load, vocabulary)
}

/** The sequence keeps what it has computed: all before, but the last token of the last answer. */
async function* answer(sequence, history, predict) {
  const fresh = history.slice(sequence.nextTokenIndex)
  let count = 0
  for await (const id of sequence.evaluate(fresh, { temperature: 0, yieldEogToken: true })) {
    yield [id]
    if (++count === predict) break
  }
}

/** A greedy continuation of token ids. */
async function text(model, request) {
  const sequence = await openSequence(model, request, model.trainContextSize)
  const ids = []
  for await (const id of sequence.evaluate(request.ids, { temperature: 0 })) {
    ids.push(id)
    if (ids.length === request.tokens) break
  }
  return { ids, text: model.detokenize(ids) }
}
