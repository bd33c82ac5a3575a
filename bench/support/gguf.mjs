/** Reads a GGUF file of F16 or F32 weights and writes it again with its matrices in another type. */
import { readFileSync, writeFileSync } from 'node:fs'

const SCALAR_BYTES = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 }
const STRING = 8
const ARRAY = 9
const ALIGNMENT = 32
const align = (offset) => Math.ceil(offset / ALIGNMENT) * ALIGNMENT

/** Ids of the types in the GGUF format. */
export const TYPE_IDS = {
  F32: 0,
  F16: 1,
  Q4_0: 2,
  Q4_1: 3,
  Q5_0: 6,
  Q5_1: 7,
  Q8_0: 8,
  Q2_K: 10,
  Q3_K: 11,
  Q4_K: 12,
  Q5_K: 13,
  Q6_K: 14,
  IQ4_NL: 20,
  IQ4_XS: 23,
  BF16: 30
}

/** `{ entries, metadata, tensors }`: the metadata section's bytes as they are, and the tensors. */
export function readGguf(path) {
  const file = readFileSync(path)
  let at = 8
  const u32 = () => file.readUInt32LE((at += 4) - 4)
  const u64 = () => Number(file.readBigUInt64LE((at += 8) - 8))
  const text = () => file.toString('utf8', at + 8, (at += 8 + Number(file.readBigUInt64LE(at))))
  const skip = (type) => {
    if (type === STRING) return void text()
    if (type !== ARRAY) return void (at += SCALAR_BYTES[type])
    const [element, count] = [u32(), u64()]
    if (element !== STRING) at += count * SCALAR_BYTES[element]
    else for (let i = 0; i < count; i++) text()
  }
  const [count, entries] = [u64(), u64()]
  const start = at
  for (let i = 0; i < entries; i++) {
    text()
    skip(u32())
  }
  const metadata = file.subarray(start, at)
  const tensors = []
  for (let i = 0; i < count; i++) {
    const name = text()
    const shape = Array.from({ length: u32() }, u64)
    tensors.push({ name, shape, type: u32(), offset: u64() })
  }
  const data = file.subarray(align(at))
  return { entries, metadata, tensors, data }
}

/** Writes `tensors` ({ name, shape, type, bytes }) under the metadata of `source`. */
export function writeGguf(path, source, tensors) {
  const number = (size, value) => {
    const out = Buffer.alloc(size)
    if (size === 4) out.writeUInt32LE(value)
    else out.writeBigUInt64LE(BigInt(value))
    return out
  }
  const head = [Buffer.from('GGUF'), number(4, 3), number(8, tensors.length)]
  head.push(number(8, source.entries), source.metadata)
  const body = []
  let offset = 0
  for (const { name, shape, type, bytes } of tensors) {
    const text = Buffer.from(name)
    head.push(number(8, text.length), text, number(4, shape.length))
    head.push(...shape.map((size) => number(8, size)), number(4, type), number(8, offset))
    body.push(bytes, Buffer.alloc(align(bytes.length) - bytes.length))
    offset += align(bytes.length)
  }
  const size = head.reduce((sum, part) => sum + part.length, 0)
  head.push(Buffer.alloc(align(size) - size))
  writeFileSync(path, Buffer.concat([...head, ...body]))
}
