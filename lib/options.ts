/** Every option, checked: one table per call, with the ranges and defaults that types.ts documents. */
import { type BeamSettings, beamRules, checkBeams } from './beams.js'
import {
  checkOptions,
  describe,
  integer,
  type OptionTable,
  oneOf,
  optional,
  type Rule,
  signalRule,
  yesOrNo
} from './check.js'
import { badArgument, unsupported } from './errors.js'
import type { GrammarText } from './grammar.js'
import { type GivenGrammar, grammarRules, toGrammar } from './grammar-options.js'
import type { KernelLimits, KernelOp, KernelPlace, KernelRow } from './kernel-types.js'
import { maxInt, type SamplingSettings, samplingRules, texts } from './sampling.js'
import type { PreparedSchema } from './schema/option.js'
import { resolveSource } from './source.js'
import { nearestName } from './suggest.js'
import { checkTools, type ToolSettings, toolRules } from './tools/declare.js'
import type { BenchmarkRow, Progress } from './types.js'

/** What decides how much memory a load takes, checked; 0 leaves the choice to the native side. */
export interface Sizes {
  devices: string // 'cpu', 'auto', 'cuda', 'cuda:N'
  threads: number
  contextSize: number
  batchSize: number
  sequences: number
  kvType: 'f16' | 'q8_0'
  mapped: boolean
  draft: string | undefined // path of a draft model
}

/** Load options, checked. */
export interface LoadSettings extends Sizes {
  maxQueue: number | undefined // undefined: no limit
  onProgress: ((progress: Progress) => void) | undefined
  signal: AbortSignal | undefined
}

/** Generate options, checked, with the defaults filled in. */
export interface GenerateSettings extends SamplingSettings, BeamSettings, ToolSettings {
  maxTokens: number // 0: until the context is full
  stop: readonly string[]
  banned: readonly string[]
  logprobs: number | undefined
  speculation: 'auto' | 'lookup' | 'off'
  onOverflow: 'error' | 'shift'
  grammar: GrammarText | undefined // also of a regex or a schema
  priority: number
  timeout: number // milliseconds; 0: none
  cacheKey: string
  schema: PreparedSchema | undefined
  signal: AbortSignal | undefined
}

/** A device's name or a list of one. Whether there is such a device the native side knows. */
const devices: Rule<string> = {
  expected: "'auto', 'cpu', 'cuda', 'cuda:N' or a list of one of them",
  fallback: 'cpu',
  accept(value) {
    const list: readonly unknown[] = Array.isArray(value) ? value : [value]
    const known = (device: unknown): device is string =>
      typeof device === 'string' && /^(auto|cpu|cuda(:\d{1,3})?)$/.test(device)
    if (!list.every(known)) return undefined
    if (list.length > 1) {
      throw unsupported('load options: devices: this version computes on one device; give one')
    }
    return list[0]
  }
}

/** A model file besides the one that is loaded. */
const modelPath: Rule<string | undefined> = {
  expected: 'the path or file URL of a GGUF file',
  fallback: undefined,
  accept: (value) =>
    value instanceof URL || typeof value === 'string' ? resolveSource(value) : undefined
}

const sizes = {
  devices,
  threads: integer(1, 256, 0),
  contextSize: integer(1, maxInt, 0),
  batchSize: integer(1, 65_536, 0),
  sequences: integer(1, 4096, 0),
  kvType: oneOf('f16', 'q8_0'),
  mapped: yesOrNo(false),
  draft: modelPath
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

const maxKeyLength = 1024

const cacheKey: Rule<string> = {
  expected: `a text of up to ${maxKeyLength} characters`,
  fallback: '',
  accept: (value) => (typeof value === 'string' && value.length <= maxKeyLength ? value : undefined)
}

/** Generate options as given: what an answer is held to comes in one of several options. */
type GivenSettings = Omit<GenerateSettings, keyof GivenGrammar> & GivenGrammar

const generateTable: OptionTable<GivenSettings> = {
  what: 'generate options',
  rules: {
    maxTokens: integer(1, maxInt, 0),
    ...samplingRules,
    ...beamRules,
    stop: texts(true, []),
    banned: texts(true, []),
    logprobs: integer(0, 20, undefined),
    speculation: oneOf('auto', 'lookup', 'off'),
    onOverflow: oneOf('error', 'shift'),
    ...grammarRules,
    priority: integer(-100, 100, 0),
    timeout: integer(1, maxInt, 0),
    cacheKey,
    ...toolRules,
    signal: signalRule
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
export function checkGenerate(given: unknown): GenerateSettings {
  const { grammar, regex, ...settings } = checkOptions(generateTable, given)
  const { tools } = settings
  checkBeams(given, settings)
  checkTools(settings)
  if (regex !== undefined && tools.size > 0) {
    throw badArgument('generate options: regex and tools exclude each other; write it as a grammar')
  }
  return { ...settings, grammar: toGrammar({ ...settings, grammar, regex }) }
}
export const checkEncode = (given: unknown) => checkOptions(encodeTable, given)
export const checkDecode = (given: unknown) => checkOptions(decodeTable, given)
export const checkSession = (given: unknown) => checkOptions(sessionTable, given)
