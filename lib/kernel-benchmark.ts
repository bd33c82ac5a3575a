/** Times kernels, each after its result was checked, beside the limits of the machine. */
import { cancellable } from './cancellable.js'
import { badArgument, callingNow } from './errors.js'
import type {
  KernelBenchmarkOptions,
  KernelCeiling,
  KernelLimits,
  KernelOp,
  KernelPlace,
  KernelReport,
  KernelRow
} from './kernel-types.js'
import {
  type NativeCeiling,
  type NativeKernelCase,
  type NativeKernelResult,
  type NativeLimits,
  native
} from './native.js'
import {
  checkKernelBenchmark,
  type KernelBenchmarkSettings,
  kernelOps,
  kernelPlaces,
  kernelTypes
} from './options.js'

/** N × K of the products of a 1.1B and a 7B model. */
const allShapes: readonly (readonly [number, number])[] = [
  [2048, 2048],
  [5632, 2048],
  [2048, 5632],
  [4096, 4096],
  [11_008, 4096]
]
const someShapes: typeof allShapes = [
  [5632, 2048],
  [4096, 4096]
]
const allTokens = [1, 4, 8, 32, 512]
const someTokens = [1, 512]
const someWeightTypes = 5 // the first of kernelTypes
const headWidths = [64, 128]
/** Up to so many tokens are a step of decoding: they look back on a long context. */
const decodeTokens = 32
const decodePositions = 4096

/** One case, in the words of the API; what the native side chooses is 0. */
interface KernelCase {
  readonly op: KernelOp
  readonly type: string
  readonly table: string
  readonly place: KernelPlace
  readonly rows: number
  readonly cols: number
  readonly tokens: number
}

/**
 * Measures what this machine reaches at most (dot products, fused multiply-adds, reading from each
 * place), then checks every kernel that the options ask for against the scalar table and times it. A
 * kernel whose result is wrong has a row that says so, and no times.
 */
export async function kernelBenchmark(options?: KernelBenchmarkOptions): Promise<KernelReport> {
  const settings = checkKernelBenchmark(options)
  const cases = toCases(settings)
  let limits: KernelLimits | undefined
  const rows: KernelRow[] = []
  await cancellable(settings.signal, (token, guard) => {
    const onLimits = guard((measured: NativeLimits) => {
      limits = toLimits(measured)
      settings.onLimits?.(limits)
    })
    const onResult = guard((index: number, result: NativeKernelResult) => {
      const row = toRow(cases[index] as KernelCase, result, limits as KernelLimits)
      rows.push(row)
      settings.onRow?.(row)
    })
    const { threads, samples } = settings
    return native.kernelBenchmark(cases.map(toNative), threads, samples, token, onLimits, onResult)
  })
  return { limits: limits as KernelLimits, rows }
}

function isProduct(op: KernelOp): boolean {
  return op === 'matmul' || op === 'matmul-rows'
}

/** Whether the operation reads or writes cached keys and values. */
function isCached(op: KernelOp): boolean {
  return op === 'attention' || op === 'store_kv'
}

/** The variants that were asked for, each once. */
function toTables({ tables, all }: KernelBenchmarkSettings): string[] {
  const supported = () => native.cpu().tables.filter((table) => table.supported)
  const every = () => supported().flatMap(({ variant }) => (variant === 'scalar' ? [] : [variant]))
  const named = tables ?? (all ? every() : [process.env.CRIA_CPU ?? ''])
  return [...new Set(named.map((name) => callingNow(() => native.selectTable(name)).variant))]
}

function toCases(settings: KernelBenchmarkSettings): KernelCase[] {
  const { all, types, shapes = all ? allShapes : someShapes } = settings
  // Weights as they lie in the file are not what a load computes with, unless asked for.
  const ops = settings.ops ?? kernelOps.filter((op) => all || op !== 'matmul-rows')
  const tokens = settings.tokens ?? (all ? allTokens : someTokens)
  const cases = toTables(settings).flatMap((table) =>
    ops.flatMap((op) => {
      const most = isProduct(op) && !all && !types ? someWeightTypes : kernelTypes[op].length
      const chosen = kernelTypes[op].slice(0, most).filter((type) => types?.includes(type) ?? true)
      return chosen.flatMap((type) =>
        (settings.places ?? kernelPlaces).flatMap((place) =>
          toSizes(op, place, shapes, tokens, settings.depths).map((size) => ({
            ...{ op, type, table, place },
            ...size
          }))
        )
      )
    })
  )
  if (cases.length > 0) return cases
  throw badArgument(
    'kernel benchmark options: no kernel is left; an operation has only some of the types ' +
      '(quantize: q8_32, q8_256; products: those of weights; attention, store_kv: f16, q8_0; ' +
      'others: f32), and all but the products, and attention and store_kv from memory, only tokens 1'
  )
}

function toSizes(
  op: KernelOp,
  place: KernelPlace,
  shapes: NonNullable<KernelBenchmarkSettings['shapes']>,
  tokens: readonly number[],
  depths: readonly number[] | undefined
): Pick<KernelCase, 'rows' | 'cols' | 'tokens'>[] {
  // In a cache the native side chooses what fits.
  const sizes = place === 'memory' ? shapes : ([[0, 0]] as const)
  if (isProduct(op)) {
    return sizes.flatMap(([rows, cols]) => tokens.map((count) => ({ rows, cols, tokens: count })))
  }
  if (isCached(op) && place === 'memory') {
    const usual = (count: number) => (count <= decodeTokens ? [decodePositions - count] : [0])
    return headWidths.flatMap((cols) =>
      tokens.flatMap((count) =>
        (depths ?? usual(count)).map((depth) => ({ rows: depth + count, cols, tokens: count }))
      )
    )
  }
  const widths = [...new Set(sizes.map(([, cols]) => cols))]
  return tokens.includes(1) ? widths.map((cols) => ({ rows: 0, cols, tokens: 1 })) : []
}

function toNative(work: KernelCase): NativeKernelCase {
  return { ...work, type: work.type.toUpperCase() }
}

const giga = 1e9

function toCeiling({ table, threads, dots, fmas, l1, l2, memory }: NativeCeiling): KernelCeiling {
  return {
    table,
    threads,
    dotGops: dots / giga,
    fmaGops: fmas / giga,
    l1: l1 / giga,
    l2: l2 / giga,
    memory: memory > 0 ? memory / giga : null
  }
}

function toLimits({ ceilings, barrierSeconds, ...sizes }: NativeLimits): KernelLimits {
  return {
    ...sizes,
    ceilings: ceilings.map(toCeiling),
    barrierMicroseconds: barrierSeconds * 1e6
  }
}

function toRow(work: KernelCase, result: NativeKernelResult, limits: KernelLimits): KernelRow {
  const { rows, cols, error, wrong, bytes, operations, median, best } = result
  const { threads } = limits
  const known = { ...work, rows, cols, threads, error, right: !wrong, bytes, operations }
  const ceiling = limits.ceilings.find(
    (one) => one.table === work.table && one.threads === threads
  ) as KernelCeiling
  if (wrong) {
    return {
      ...known,
      microseconds: null,
      bestMicroseconds: null,
      gigabytesPerSecond: null,
      gigaopsPerSecond: null,
      bandwidthShare: null,
      arithmeticShare: null
    }
  }
  const gigabytes = bytes / median / giga
  const gigaops = operations / median / giga
  const bandwidth = ceiling[work.place]
  return {
    ...known,
    microseconds: median * 1e6,
    bestMicroseconds: best * 1e6,
    gigabytesPerSecond: gigabytes,
    gigaopsPerSecond: gigaops,
    bandwidthShare: bandwidth ? gigabytes / bandwidth : null,
    arithmeticShare: gigaops / (countsBytes(work) ? ceiling.dotGops : ceiling.fmaGops)
  }
}

/** Whether the arithmetic is 8-bit products. */
function countsBytes({ op, type }: KernelCase): boolean {
  return isProduct(op) && !['f32', 'f16', 'bf16'].includes(type)
}
