/** What is measured: every case of a run. */
import { existsSync } from 'node:fs'
import { basename } from 'node:path'
import { demoModel, storiesModel } from './models.mjs'

/** How many tokens a streamed text has, unless the model ends it before. */
const STREAM_TOKENS = 256

/** Prefill and decode of each model, at each depth and with each KV type. */
export function speedCases(models, { prompt, generate, depths, kvTypes, threads }) {
  const cases = []
  for (const path of models) {
    for (const kvType of kvTypes) {
      for (const depth of depths) {
        const add = (kind, tokens) => {
          const name = `${kind}${tokens}${depth > 0 ? ` @ d${depth}` : ''}`
          cases.push({ path, model: nameOf(path), name, kind, tokens, depth, kvType, threads })
        }
        for (const tokens of prompt) add('pp', tokens)
        for (const tokens of generate) add('tg', tokens)
      }
    }
  }
  return cases
}

/** Streaming of small models, where the time goes into what is around the network. */
export function streamCases({ threads }) {
  return [demoModel, storiesModel].filter(existsSync).map((path) => ({
    path,
    model: nameOf(path),
    name: 'stream',
    kind: 'stream',
    tokens: STREAM_TOKENS,
    depth: 0,
    kvType: 'f16',
    threads
  }))
}

const ALONE = { rate: 0, turns: 1, prefix: 0, prefixes: 1, prompt: 32, predict: 64, seed: 1 }

/** What `serve` measures: settings of `cria bench load` (lib/cli/load-plan.ts). */
const LOADS = {
  '1 stream': { ...ALONE, conversations: 1 },
  '8 streams': { ...ALONE, conversations: 8 },
  '8 conversations': {
    conversations: 8,
    rate: 0.5,
    turns: 2,
    prefix: 256,
    prefixes: 2,
    prompt: 32,
    predict: 32,
    seed: 1
  }
}

/** Conversations at once on each model. */
export function serveCases(models, { threads }) {
  return models.flatMap((path) =>
    Object.entries(LOADS).map(([name, load]) => ({
      path,
      model: nameOf(path),
      name,
      kind: 'serve',
      load,
      kvType: 'f16',
      threads
    }))
  )
}

export const nameOf = (path) => basename(path).replace(/\.gguf$/, '')
