/** Reads a GGUF file's tensors, and writes files: of metadata as it was read or encoded here. */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'

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

/** A position in a file's bytes. */
class Cursor {
  constructor(bytes, at) {
    this.bytes = bytes
    this.at = at
  }

  advance(size) {
    this.at += size
    return this.at - size
  }

  u32() {
    return this.bytes.readUInt32LE(this.advance(4))
  }

  u64() {
    return Number(this.bytes.readBigUInt64LE(this.advance(8)))
  }

  text() {
    const size = this.u64()
    return this.bytes.toString('utf8', this.advance(size), this.at)
  }

  /** Passes over a metadata value. */
  skip(type) {
    if (type === STRING) this.text()
    else if (type !== ARRAY) this.advance(SCALAR_BYTES[type])
    else {
      const [element, count] = [this.u32(), this.u64()]
      for (let i = 0; i < count; i++) this.skip(element)
    }
  }
}

/** `{ entries, metadata, tensors, data }`: the metadata's bytes as they are, and the tensors. */
export function readGguf(path) {
  const file = readFileSync(path)
  const cursor = new Cursor(file, 8)
  const [count, entries] = [cursor.u64(), cursor.u64()]
  const start = cursor.at
  for (let i = 0; i < entries; i++) {
    cursor.text()
    cursor.skip(cursor.u32())
  }
  const metadata = file.subarray(start, cursor.at)
  const tensors = Array.from({ length: count }, () => ({
    name: cursor.text(),
    shape: Array.from({ length: cursor.u32() }, () => cursor.u64()),
    type: cursor.u32(),
    offset: cursor.u64()
  }))
  return { entries, metadata, tensors, data: file.subarray(align(cursor.at)) }
}

const number = (size, value) => {
  const out = Buffer.alloc(size)
  if (size === 4) out.writeUInt32LE(value)
  else out.writeBigUInt64LE(BigInt(value))
  return out
}
const text = (value) => {
  const bytes = Buffer.from(value)
  return Buffer.concat([number(8, bytes.length), bytes])
}
const real = (value) => {
  const out = Buffer.alloc(4)
  out.writeFloatLE(value)
  return out
}

/** Types of metadata values: how the format names them, and their bytes. */
const VALUES = {
  u32: { id: 4, write: (value) => number(4, value) },
  i32: { id: 5, write: (value) => number(4, value >>> 0) },
  f32: { id: 6, write: real },
  bool: { id: 7, write: (value) => Buffer.from([value ? 1 : 0]) },
  text: { id: STRING, write: text }
}

/** Metadata of [key, type, value] rows, a type one of VALUES; an array's is `['text']` and so on. */
export function encodeMetadata(rows) {
  const parts = rows.map(([key, type, value]) => {
    if (!Array.isArray(type)) {
      return [text(key), number(4, VALUES[type].id), VALUES[type].write(value)]
    }
    const { id, write } = VALUES[type[0]]
    return [
      text(key),
      number(4, ARRAY),
      number(4, id),
      number(8, value.length),
      ...value.map(write)
    ]
  })
  return { entries: rows.length, metadata: Buffer.concat(parts.flat()) }
}

/**
 * Writes `tensors` ({ name, shape, type, size, chunks }) under the metadata of `source`; `chunks()`
 * gives a tensor's `size` bytes piece by piece, so that a file need not fit in memory.
 */
export function writeGguf(path, source, tensors) {
  const head = [Buffer.from('GGUF'), number(4, 3), number(8, tensors.length)]
  head.push(number(8, source.entries), source.metadata)
  let offset = 0
  for (const { name, shape, type, size } of tensors) {
    head.push(text(name), number(4, shape.length), ...shape.map((count) => number(8, count)))
    head.push(number(4, type), number(8, offset))
    offset += align(size)
  }
  const file = openSync(path, 'w')
  try {
    writePadded(file, head)
    for (const { chunks } of tensors) writePadded(file, chunks())
  } finally {
    closeSync(file)
  }
}

function writePadded(file, chunks) {
  let size = 0
  for (const chunk of chunks) {
    writeAll(file, chunk)
    size += chunk.length
  }
  writeAll(file, Buffer.alloc(align(size) - size))
}

function writeAll(file, bytes) {
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done)
}
