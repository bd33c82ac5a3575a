/** Times the network of a model, as llama-bench does: no tokenizer, no sampler, random tokens. */
import { cancellable } from './cancellable.js'
import { badArgument } from './errors.js'
import { type NativeBenchmarkCase, type NativeLoadOptions, native } from './native.js'
import { checkBenchmark } from './options.js'
import { resolveSource, toNative } from './source.js'
import type { BenchmarkOptions, BenchmarkReport, BenchmarkRow } from './types.js'

/**
 * Loads a model and times prompts of each size in `prompt` (computed in steps of the batch size) and
 * generation of each size in `generate` (one token after the other, each with its logits), at every
 * depth. Each is run once untimed and then `repetitions` times. Rejects as `Model.load` does.
 */
export async function benchmark(
  source?: string | URL,
  options?: BenchmarkOptions
): Promise<BenchmarkReport> {
  const settings = checkBenchmark(options)
  const path = resolveSource(source)
  const cases = settings.depths.flatMap((depth) => [
    ...settings.prompt.map((prompt) => ({ prompt, generate: 0, depth })),
    ...settings.generate.map((generate) => ({ prompt: 0, generate, depth }))
  ])
  if (cases.length === 0) {
    throw badArgument('benchmark options: expected at least one size in prompt or generate')
  }
  const seconds: number[][] = cases.map(() => [])
  const rows: BenchmarkRow[] = []
  const model = await cancellable(settings.signal, (token, guard) => {
    const onSeconds = guard((index: number, value: number) => {
      const all = seconds[index] as number[]
      all.push(value)
      if (all.length < settings.repetitions) return
      const row = toRow(cases[index] as NativeBenchmarkCase, all)
      rows.push(row)
      settings.onRow?.(row)
    })
    const sizes: NativeLoadOptions = {
      ...toNative(settings),
      contextSize: settings.contextSize || roomFor(cases)
    }
    return native.benchmark(path, sizes, cases, settings.repetitions, token, onSeconds)
  })
  return { model, kvType: settings.kvType, rows }
}

/** The context that the longest case needs. */
function roomFor(cases: readonly NativeBenchmarkCase[]): number {
  return Math.max(...cases.map(({ prompt, generate, depth }) => prompt + generate + depth))
}

function toRow({ prompt, generate, depth }: NativeBenchmarkCase, seconds: number[]): BenchmarkRow {
  const rates = seconds.map((value) => (prompt + generate) / value)
  const mean = rates.reduce((sum, rate) => sum + rate, 0) / rates.length
  const squares = rates.reduce((sum, rate) => sum + (rate - mean) ** 2, 0)
  const deviation = rates.length > 1 ? Math.sqrt(squares / (rates.length - 1)) : 0
  const name = `${prompt > 0 ? `pp${prompt}` : `tg${generate}`}${depth > 0 ? ` @ d${depth}` : ''}`
  return { name, prompt, generate, depth, seconds, tokensPerSecond: mean, deviation }
}
