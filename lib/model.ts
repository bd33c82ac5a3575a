/** The model: loading, generating, conversations. */
import { cancellable } from './cancellable.js'
import { describe } from './check.js'
import { badArgument, calling } from './errors.js'
import type { Generation } from './generation.js'
import { LoadedModel } from './loaded.js'
import {
  type EmbedInput,
  type EmbedOptions,
  embedAll,
  type Score,
  type ScoreInput,
  type ScoreOptions,
  score
} from './measure.js'
import { native } from './native.js'
import { checkEstimate, checkLoad, type LoadSettings } from './options.js'
import { toOrder } from './prompt.js'
import type { Prompt } from './request.js'
import { Router } from './router.js'
import { checkSamples, Samples, type SamplesOptions, sampleSeeds } from './samples.js'
import { checkSeed } from './sampling.js'
import type { InferSchema, Schema } from './schema/infer.js'
import { Session } from './session.js'
import { resolveSource, toNative } from './source.js'
import type { ModelStats } from './stats.js'
import type { Tokenizer } from './tokenizer.js'
import type {
  Estimate,
  EstimateOptions,
  GenerateInput,
  GenerateOptions,
  Inspection,
  LoadOptions,
  ModelInfo,
  ObjectResult,
  SchemaOptions,
  SessionOptions
} from './types.js'

/**
 * A loaded language model.
 *
 * ```ts
 * await using model = await Model.load('llama-2-7b-chat.Q4_K_M.gguf')
 * for await (const { text } of model.generate('Once upon a time')) process.stdout.write(text)
 * ```
 */
export class Model {
  readonly #loaded: LoadedModel

  private constructor(loaded: LoadedModel) {
    this.#loaded = loaded
  }

  /**
   * Loads a model from a GGUF file (the first one of a split set): a path, a file URL, or nothing
   * for the small demo model in the package. Rejects with ERR_CRIA_FILE, ERR_CRIA_BAD_GGUF,
   * ERR_CRIA_UNSUPPORTED, ERR_CRIA_NO_DEVICE, ERR_CRIA_OUT_OF_MEMORY or ERR_CRIA_BAD_ARGUMENT, or
   * with the reason of an aborted signal.
   */
  static async load(source?: string | URL, options?: LoadOptions): Promise<Model> {
    const settings = checkLoad(options)
    const path = resolveSource(source)
    return new Model(await loadNative(path, settings))
  }

  /** Reads the header of a GGUF file, and nothing else of it. */
  static async inspect(source?: string | URL): Promise<Inspection> {
    const path = resolveSource(source)
    return calling(() => native.inspect(path))
  }

  /** Bytes that loading with these options would take, from the header alone. */
  static async estimate(source?: string | URL, options?: EstimateOptions): Promise<Estimate> {
    const settings = checkEstimate(options)
    const path = resolveSource(source)
    return calling(() => native.estimate(path, toNative(settings)))
  }

  /** What the model is, and the sizes it was loaded with. */
  get info(): ModelInfo {
    return this.#loaded.info
  }

  /** The model's vocabulary; it stays usable after `dispose`. */
  get tokenizer(): Tokenizer {
    return this.#loaded.tokenizer
  }

  /**
   * Continues a text, token ids or a conversation. The generation begins at once. It rejects with
   * ERR_CRIA_BAD_ARGUMENT, ERR_CRIA_UNSUPPORTED, ERR_CRIA_CONTEXT_OVERFLOW (the prompt does not
   * fit), ERR_CRIA_OUT_OF_MEMORY, ERR_CRIA_DISPOSED, ERR_CRIA_BACKEND, or the reason of an aborted
   * signal.
   */
  generate<const S extends Schema>(
    input: GenerateInput,
    options: SchemaOptions<S>
  ): Generation<ObjectResult<InferSchema<S>>>
  generate(input: GenerateInput, options?: GenerateOptions): Generation
  generate(input: GenerateInput, options?: GenerateOptions): Generation {
    return this.#loaded.submit(() => {
      const settings = this.#loaded.settings(options)
      return { settings, sequence: 0, ...toOrder(input, settings, this.#loaded) }
    })
  }

  /**
   * Several generations of one input, which is computed once, each with a seed of its own, derived from
   * `seed`. Throws ERR_CRIA_BAD_ARGUMENT for a wrong `n` or `best`; all else rejects as in `generate`.
   */
  generateMany(input: GenerateInput, options: GenerateOptions & SamplesOptions = {}): Samples {
    const { n, best, ...rest } = options
    if (rest.beams !== undefined) {
      throw badArgument(
        'generateMany samples; generate gives all texts of a beam search as result.beams'
      )
    }
    const settings = checkSamples({ n, best })
    // The same prompt for all of them: messages are rendered once.
    let prompt: Prompt | Promise<Prompt> | undefined
    const seeds = sampleSeeds(checkSeed(rest.seed), settings.n)
    const generations = seeds.map((seed) =>
      this.#loaded.submit(() => {
        const given = this.#loaded.settings({ ...rest, seed })
        const logprobs = given.logprobs ?? (settings.best && 0)
        const order = toOrder(input, given, this.#loaded)
        const prepare = () => {
          prompt ??= order.prepare()
          return prompt
        }
        return { ...order, settings: { ...given, logprobs }, sequence: 0, prepare }
      })
    )
    return new Samples(generations, settings.best)
  }

  /** Opens a conversation that keeps its KV cache between turns. */
  session(options?: SessionOptions): Session {
    return new Session(this.#loaded, options)
  }

  /**
   * Opens a conversation that `session.save` wrote, with what was cached of it. Rejects with
   * ERR_CRIA_FILE, or with ERR_CRIA_BAD_SESSION where the file is damaged or of another model.
   */
  restore(path: string | URL): Promise<Session> {
    return Session.restore(this.#loaded, path)
  }

  /**
   * The embedding of a text, or of each of several: the network's last states, pooled. They are computed
   * among the generations that run, and their bits do not depend on those. Rejects as `generate` does;
   * where one text is wrong, for all.
   */
  embed(text: string, options?: EmbedOptions): Promise<Float32Array>
  embed(texts: readonly EmbedInput[], options?: EmbedOptions): Promise<Float32Array[]>
  async embed(
    texts: string | readonly EmbedInput[],
    options?: EmbedOptions
  ): Promise<Float32Array | Float32Array[]> {
    if (typeof texts === 'string') {
      const [embedding] = await embedAll(this.#loaded, [texts], options)
      return embedding as Float32Array
    }
    if (!Array.isArray(texts)) {
      throw badArgument(`embed: expected a text or an array of texts, got ${describe(texts)}`)
    }
    return embedAll(this.#loaded, texts, options)
  }

  /** How likely the model finds each token of a text after those before it. Rejects as `embed` does. */
  score(input: ScoreInput, options?: ScoreOptions): Promise<Score> {
    return score(this.#loaded, input, options)
  }

  /**
   * What the model is doing and has done, at this moment: counters that the engine keeps, read without
   * waiting for it. Throws ERR_CRIA_DISPOSED.
   */
  stats(): ModelStats {
    return this.#loaded.stats()
  }

  /**
   * Gives all memory back. Generations that run reject with ERR_CRIA_DISPOSED, and so does every
   * later call. May be called twice.
   */
  dispose(): Promise<void> {
    return this.#loaded.dispose()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose()
  }
}

async function loadNative(path: string, settings: LoadSettings): Promise<LoadedModel> {
  const { signal, onProgress } = settings
  const router = new Router()
  const model = await cancellable(
    signal,
    (token, guard) => {
      const report = guard((stage: string, loaded: number, total: number) =>
        onProgress?.({ stage, loaded, total })
      )
      return native.loadModel(path, toNative(settings), token, router.deliver, report)
    },
    (late) => late.dispose()
  )
  return new LoadedModel(model, router)
}
