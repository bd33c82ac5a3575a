/**
 * Cria: fast Llama inference in Node.
 *
 * {@link Model} loads a GGUF file and generates; {@link Generation} is a running generation, awaited
 * or iterated; {@link Session} is a conversation; {@link Tokenizer} is a vocabulary alone. Every
 * failure is a {@link CriaError}, or the reason of the caller's own abort signal.
 */
export type { BeamOptions, BeamText } from './beams.js'
export { benchmark } from './benchmark.js'
export {
  type CudaDevice,
  type CudaDiagnosis,
  type Diagnosis,
  diagnose,
  diagnoseCuda,
  type KernelTable,
  type Machine
} from './diagnose.js'
export { CriaError, type CriaErrorCode } from './errors.js'
export type { RequestEnd, RequestKind, RequestStart, StepNews } from './events.js'
export type { Generation } from './generation.js'
export { kernelBenchmark } from './kernel-benchmark.js'
export type {
  KernelBenchmarkOptions,
  KernelCeiling,
  KernelLimits,
  KernelOp,
  KernelPlace,
  KernelReport,
  KernelRow
} from './kernel-types.js'
export type { EmbedInput, EmbedOptions, Score, ScoreInput, ScoreOptions } from './measure.js'
export { Model } from './model.js'
export { checkBenchmark, checkGenerate, checkKernelBenchmark, checkLoad } from './options.js'
export type { Samples, SamplesOptions, SamplesResult } from './samples.js'
export type { SamplerName, SamplingOptions } from './sampling.js'
export { type CompiledSchema, compileSchema } from './schema/compile.js'
export type { InferSchema, JsonSchema, Schema } from './schema/infer.js'
export type { StandardSchema } from './schema/standard.js'
export type { Session } from './session.js'
export type { ModelStats } from './stats.js'
export { nearestName } from './suggest.js'
export { type StreamDecoder, Tokenizer } from './tokenizer.js'
export type {
  Tool,
  ToolCall,
  ToolChoice,
  ToolContext,
  ToolOutcome,
  ToolSchema,
  Tools
} from './tools/types.js'
export type {
  BenchmarkOptions,
  BenchmarkReport,
  BenchmarkRow,
  Chunk,
  DecodeOptions,
  EncodeOptions,
  Estimate,
  EstimateOptions,
  FinishReason,
  GenerateInput,
  GenerateOptions,
  Inspection,
  LoadOptions,
  Logprob,
  Message,
  MetadataValue,
  ModelInfo,
  ObjectResult,
  Progress,
  Result,
  SchemaOptions,
  SessionOptions,
  TensorInfo,
  Timings,
  TokenLogprob,
  Usage
} from './types.js'
export { version } from './version.js'
