/** What Cria finds on this machine: for `cria doctor` and for reports of problems. */
import { availableParallelism, cpus, platform, release, totalmem } from 'node:os'
import { calling, toCriaError } from './errors.js'
import { native, nativePath } from './native.js'
import { cudaPlugin, demoModel } from './source.js'
import { version } from './version.js'

/** One table of CPU kernels. */
export interface KernelTable {
  readonly name: string
  /** What it makes use of beyond its name, such as VNNI; empty: nothing. */
  readonly variant: string
  readonly supported: boolean
}

/** What a measurement is worth depends on it. */
export interface Machine {
  /** As the CPU names itself; '': it does not. */
  readonly cpu: string
  /** That the operating system counts, and of them those that this process may use. */
  readonly cores: number
  readonly usableCores: number
  readonly memoryBytes: number
  readonly os: string
  readonly node: string
}

export interface Diagnosis {
  readonly version: string
  readonly machine: Machine
  /** The native addon: its own version, and the file it was loaded from. */
  readonly addon: { readonly version: string; readonly path: string }
  readonly demoModel: string
  readonly cpu: {
    readonly features: string[]
    /** All kernel tables of this build, best first. */
    readonly tables: KernelTable[]
    /** The value of CRIA_CPU, which forces a table; null: not set, so the best one is taken. */
    readonly forced: string | null
    /** The table that a load would take; null where CRIA_CPU names none, with the reason. */
    readonly selected: { readonly name: string; readonly variant: string } | null
    readonly problem: string | null
    /** Threads that a load takes by default. */
    readonly threads: number
  }
  /** Bytes of memory that this machine, or its container, has free now. */
  readonly availableBytes: number
}

/** A GPU that the driver shows. */
export interface CudaDevice {
  /** What `devices` calls it: `'cuda:0'`. */
  readonly device: string
  readonly name: string
  /** Compute capability: `'9.0'`. */
  readonly capability: string
  readonly memoryBytes: number
  readonly freeBytes: number
  /** Why Cria does not compute on it; null: it does. */
  readonly problem: string | null
}

export interface CudaDiagnosis {
  /** The plugin's library that was looked for. */
  readonly plugin: string
  /** What it was built by and for, in its own words; null: there is none that fits. */
  readonly build: string | null
  /** Why there is no device at all, and what to do; null: there is one. */
  readonly problem: string | null
  readonly devices: readonly CudaDevice[]
}

/** Asks the CUDA plugin and its driver, which may take a while; rejects for nothing that it finds. */
export function diagnoseCuda(): Promise<CudaDiagnosis> {
  return calling(() => native.cuda(cudaPlugin()))
}

/** Looks, loads nothing, and never throws for what it finds. */
export function diagnose(): Diagnosis {
  const { features, tables, threads, availableBytes } = native.cpu()
  const forced = process.env.CRIA_CPU || null
  let selected: Diagnosis['cpu']['selected'] = null
  let problem: string | null = null
  try {
    selected = native.selectTable(forced ?? '')
  } catch (error) {
    problem = toCriaError(error).message
  }
  return {
    version,
    machine: describeMachine(),
    addon: { version: native.version, path: nativePath },
    demoModel,
    cpu: { features, tables, forced, selected, problem, threads },
    availableBytes
  }
}

function describeMachine(): Machine {
  const all = cpus()
  return {
    cpu: all[0]?.model.trim() ?? '',
    cores: all.length,
    usableCores: availableParallelism(),
    memoryBytes: totalmem(),
    os: `${platform()} ${release()} ${process.arch}`,
    node: process.version
  }
}
