/**
 * Writes a GGUF file in a Llama shape with random weights: time, memory and numerics of a real model
 * of that shape; its text is noise. The same arguments give the same bytes.
 *
 * Which tensor has which type follows what llama.cpp's quantizer gives:
 *
 *   f16, q8_0   all matrices
 *   q4_0        all matrices but the output, which is Q6_K
 *   q4_k_m      Q4_K; Q6_K for the output, and for attn_v and ffn_down of half of the layers: the
 *               first and the last eighth, and every third in between
 *
 * Norms are F32. Deviations are 1 for embeddings and 1/√inputs for matrices, so that activations
 * keep their size from layer to layer.
 */
import { renameSync } from 'node:fs'
import { encodeMetadata, TYPE_IDS, writeGguf } from './gguf.mjs'

/** Sizes of a shape. `vocab` counts its pieces, of which 260 are control, bytes and the space. */
export const SHAPES = {
  '1.1b': { width: 2048, layers: 22, heads: 32, kvHeads: 4, feedForward: 5632, vocab: 32_000 },
  '7b': { width: 4096, layers: 32, heads: 32, kvHeads: 32, feedForward: 11_008, vocab: 32_000 },
  tiny: { width: 256, layers: 8, heads: 8, kvHeads: 4, feedForward: 768, vocab: 512 }
}

/** The types a file may have, with their id as `general.file_type`. */
export const FILE_TYPES = { f16: 1, q4_0: 2, q8_0: 7, q4_k_m: 15 }

/**
 * A block of each type: weights and bytes, and its half floats as [byte offset, value that gives the
 * weights a deviation of 1]; all other bytes are random, and the mean is 0 or close to it. (With
 * another one the same direction grows in every layer, until all positions have the same logits.)
 *
 *   Q4_0  d·q, q from -7 to 7, 0 twice as often, as -8 has nothing against it: √17.5
 *   Q8_0  d·q, q from -128 to 127: √(65535/12)
 *   Q4_K  d·s·q − m·t, q from 0 to 15, s and t from 0 to 63; m = 7.5 d makes the mean 0.
 *         E[(s·q)²] = 1333.5·77.5, E[s·q]² = 236.25², Var[7.5 t] = 56.25·341.25: √66727
 *   Q6_K  d·s·q, s from -128 to 127, q from -32 to 31: √(5461.5·341.5)
 */
const BLOCKS = {
  Q4_0: { weights: 32, bytes: 18, halves: [[0, 1 / Math.sqrt(17.5)]], byte: balanced },
  Q8_0: { weights: 32, bytes: 34, halves: [[0, 1 / Math.sqrt(65535 / 12)]] },
  Q4_K: {
    weights: 256,
    bytes: 144,
    halves: [
      [0, 1 / Math.sqrt(66727)],
      [2, 7.5 / Math.sqrt(66727)]
    ]
  },
  Q6_K: { weights: 256, bytes: 210, halves: [[208, 1 / Math.sqrt(5461.5 * 341.5)]] },
  F16: { weights: 1, bytes: 2 },
  F32: { weights: 1, bytes: 4 }
}

/** Of each kind of tensor so many random blocks are made, and repeated from a random one on. */
const POOL_BYTES = 4 << 20

/** Writes the file; `contextLength` is what the model says it was trained on. */
export function writeRandomLlama(path, { shape, type, name, contextLength = 4096, seed = 1 }) {
  const random = generator(seed)
  const pools = new Map()
  const tensors = layout(shape, type).map((tensor) => {
    const size = sizeOf(tensor)
    return {
      ...tensor,
      type: TYPE_IDS[tensor.type],
      size,
      chunks: () => randomChunks(tensor, size, pools, random)
    }
  })
  const partial = `${path}.part` // so that an interrupted run leaves no file that looks whole
  writeGguf(partial, encodeMetadata(metadata(shape, type, name, contextLength)), tensors)
  renameSync(partial, path)
}

/** Name, shape (fastest-running dimension first) and type of every tensor. */
export function layout({ width, layers, heads, kvHeads, feedForward, vocab }, type) {
  const base = { f16: 'F16', q4_0: 'Q4_0', q8_0: 'Q8_0', q4_k_m: 'Q4_K' }[type]
  const output = type === 'q4_0' || type === 'q4_k_m' ? 'Q6_K' : base
  const kvWidth = (width / heads) * kvHeads
  const tensors = [{ name: 'token_embd.weight', shape: [width, vocab], type: base }]
  for (let layer = 0; layer < layers; layer++) {
    const finer = type === 'q4_k_m' && isFiner(layer, layers) ? 'Q6_K' : base
    const add = (part, sizes, as) =>
      tensors.push({ name: `blk.${layer}.${part}.weight`, shape: sizes, type: as })
    add('attn_norm', [width], 'F32')
    add('attn_q', [width, width], base)
    add('attn_k', [width, kvWidth], base)
    add('attn_v', [width, kvWidth], finer)
    add('attn_output', [width, width], base)
    add('ffn_norm', [width], 'F32')
    add('ffn_gate', [width, feedForward], base)
    add('ffn_up', [width, feedForward], base)
    add('ffn_down', [feedForward, width], finer)
  }
  tensors.push({ name: 'output_norm.weight', shape: [width], type: 'F32' })
  tensors.push({ name: 'output.weight', shape: [width, vocab], type: output })
  return tensors
}

/** Whether q4_k_m spends more bits on this layer's attn_v and ffn_down. */
function isFiner(layer, layers) {
  const eighth = Math.floor(layers / 8)
  return layer < eighth || layer >= Math.floor((7 * layers) / 8) || (layer - eighth) % 3 === 2
}

function sizeOf({ name, shape, type }) {
  const { weights, bytes } = BLOCKS[type]
  if (shape[0] % weights) {
    throw new Error(`${name}: rows of ${shape[0]} are no whole blocks of ${type}'s ${weights}`)
  }
  return (shape.reduce((product, size) => product * size, 1) / weights) * bytes
}

function metadata(shape, type, name, contextLength) {
  const pieces = vocabulary(shape.vocab)
  return [
    ['general.architecture', 'text', 'llama'],
    ['general.name', 'text', name],
    ['general.file_type', 'u32', FILE_TYPES[type]],
    ['general.quantization_version', 'u32', 2],
    ['llama.context_length', 'u32', contextLength],
    ['llama.embedding_length', 'u32', shape.width],
    ['llama.block_count', 'u32', shape.layers],
    ['llama.feed_forward_length', 'u32', shape.feedForward],
    ['llama.attention.head_count', 'u32', shape.heads],
    ['llama.attention.head_count_kv', 'u32', shape.kvHeads],
    ['llama.attention.layer_norm_rms_epsilon', 'f32', 1e-5],
    ['llama.rope.dimension_count', 'u32', shape.width / shape.heads],
    ['llama.rope.freq_base', 'f32', 10_000],
    ['llama.vocab_size', 'u32', shape.vocab],
    ['tokenizer.ggml.model', 'text', 'llama'],
    ['tokenizer.ggml.tokens', ['text'], pieces.map(({ piece }) => piece)],
    ['tokenizer.ggml.scores', ['f32'], pieces.map((_, id) => -id)],
    ['tokenizer.ggml.token_type', ['i32'], pieces.map(({ kind }) => kind)],
    ['tokenizer.ggml.unknown_token_id', 'u32', 0],
    ['tokenizer.ggml.bos_token_id', 'u32', 1],
    ['tokenizer.ggml.eos_token_id', 'u32', 2],
    ['tokenizer.ggml.add_bos_token', 'bool', true]
  ]
}

/** A SentencePiece vocabulary: control pieces, bytes, the space, and words of made-up syllables. */
function vocabulary(size) {
  const [NORMAL, UNKNOWN, CONTROL, BYTE] = [1, 2, 3, 6]
  const pieces = [{ piece: '<unk>', kind: UNKNOWN }]
  for (const piece of ['<s>', '</s>']) pieces.push({ piece, kind: CONTROL })
  for (let byte = 0; byte < 256; byte++) {
    const hex = byte.toString(16).toUpperCase().padStart(2, '0')
    pieces.push({ piece: `<0x${hex}>`, kind: BYTE })
  }
  pieces.push({ piece: '▁', kind: NORMAL })
  for (let i = 0; pieces.length < size; i++) pieces.push({ piece: word(i), kind: NORMAL })
  return pieces.slice(0, size)
}

/** Word number i: its digits in base 100, each a consonant and a vowel. */
function word(i) {
  const syllable = (digit) => 'bcdfghjklmnprstvwxyz'[digit % 20] + 'aeiou'[Math.floor(digit / 20)]
  let text = syllable(i % 100)
  for (let rest = Math.floor(i / 100); rest > 0; rest = Math.floor(rest / 100)) {
    text += syllable(rest % 100)
  }
  return `▁${text}`
}

/** Whole numbers of 32 random bits (xorshift). */
function generator(seed) {
  let state = seed | 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
}

function* randomChunks({ name, shape, type }, size, pools, random) {
  if (shape.length === 1) {
    yield toBytes(Float32Array.from({ length: shape[0] }, () => 0.9 + (0.2 * random()) / 2 ** 32))
    return
  }
  const deviation = name.startsWith('token_embd') ? 1 : 1 / Math.sqrt(shape[0])
  const key = `${type} ${deviation}`
  const pool = pools.get(key) ?? randomBlocks(type, deviation, random)
  pools.set(key, pool)
  const block = BLOCKS[type].bytes
  let from = (random() % (pool.length / block)) * block
  for (let left = size; left > 0; from = 0) {
    const chunk = pool.subarray(from, from + Math.min(left, pool.length - from))
    yield chunk
    left -= chunk.length
  }
}

function randomBlocks(type, deviation, random) {
  const { bytes, halves, byte } = BLOCKS[type]
  const count = Math.floor(POOL_BYTES / bytes / 4) * 4 // whole words
  if (type === 'F16') {
    return toBytes(Uint16Array.from({ length: count }, () => toHalf(deviation * normal(random))))
  }
  const pool = toBytes(Uint32Array.from({ length: (count * bytes) / 4 }, random))
  if (byte) for (let at = 0; at < pool.length; at++) pool[at] = byte(pool[at])
  for (let block = 0; block < pool.length; block += bytes) {
    const spread = 0.8 + (0.4 * random()) / 2 ** 32
    for (const [at, unit] of halves) {
      pool.writeUInt16LE(toHalf(unit * deviation * spread), block + at)
    }
  }
  return pool
}

/** Two weights of Q4_0, which are stored as q + 8: -8 becomes 0. */
function balanced(byte) {
  const low = byte & 15 || 8
  const high = byte >> 4 || 8
  return (high << 4) | low
}

const toBytes = (array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength)

/** A number of about normal distribution: the sum of 4 even ones, whose variance is 4/12. */
function normal(random) {
  const sum = (random() + random() + random() + random()) / 2 ** 32
  return (sum - 2) * Math.sqrt(3)
}

/** The bits of the half float nearest to a number of less than 65504. */
function toHalf(value) {
  const sign = value < 0 ? 0x8000 : 0
  const size = Math.abs(value)
  // Below 2^-14 halves are 2^-24 apart; above, 2^10 of them lie between two powers of 2.
  if (size < 2 ** -14) return sign | Math.round(size * 2 ** 24)
  const exponent = Math.floor(Math.log2(size))
  return sign | ((exponent + 14) * 1024 + Math.round((size / 2 ** exponent) * 1024))
}
