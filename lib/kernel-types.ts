/** Options and results of the kernel benchmark. */
/**
 * An operation that has kernels: `matmul` of packed weights, `matmul-rows` of weights as in the file,
 * `store_kv` of keys and values on their way to the cache.
 */
export type KernelOp =
  | 'matmul'
  | 'matmul-rows'
  | 'attention'
  | 'store_kv'
  | 'quantize'
  | 'rmsnorm'
  | 'rope'
  | 'silu_mul'
  | 'add'
  | 'exp'

/** Where weights, cached keys and values, or the rows of another operation lie when a kernel is called. */
export type KernelPlace = 'l1' | 'l2' | 'memory'

/** Which kernels are timed. What is absent is a choice that takes about half a minute. */
export interface KernelBenchmarkOptions {
  ops?: readonly KernelOp[] | undefined
  /**
   * Types of weights (`'q4_k'`), of cached keys and values (`'f16'`, `'q8_0'`), of what `quantize` makes
   * (`'q8_32'`), or `'f32'` of the others.
   */
  types?: readonly string[] | undefined
  /** Kernel tables, by name or variant. Default: the one that a load would take. */
  tables?: readonly string[] | undefined
  /** Weights from memory, `[N, K]`: outputs, a multiple of 32, and inputs, a multiple of 256. */
  shapes?: readonly (readonly [number, number])[] | undefined
  /** Numbers of tokens that a product, attention or `store_kv` is made for at once. */
  tokens?: readonly number[] | undefined
  /**
   * Tokens in the cache, from memory, before those of a call of attention or `store_kv`. Default: so
   * many that they are 4096 with up to 32 tokens of a call, and none before more.
   */
  depths?: readonly number[] | undefined
  places?: readonly KernelPlace[] | undefined
  /** Everything that the options above do not narrow: hours on a slow table, minutes else. */
  all?: boolean | undefined
  /** Threads that compute, 1 to 256. Default: one per physical core that the process may use. */
  threads?: number | undefined
  /** Samples of which the median is taken, 1 to 10000. Default 7. */
  samples?: number | undefined
  /** Called once, when the machine's limits are measured. */
  onLimits?: ((limits: KernelLimits) => void) | undefined
  /** Called with each row as it is measured. An error it throws ends the benchmark with it. */
  onRow?: ((row: KernelRow) => void) | undefined
  /** Ends the benchmark: it rejects with the signal's reason. */
  signal?: AbortSignal | undefined
}

/** What one kernel table reaches at most, on a number of threads together. */
export interface KernelCeiling {
  readonly table: string
  readonly threads: number
  /** 10⁹ operations a second of 8-bit products into 32-bit sums; a product is two. */
  readonly dotGops: number
  /** Likewise of fused multiply-adds of floats. */
  readonly fmaGops: number
  /** 10⁹ bytes a second, read from buffers of half a cache. */
  readonly l1: number
  readonly l2: number
  /** Null where nothing from memory is timed. */
  readonly memory: number | null
}

/** The limits of the machine, measured in the same run. */
export interface KernelLimits {
  readonly threads: number
  /** Of each table, on one thread and on all. */
  readonly ceilings: readonly KernelCeiling[]
  /** What it takes all threads to begin and end a piece of work together. */
  readonly barrierMicroseconds: number
  readonly l1Bytes: number
  readonly l2Bytes: number
  /** Of the buffer that what comes from memory lies in; 0: none. */
  readonly memoryBytes: number
}

/** One kernel on one shape. */
export interface KernelRow {
  readonly op: KernelOp
  readonly type: string
  readonly table: string
  readonly place: KernelPlace
  /** N and K of a product; positions in the cache and width of a head; 1 and width of a row. */
  readonly rows: number
  readonly cols: number
  readonly tokens: number
  readonly threads: number
  /** The worst error against the scalar table, as a share of what it may be. */
  readonly error: number
  /** False: the result is wrong, so that nothing was timed. */
  readonly right: boolean
  /** Of a call of all threads: weights of a product, cache of attention, else what is read and written. */
  readonly bytes: number
  readonly operations: number
  /** Median and best of the samples, of a call; null, as all that follows, where not timed. */
  readonly microseconds: number | null
  readonly bestMicroseconds: number | null
  readonly gigabytesPerSecond: number | null
  readonly gigaopsPerSecond: number | null
  /** Shares of the ceilings of the same table, place and number of threads. */
  readonly bandwidthShare: number | null
  readonly arithmeticShare: number | null
}

export interface KernelReport {
  readonly limits: KernelLimits
  readonly rows: readonly KernelRow[]
}
