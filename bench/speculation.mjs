#!/usr/bin/env node
/**
 * What speculation saves: tokens a second with it against without, in interleaved runs.
 *
 *   node bench/speculation.mjs [--rounds N] [--tokens N] [--threads N] [--folder DIR] [--json FILE]
 *
 * Guesses depend on the text, so the text has to be a trained one; what they save depends on what a
 * step costs, so the steps have to be a large model's. The demo model among zeros
 * (support/widened-llama.mjs) is both: 1.0 B parameters in Q8_0 that tell the demo model's stories.
 *
 *   texts   fresh       a story that goes on
 *           retold      a story that is told again
 *           repeated    a sentence that is said over and over
 *           records     JSON by a schema: a list of objects, whose keys come again and again
 *   ways    off         no guesses
 *           lookup      prompt lookup
 *           draft       and the demo model as the draft, which nearly always agrees: the most there is
 *           worn draft  and the demo model with all of its weights off by up to a quarter
 *
 * Each is measured greedily and at temperature 0.8. Ratios are of the decode rates of one round,
 * whose order is another one each time; quoted are the median and the middle half.
 */
import { existsSync, mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Model } from '../dist/index.js'
import { summarize } from './peers/statistics.mjs'
import { saveResults } from './support/results.mjs'
import { wearLlama, widenLlama } from './support/widened-llama.mjs'

const demo = fileURLToPath(new URL('../models/cria-demo-q8_0.gguf', import.meta.url))
const SHAPE = { width: 2048, layers: 22, feedForward: 5632 }
const WEAR = 0.25
const SENTENCE = 'The quick brown fox tells a long story to the small red bird. '
const RECORDS = {
  type: 'array',
  minItems: 20,
  items: {
    type: 'object',
    properties: {
      name: { type: 'string', minLength: 3, maxLength: 12 },
      favourite_colour: { enum: ['red', 'green', 'blue', 'yellow'] },
      age_in_years: { type: 'integer', minimum: 1, maximum: 99 }
    },
    required: ['name', 'favourite_colour', 'age_in_years'],
    additionalProperties: false
  }
}

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '9' },
    tokens: { type: 'string', default: '96' },
    threads: { type: 'string' },
    folder: { type: 'string', default: join(tmpdir(), 'cria-bench') },
    json: { type: 'string' }
  }
})
const rounds = Number(values.rounds)
const maxTokens = Number(values.tokens)
const threads = values.threads === undefined ? {} : { threads: Number(values.threads) }

function files() {
  mkdirSync(values.folder, { recursive: true })
  const large = join(values.folder, 'demo-1.0b-q8_0.gguf')
  const worn = join(values.folder, 'demo-worn-q8_0.gguf')
  if (!existsSync(large)) widenLlama(demo, large, SHAPE)
  if (!existsSync(worn)) wearLlama(demo, worn, WEAR)
  return { large, worn }
}

/** One model for all ways without a draft: the guesses of one request are none of another's. */
async function openWays({ large, worn }) {
  const plain = await Model.load(large, threads)
  return [
    { name: 'off', model: plain, speculation: 'off' },
    { name: 'lookup', model: plain, speculation: 'lookup' },
    { name: 'draft', model: await Model.load(large, { ...threads, draft: demo }) },
    { name: 'worn draft', model: await Model.load(large, { ...threads, draft: worn }) }
  ]
}

async function textsOf(model) {
  const begin = 'Once upon a time'
  const { text } = await model.generate(begin, { maxTokens: 80, temperature: 0 })
  const story = begin + text
  return [
    { name: 'fresh', prompt: 'One day a little girl found' },
    { name: 'retold', prompt: `${story}\n\n${story.slice(0, story.length / 3)}` },
    { name: 'repeated', prompt: SENTENCE.repeat(8) + SENTENCE.slice(0, 30) },
    { name: 'records', prompt: 'The children of the village:', schema: RECORDS }
  ]
}

/** A generation to the full count, so that all ways decode as many tokens. */
async function measure({ model, speculation }, { prompt, schema, temperature }) {
  const result = await model.generate(prompt, {
    maxTokens,
    temperature,
    seed: 5,
    logitBias: { [model.tokenizer.eosId]: Number.NEGATIVE_INFINITY },
    ...(speculation ? { speculation } : {}),
    ...(schema ? { schema } : {})
  })
  const { decodeMs, guessedTokens, acceptedTokens } = result.timings
  const rate = (1000 * (result.usage.completionTokens - 1)) / decodeMs
  return { rate, guessedTokens, acceptedTokens, text: result.text }
}

function reportRow(text, temperature, way, runs) {
  const sum = (key) => runs.reduce((total, run) => total + run[key], 0)
  return {
    text,
    temperature,
    way: way.name,
    tokensPerSecond: summarize(runs.map(({ rate }) => rate)).median,
    ratio: summarize(runs.map(({ ratio }) => ratio)),
    guessed: sum('guessedTokens') / runs.length,
    accepted: sum('acceptedTokens') / runs.length
  }
}

async function measureCase(ways, text, temperature) {
  const runs = new Map(ways.map((way) => [way, []]))
  for (let round = -1; round < rounds; round++) {
    const order = ways.map((_, i) => ways[(i + Math.max(0, round)) % ways.length])
    const results = new Map()
    for (const way of order) {
      results.set(way, await measure(way, { ...text, temperature }))
    }
    const off = results.get(ways[0])
    for (const [way, run] of results) {
      if (run.text !== off.text) throw new Error(`${way.name}: another text than without guesses`)
      if (round >= 0) runs.get(way).push({ ...run, ratio: run.rate / off.rate }) // the first warms up
    }
  }
  return ways.map((way) => reportRow(text.name, temperature, way, runs.get(way)))
}

const ways = await openWays(files())
const { info } = ways[0].model
const rows = []
for (const text of await textsOf(ways[0].model)) {
  for (const temperature of [0, 0.8]) rows.push(...(await measureCase(ways, text, temperature)))
}
for (const model of new Set(ways.map(({ model }) => model))) await model.dispose()

console.log(`${info.description}, ${info.threads} threads, ${info.kernels}, ${maxTokens} tokens\n`)
console.log('| text | temperature | guesses | tokens/s | against none | guessed | right |')
console.log('| --- | ---: | --- | ---: | ---: | ---: | ---: |')
for (const { text, temperature, way, tokensPerSecond, ratio, guessed, accepted } of rows) {
  const { median, q1, q3 } = ratio
  const times = `${median.toFixed(2)} (${q1.toFixed(2)}–${q3.toFixed(2)})`
  console.log(
    `| ${text} | ${temperature} | ${way} | ${tokensPerSecond.toFixed(1)} | ${times} | ` +
      `${guessed.toFixed(0)} | ${accepted.toFixed(0)} |`
  )
}
if (values.json) {
  const command = `node bench/speculation.mjs --rounds ${rounds} --tokens ${maxTokens}`
  saveResults(values.json, { command, info, rows })
}
