/** Every option, checked: one table per call, with the ranges and defaults that types.ts documents. */
import {
  checkOptions,
  describe,
  integer,
  isRecord,
  type OptionTable,
  oneOf,
  optional,
  type Rule,
  real,
  signalRule,
  yesOrNo
} from './check.js'
import { badArgument, CriaError, unsupported } from './errors.js'
import { nearestName } from './suggest.js'
import type {
  BenchmarkRow,
  KernelLimits,
  KernelOp,
  KernelPlace,
  KernelRow,
  Progress
} from './types.js'

/** What decides how much memory a load takes, checked; 0 leaves the choice to the native side. */
export interface Sizes {
  devices: 'cpu'
  threads: number
  contextSize: number
  batchSize: number
  sequences: number
  kvType: 'f16' | 'q8_0'
  mapped: boolean
}

/** Load options, checked. */
export interface LoadSettings extends Sizes {
  maxQueue: number | undefined // undefined: no limit
  onProgress: ((progress: Progress) => void) | undefined
  signal: AbortSignal | undefined
}

/** Generate options, checked, with the defaults filled in. */
export interface GenerateSettings {
  maxTokens: number // 0: until the context is full
  temperature: number
  topK: number
  topP: number
  minP: number
  typicalP: number
  repeatPenalty: number
  repeatWindow: number
  presencePenalty: number
  frequencyPenalty: number
  seed: bigint | undefined // undefined: random
  stop: readonly string[]
  logitBias: ReadonlyMap<number, number>
  onOverflow: 'error' | 'shift'
  priority: number
  timeout: number // milliseconds; 0: none
  cacheKey: string
  signal: AbortSignal | undefined
}

const maxInt = 2 ** 31 - 1
const maxSeed = 2n ** 64n - 1n
const maxStops = 64
const maxStopLength = 1024
const maxBias = 10_000

/** `'auto'`, `'cpu'` or a list of one of them; this version has no other device. */
const devices: Rule<'cpu'> = {
  expected: "'auto', 'cpu' or a list of devices",
  fallback: 'cpu',
  accept(value) {
    const list: readonly unknown[] = Array.isArray(value) ? value : [value]
    for (const device of list) {
      if (typeof device === 'string' && /^cuda(:\d+)?$/.test(device)) {
        throw new CriaError(
          'ERR_CRIA_NO_DEVICE',
          `load options: device ${describe(device)}: this build has no CUDA backend; use 'cpu'`
        )
      }
      if (device !== 'auto' && device !== 'cpu') return undefined
    }
    if (list.length > 1) {
      throw unsupported('load options: devices: this version computes on one device; give one')
    }
    return list.length === 1 ? 'cpu' : undefined
  }
}

const sizes = {
  devices,
  threads: integer(1, 256, 0),
  contextSize: integer(1, maxInt, 0),
  batchSize: integer(1, 65_536, 0),
  sequences: integer(1, 4096, 0),
  kvType: oneOf('f16', 'q8_0'),
  mapped: yesOrNo(false)
}

const loadTable: OptionTable<LoadSettings> = {
  what: 'load options',
  rules: {
    ...sizes,
    maxQueue: integer(0, maxInt, undefined),
    onProgress: optional(
      'a function',
      (value): value is (progress: Progress) => void => typeof value === 'function'
    ),
    signal: signalRule
  }
}

const estimateTable: OptionTable<Sizes> = {
  what: 'estimate options',
  rules: sizes
}

/** Benchmark options, checked. */
export interface BenchmarkSettings extends Sizes {
  prompt: readonly number[]
  generate: readonly number[]
  depths: readonly number[]
  repetitions: number
  onRow: ((row: BenchmarkRow) => void) | undefined
  signal: AbortSignal | undefined
}

/** Up to 100 token counts, none twice. */
function counts(min: number, fallback: readonly number[]): Rule<readonly number[]> {
  const fits = (count: unknown) => Number.isInteger(count) && Number(count) >= min
  return {
    expected: `up to 100 integers from ${min} on`,
    fallback,
    accept: (value) =>
      Array.isArray(value) && value.length <= 100 && value.every(fits)
        ? [...new Set<number>(value)]
        : undefined
  }
}

const benchmarkTable: OptionTable<BenchmarkSettings> = {
  what: 'benchmark options',
  rules: {
    ...sizes,
    prompt: counts(1, [512]),
    generate: counts(1, [128]),
    depths: counts(0, [0]),
    repetitions: integer(1, 10_000, 5),
    onRow: optional(
      'a function',
      (value): value is (row: BenchmarkRow) => void => typeof value === 'function'
    ),
    signal: signalRule
  }
}

/** Kernel benchmark options, checked; undefined: not narrowed. */
export interface KernelBenchmarkSettings {
  ops: readonly KernelOp[] | undefined
  types: readonly string[] | undefined
  tables: readonly string[] | undefined
  shapes: readonly (readonly [number, number])[] | undefined
  tokens: readonly number[] | undefined
  depths: readonly number[] | undefined
  places: readonly KernelPlace[] | undefined
  all: boolean
  threads: number
  samples: number
  onLimits: ((limits: KernelLimits) => void) | undefined
  onRow: ((row: KernelRow) => void) | undefined
  signal: AbortSignal | undefined
}

const weightTypes =
  'q4_0 q8_0 q4_k q6_k f16 f32 bf16 q4_1 q5_0 q5_1 q2_k q3_k q5_k iq4_nl iq4_xs'.split(' ')
/** Each operation's types, of weights or of the cache; of weights, the five that most files have come first. */
export const kernelTypes: Readonly<Record<KernelOp, readonly string[]>> = {
  matmul: weightTypes,
  'matmul-rows': weightTypes,
  attention: ['f16', 'q8_0'],
  store_kv: ['f16', 'q8_0'],
  quantize: ['q8_32', 'q8_256'],
  rmsnorm: ['f32'],
  rope: ['f32'],
  silu_mul: ['f32'],
  add: ['f32'],
  exp: ['f32']
}
export const kernelOps = Object.keys(kernelTypes) as KernelOp[]
export const kernelPlaces: readonly KernelPlace[] = ['l1', 'l2', 'memory']

/** Some of these names, none twice; a wrong one is an error that names the nearest. */
function someOf<T extends string>(
  option: string,
  known: readonly T[]
): Rule<readonly T[] | undefined> {
  const one = (name: unknown): T => {
    const found = known.find((candidate) => candidate === name)
    if (found !== undefined) return found
    const nearest = typeof name === 'string' ? nearestName(name, known) : undefined
    const hint = nearest ? `did you mean ${nearest}?` : `known: ${known.join(', ')}`
    throw badArgument(`kernel benchmark options: ${option}: no ${describe(name)}; ${hint}`)
  }
  return {
    expected: 'an array of names',
    fallback: undefined,
    accept: (value) => (Array.isArray(value) ? [...new Set(value.map(one))] : undefined)
  }
}

const kernelShapes: Rule<readonly (readonly [number, number])[] | undefined> = {
  expected: 'up to 100 pairs [N, K], N a multiple of 32 and K of 256, both from there to 1048576',
  fallback: undefined,
  accept(value) {
    const side = (given: unknown, grain: number) =>
      Number.isInteger(given) && Number(given) % grain === 0 && Number(given) > 0
    const fits = (pair: unknown): pair is readonly [number, number] =>
      Array.isArray(pair) &&
      pair.length === 2 &&
      side(pair[0], 32) &&
      side(pair[1], 256) &&
      Math.max(...pair) <= 2 ** 20
    return Array.isArray(value) && value.length <= 100 && value.every(fits) ? value : undefined
  }
}

const kernelCounts = (least: number): Rule<readonly number[] | undefined> => ({
  expected: `up to 100 integers from ${least} to 65536`,
  fallback: undefined,
  accept(value) {
    const checked = counts(least, []).accept(value)
    return checked?.every((count) => count <= 65_536) ? checked : undefined
  }
})

const kernelBenchmarkTable: OptionTable<KernelBenchmarkSettings> = {
  what: 'kernel benchmark options',
  rules: {
    ops: someOf('ops', kernelOps),
    types: someOf('types', [...new Set(Object.values(kernelTypes).flat())]),
    // The native side knows which tables there are.
    tables: optional(
      'an array of names',
      (value): value is string[] =>
        Array.isArray(value) && value.every((name) => typeof name === 'string' && name !== '')
    ),
    shapes: kernelShapes,
    tokens: kernelCounts(1),
    depths: kernelCounts(0),
    places: someOf('places', kernelPlaces),
    all: yesOrNo(false),
    threads: integer(1, 256, 0),
    samples: integer(1, 10_000, 7),
    onLimits: optional(
      'a function',
      (value): value is (limits: KernelLimits) => void => typeof value === 'function'
    ),
    onRow: optional(
      'a function',
      (value): value is (row: KernelRow) => void => typeof value === 'function'
    ),
    signal: signalRule
  }
}

const seed: Rule<bigint | undefined> = {
  expected: 'an integer from 0 to 2^53-1, or a bigint from 0n to 2n**64n-1n',
  fallback: undefined,
  accept(value) {
    if (typeof value === 'number') {
      return Number.isSafeInteger(value) && value >= 0 ? BigInt(value) : undefined
    }
    return typeof value === 'bigint' && value >= 0n && value <= maxSeed ? value : undefined
  }
}

const stop: Rule<readonly string[]> = {
  expected: `a text or up to ${maxStops} texts, each of 1 to ${maxStopLength} characters`,
  fallback: [],
  accept(value) {
    const list: readonly unknown[] = Array.isArray(value) ? value : [value]
    const fits = (text: unknown): text is string =>
      typeof text === 'string' && text.length > 0 && text.length <= maxStopLength
    return list.length <= maxStops && list.every(fits) ? [...list] : undefined
  }
}

const logitBias: Rule<ReadonlyMap<number, number>> = {
  expected: `token ids, each with a number from -${maxBias} to ${maxBias} or -Infinity`,
  fallback: new Map(),
  accept(value) {
    if (!isRecord(value)) return undefined
    const entries: Iterable<[unknown, unknown]> =
      value instanceof Map ? value : Object.entries(value)
    const checked = new Map<number, number>()
    for (const [key, bias] of entries) {
      const id = key === '' ? Number.NaN : Number(key)
      if (!Number.isInteger(id) || id < 0 || id > maxInt || !isBias(bias)) {
        throw badArgument(
          `generate options: logitBias must be ${logitBias.expected}, ` +
            `got ${describe(bias)} for ${describe(key)}`
        )
      }
      checked.set(id, bias)
    }
    return checked
  }
}

function isBias(value: unknown): value is number {
  return typeof value === 'number' && (value === -Infinity || Math.abs(value) <= maxBias)
}

const maxKeyLength = 1024

const cacheKey: Rule<string> = {
  expected: `a text of up to ${maxKeyLength} characters`,
  fallback: '',
  accept: (value) => (typeof value === 'string' && value.length <= maxKeyLength ? value : undefined)
}

const generateTable: OptionTable<GenerateSettings> = {
  what: 'generate options',
  rules: {
    maxTokens: integer(1, maxInt, 0),
    temperature: real(0, 100, 0.8),
    topK: integer(0, maxInt, 40),
    topP: real(1e-6, 1, 0.95),
    minP: real(0, 1, 0.05),
    typicalP: real(1e-6, 1, 1),
    repeatPenalty: real(0.01, 100, 1),
    repeatWindow: integer(0, maxInt, 64),
    presencePenalty: real(-2, 2, 0),
    frequencyPenalty: real(-2, 2, 0),
    seed,
    stop,
    logitBias,
    onOverflow: oneOf('error', 'shift'),
    priority: integer(-100, 100, 0),
    timeout: integer(1, maxInt, 0),
    cacheKey,
    signal: signalRule
  },
  later: {
    schema: 'output held to a JSON schema',
    grammar: 'output held to a grammar',
    logprobs: 'log-probabilities of the tokens'
  }
}

const encodeTable: OptionTable<{ bos: boolean; special: boolean }> = {
  what: 'encode options',
  rules: { bos: yesOrNo(false), special: yesOrNo(false) }
}

const decodeTable: OptionTable<{ special: boolean }> = {
  what: 'decode options',
  rules: { special: yesOrNo(false) }
}

const sessionTable: OptionTable<{
  system: string | undefined
  messages: readonly unknown[]
  cacheKey: string
}> = {
  what: 'session options',
  rules: {
    cacheKey,
    system: optional('a text', (value): value is string => typeof value === 'string'),
    // Checked as a conversation by chat/messages.ts.
    messages: {
      expected: 'an array of messages',
      fallback: [],
      accept: (value) => (Array.isArray(value) ? value : undefined)
    }
  }
}

/** @internal Also for the command line, which names a wrong flag before a model is loaded. */
export const checkLoad = (given: unknown) => checkOptions(loadTable, given)
export const checkEstimate = (given: unknown) => checkOptions(estimateTable, given)
/** @internal As `checkLoad`. */
export const checkBenchmark = (given: unknown) => checkOptions(benchmarkTable, given)
/** @internal As `checkLoad`. */
export const checkKernelBenchmark = (given: unknown) => checkOptions(kernelBenchmarkTable, given)
/** @internal As `checkLoad`. */
export const checkGenerate = (given: unknown) => checkOptions(generateTable, given)
export const checkEncode = (given: unknown) => checkOptions(encodeTable, given)
export const checkDecode = (given: unknown) => checkOptions(decodeTable, given)
export const checkSession = (given: unknown) => checkOptions(sessionTable, given)
