/**
 * Writes a model that says what a small one says and costs what a large one costs: the small one's
 * weights with zeros around them. A trained text at the speed of another shape, for measuring what
 * depends on the text.
 *
 *   [D×D weights │ 0 ]   x = [small x │ 0]. RMSNorm divides by the mean of D′ squares instead of D, of
 *   [     0      │ 0 ]   which the others are 0, so its weights are √(D/D′) and its epsilon D/D′ of
 *                        what they were. Heads keep their width, and H/G stays; layers beyond the
 *                        small one's add 0.
 *
 * Matrices are Q8_0 or F16, norms F32.
 */
import { renameSync } from 'node:fs'
import { readGguf, TYPE_IDS, writeGguf } from './gguf.mjs'

const BLOCKS = {
  [TYPE_IDS.F32]: { weights: 1, bytes: 4 },
  [TYPE_IDS.F16]: { weights: 1, bytes: 2 },
  [TYPE_IDS.Q8_0]: { weights: 32, bytes: 34 }
}

const VECTORS = ['attn_norm', 'ffn_norm', 'output_norm']

/** `shape`: `{ width, layers, feedForward }`, each at least the small model's. */
export function widenLlama(from, to, shape) {
  const small = readGguf(from)
  const wholes = (key) => small.metadata.readUInt32LE(valueAt(small.metadata, `llama.${key}`))
  const width = wholes('embedding_length')
  const heads = wholes('attention.head_count')
  const kvHeads = wholes('attention.head_count_kv')
  const times = shape.width / width
  if (!Number.isInteger(times)) throw new RangeError(`width: expected a multiple of ${width}`)
  const wide = {
    [width]: shape.width,
    [wholes('feed_forward_length')]: shape.feedForward,
    [(width / heads) * kvHeads]: (width / heads) * kvHeads * times
  }
  const metadata = Buffer.from(small.metadata)
  const setWhole = (key, value) => metadata.writeUInt32LE(value, valueAt(metadata, `llama.${key}`))
  setWhole('embedding_length', shape.width)
  setWhole('block_count', shape.layers)
  setWhole('feed_forward_length', shape.feedForward)
  setWhole('attention.head_count', heads * times)
  setWhole('attention.head_count_kv', kvHeads * times)
  const epsilon = valueAt(metadata, 'llama.attention.layer_norm_rms_epsilon')
  metadata.writeFloatLE(metadata.readFloatLE(epsilon) / times, epsilon)

  const sized = (tensor) => widened(tensor, small.data, wide, times)
  const first = small.tensors.filter(({ name }) => name.startsWith('blk.0.'))
  const tensors = small.tensors.map(sized)
  for (let layer = wholes('block_count'); layer < shape.layers; layer++) {
    for (const tensor of first) {
      const name = tensor.name.replace('blk.0.', `blk.${layer}.`)
      const { size, ...rest } = sized(tensor)
      tensors.push({ ...rest, name, size, chunks: () => zeros(size) })
    }
  }
  writeGguf(`${to}.part`, { entries: small.entries, metadata }, tensors)
  renameSync(`${to}.part`, to)
}

/** Where the 4 bytes of a metadata value lie. */
function valueAt(metadata, key) {
  const name = Buffer.from(key)
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(name.length))
  const at = metadata.indexOf(Buffer.concat([length, name]))
  if (at < 0) throw new RangeError(`no ${key} in the small model`)
  return at + 8 + name.length + 4
}

/** A tensor among zeros. `wide`: what each size of the small model becomes; a vocabulary's stays. */
function widened({ name, shape, type, offset }, data, wide, times) {
  const block = BLOCKS[type]
  if (!block) throw new RangeError(`${name}: expected F32, F16 or Q8_0, got type ${type}`)
  const [columns, rows = 1] = shape
  const newShape = shape.map((size) => wide[size] ?? size)
  const [newColumns, newRows = 1] = newShape
  const rowBytes = (count) => (count / block.weights) * block.bytes
  function* chunks() {
    for (let row = 0; row < rows; row++) {
      const out = Buffer.alloc(rowBytes(newColumns))
      const begin = offset + row * rowBytes(columns)
      data.copy(out, 0, begin, begin + rowBytes(columns))
      if (VECTORS.some((vector) => name.includes(vector))) scale(out, columns, 1 / Math.sqrt(times))
      yield out
    }
    yield* zeros((newRows - rows) * rowBytes(newColumns))
  }
  return { name, shape: newShape, type, size: newRows * rowBytes(newColumns), chunks }
}

function scale(floats, count, factor) {
  for (let i = 0; i < count; i++) floats.writeFloatLE(floats.readFloatLE(4 * i) * factor, 4 * i)
}

function* zeros(size) {
  const most = 1 << 20
  for (let left = size; left > 0; left -= most) yield Buffer.alloc(Math.min(left, most))
}

/**
 * Writes a copy of a Q8_0 model whose blocks are off by a random factor around 1, `spread` at most:
 * a draft that agrees with the model now and then.
 */
export function wearLlama(from, to, spread) {
  const { entries, metadata, tensors, data } = readGguf(from)
  let state = 1
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 31 - 1
  }
  const worn = tensors.map(({ name, shape, type, offset }) => {
    const block = BLOCKS[type]
    const count = shape.reduce((product, size) => product * size, 1) / block.weights
    const bytes = Buffer.from(data.subarray(offset, offset + count * block.bytes))
    for (let i = 0; type === TYPE_IDS.Q8_0 && i < count; i++) {
      // A half float's mantissa counts up by 2^-10 to 2^-11 of its value.
      const at = i * block.bytes
      bytes.writeUInt16LE(bytes.readUInt16LE(at) + Math.round(random() * spread * 1024), at)
    }
    return { name, shape, type, size: bytes.length, chunks: () => [bytes] }
  })
  writeGguf(`${to}.part`, { entries, metadata }, worn)
  renameSync(`${to}.part`, to)
}
