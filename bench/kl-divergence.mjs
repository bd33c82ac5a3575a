#!/usr/bin/env node
/**
 * What each weight type costs: KL divergence of next-token distributions, per type.
 *
 *   node bench/kl-divergence.mjs [F16.gguf] [--tokens N] [--kernels TABLE] [--json FILE]
 *
 * The model (the demo model's F16 file) is rounded to each type. On text that the model writes
 * itself, two divergences in nats per token are measured:
 *
 *   kernels   KL(F32 ‖ type): the same rounded weights computed as F32 and as their own type. What
 *             is left is the rounding of activations to 8 bits: the price of the integer kernels.
 *   weights   KL(F16 ‖ type): the original weights against the rounded ones: the price of the type
 *             (with Cria's plain round-to-nearest encoder; tuned encoders do better).
 *
 * And of the F16 model alone, KL(F16 cache ‖ Q8_0 cache): the price of 8-bit keys and values.
 *
 * Needs the probe addon: node scripts/build-native.mjs --tests
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Model } from '../dist/index.js'
import { readGguf, TYPE_IDS, writeGguf } from './support/gguf.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const probe = createRequire(import.meta.url)(join(root, 'build/probe/cria_probe.node'))

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    tokens: { type: 'string', default: '256' },
    kernels: { type: 'string', default: '' },
    json: { type: 'string' }
  }
})
const source = positionals[0] ?? join(root, '../shared/models/cria-demo-f16.gguf')
const PROMPTS = ['Once upon a time', 'One day a', '[INST] Who are you? [/INST]', 'The little']

/** Texts that the model wrote, as token ids. */
async function writeTexts(tokens) {
  const model = await Model.load(source)
  const texts = await Promise.all(
    PROMPTS.map(async (prompt, seed) => {
      const ids = await model.tokenizer.encode(prompt)
      const { tokens: more } = await model.generate(ids, {
        maxTokens: tokens,
        temperature: 1,
        topK: 0,
        topP: 1,
        minP: 0,
        seed,
        logitBias: { [model.tokenizer.eosId]: Number.NEGATIVE_INFINITY }
      })
      return Int32Array.from([...ids, ...more])
    })
  )
  await model.dispose()
  return texts
}

function floatsOf({ data }, tensor) {
  const count = tensor.shape.reduce((product, size) => product * size, 1)
  const type = tensor.type === TYPE_IDS.F32 ? 'F32' : 'F16'
  const bytes = data.subarray(tensor.offset, tensor.offset + count * (type === 'F32' ? 4 : 2))
  return probe.dequantize(type, new Uint8Array(bytes), count)
}

const bytesOf = (array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength)

const toTensor = (name, shape, type, bytes) => ({
  name,
  shape,
  type: TYPE_IDS[type],
  size: bytes.length,
  chunks: () => [bytes]
})

/** Two files of the same rounded weights: as `type`, and as F32. Vectors stay F32. */
function writePair(folder, gguf, type) {
  const rounded = []
  const plain = []
  for (const tensor of gguf.tensors) {
    const floats = floatsOf(gguf, tensor)
    const { name, shape } = tensor
    if (shape.length === 1) {
      const vector = toTensor(name, shape, 'F32', bytesOf(floats))
      rounded.push(vector)
      plain.push(vector)
      continue
    }
    const blocks = probe.quantize(type, floats)
    const back = probe.dequantize(type, blocks, floats.length)
    rounded.push(toTensor(name, shape, type, Buffer.from(blocks)))
    plain.push(toTensor(name, shape, 'F32', bytesOf(back)))
  }
  const paths = { type: join(folder, 'type.gguf'), f32: join(folder, 'f32.gguf') }
  writeGguf(paths.type, gguf, rounded)
  writeGguf(paths.f32, gguf, plain)
  return { ...paths, bits: bitsPerWeight(rounded) }
}

function bitsPerWeight(tensors) {
  const matrices = tensors.filter(({ shape }) => shape.length > 1)
  const bytes = matrices.reduce((sum, tensor) => sum + tensor.size, 0)
  const weights = matrices.reduce((sum, { shape }) => sum + shape[0] * shape[1], 0)
  return (bytes * 8) / weights
}

function logitsOf(path, texts, kvType = 'f16') {
  const options = {
    threads: 0,
    contextSize: 0,
    batchSize: 0,
    sequences: 0,
    kvType,
    mapped: false,
    kernels: values.kernels
  }
  return texts.map((ids) => probe.logits(path, options, ids))
}

/** log softmax of row `row` of [T × vocab] logits. */
function logProbabilities(logits, row, vocab) {
  const slice = logits.subarray(row * vocab, (row + 1) * vocab)
  const most = slice.reduce((a, b) => Math.max(a, b), -Infinity)
  const sum = slice.reduce((total, logit) => total + Math.exp(logit - most), 0)
  return Float64Array.from(slice, (logit) => logit - most - Math.log(sum))
}

/** Mean and largest KL(P ‖ Q) over all positions, and how often both prefer the same token. */
function compare(reference, other, texts) {
  const divergences = []
  let agreed = 0
  for (const [text, ids] of texts.entries()) {
    const vocab = reference[text].length / ids.length
    for (let row = 0; row < ids.length; row++) {
      const p = logProbabilities(reference[text], row, vocab)
      const q = logProbabilities(other[text], row, vocab)
      divergences.push(p.reduce((sum, lp, i) => sum + Math.exp(lp) * (lp - q[i]), 0))
      agreed += p.indexOf(Math.max(...p)) === q.indexOf(Math.max(...q)) ? 1 : 0
    }
  }
  const mean = divergences.reduce((sum, value) => sum + value, 0) / divergences.length
  return { mean, max: Math.max(...divergences), sameTop: agreed / divergences.length }
}

const folder = mkdtempSync(join(tmpdir(), 'cria-kl-'))
try {
  const gguf = readGguf(source)
  const texts = await writeTexts(Number(values.tokens))
  const positions = texts.reduce((sum, ids) => sum + ids.length, 0)
  const original = logitsOf(source, texts)
  const rows = []
  console.log(`${positions} positions; divergences in nats per token\n`)
  console.log('| type | bits/weight | kernels: mean KL | max KL | same top | weights: mean KL |')
  console.log('| --- | ---: | ---: | ---: | ---: | ---: |')
  for (const type of Object.keys(TYPE_IDS)) {
    const pair = writePair(folder, gguf, type)
    const own = logitsOf(pair.type, texts)
    const kernels = compare(logitsOf(pair.f32, texts), own, texts)
    const weights = compare(original, own, texts)
    rows.push({ type, bitsPerWeight: pair.bits, kernels, weights })
    const cells = [
      type,
      pair.bits.toFixed(2),
      kernels.mean.toExponential(1),
      kernels.max.toExponential(1),
      `${(kernels.sameTop * 100).toFixed(1)}%`,
      weights.mean.toExponential(1)
    ]
    console.log(`| ${cells.join(' | ')} |`)
  }
  const cache = compare(original, logitsOf(source, texts, 'q8_0'), texts)
  console.log(
    `\nkeys and values in q8_0: ${cache.mean.toExponential(1)}, most ${cache.max.toExponential(1)}`
  )
  if (values.json) {
    const cpu = cpus()[0]?.model ?? 'unknown'
    const result = {
      model: 'cria-demo-f16',
      positions,
      cpu,
      kernels: values.kernels || 'best',
      rows,
      cache
    }
    writeFileSync(values.json, `${JSON.stringify(result, null, 2)}\n`)
  }
} finally {
  rmSync(folder, { recursive: true })
}
