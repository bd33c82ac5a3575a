#!/usr/bin/env node
/**
 * What holding a text to a grammar costs: milliseconds a token with it against without, in interleaved
 * runs, as a share of a decode step.
 *
 *   node bench/mask-cost.mjs [--shape 1.1b|7b|tiny] [--type TYPE] [--rounds N] [--tokens N]
 *                            [--threads N] [--folder DIR] [--json FILE]
 *
 * The model has the shape's sizes and random weights (support/random-llama.mjs): its text is noise, which
 * leads a grammar into more different states than sense would. All ways draw as many tokens: each
 * grammar goes on for ever, and without one the end of the text is banned.
 *
 * `cold` is the first generation under a grammar, which makes the masks of its states; `warm` are the
 * rounds after it, with another seed each. Ratios are to the run without a grammar in the same round.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Model } from '../dist/index.js'
import { summarize } from './peers/statistics.mjs'
import { SHAPES, writeRandomLlama } from './support/random-llama.mjs'

const { values } = parseArgs({
  options: {
    shape: { type: 'string', default: '1.1b' },
    type: { type: 'string', default: 'q4_k_m' },
    rounds: { type: 'string', default: '15' },
    tokens: { type: 'string', default: '64' },
    threads: { type: 'string' },
    folder: { type: 'string', default: join(tmpdir(), 'cria-bench') },
    json: { type: 'string' }
  }
})
const rounds = Number(values.rounds)
const maxTokens = Number(values.tokens)

/** Twenty fields of all kinds, over and over. */
const record = {
  type: 'object',
  properties: Object.fromEntries(
    Array.from({ length: 20 }, (_, i) => [
      `field_${i}`,
      [
        { type: 'string', minLength: 4, maxLength: 40 },
        { type: 'integer', minimum: 0, maximum: 100_000 },
        { enum: ['red', 'green', 'blue'] },
        { type: 'array', items: { type: 'number' }, minItems: 2 }
      ][i % 4]
    ])
  ),
  additionalProperties: false
}
record.required = Object.keys(record.properties)
const words = Array.from({ length: 1000 }, (_, i) => `word ${(i * 7919) % 100_003}`)
const json = String.raw`
root ::= "[" value ("," value)* "]"
value ::= object | array | string | number | "true" | "false" | "null"
object ::= "{" (string ":" value ("," string ":" value)*)? "}"
array ::= "[" (value ("," value)*)? "]"
string ::= "\"" ([^"\\\x00-\x1f] | "\\" (["\\bfnrt/] | "u" [0-9a-fA-F]{4}))* "\""
number ::= "-"? ("0" | [1-9] [0-9]*) ("." [0-9]+)?
`

const WAYS = [
  { name: 'none' },
  { name: 'any JSON (GBNF)', options: { grammar: json } },
  { name: 'records of 20 fields (schema)', options: { schema: list(record) } },
  { name: 'enum of 1000 values (schema)', options: { schema: list({ enum: words }) } },
  { name: 'words and numbers (regex)', options: { regex: String.raw`([a-z]{2,9} \d{1,4}, )+` } }
]

function list(items) {
  return { type: 'array', items, minItems: 10_000 }
}

/** Milliseconds a token after the first. */
async function measure(model, { options = {} }, seed) {
  const unending =
    options.grammar || options.regex || options.schema ? {} : { logitBias: noEnd(model) }
  const { timings, usage } = await model.generate('A', {
    maxTokens,
    seed,
    speculation: 'off',
    ...unending,
    ...options
  })
  if (usage.completionTokens !== maxTokens) throw new Error(`${usage.completionTokens} tokens`)
  return timings.decodeMs / (maxTokens - 1)
}

const noEnd = (model) => ({ [model.tokenizer.eosId]: Number.NEGATIVE_INFINITY })

mkdirSync(values.folder, { recursive: true })
const file = join(values.folder, `${values.shape}-${values.type}.gguf`)
if (!existsSync(file)) {
  writeRandomLlama(file, {
    shape: SHAPES[values.shape],
    type: values.type,
    name: `random ${values.shape}`
  })
}
const threads = values.threads === undefined ? {} : { threads: Number(values.threads) }
const model = await Model.load(file, { ...threads, contextSize: 512 })
await measure(model, WAYS[0], 0)
const rows = []
for (const way of WAYS) {
  const none = await measure(model, WAYS[0], 0)
  rows.push({ way, cold: (await measure(model, way, 0)) / none, warm: [], ms: [] })
}
for (let round = 1; round <= rounds; round++) {
  const order = rows.map((_, i) => rows[(i + round) % rows.length])
  const took = new Map()
  for (const row of order) took.set(row, await measure(model, row.way, round))
  for (const [row, ms] of took) {
    row.ms.push(ms)
    row.warm.push(ms / took.get(rows[0]))
  }
}
const { info } = model
await model.dispose()

const report = rows.map(({ way, cold, warm, ms }) => ({
  way: way.name,
  msPerToken: summarize(ms).median,
  cold,
  warm: summarize(warm)
}))
const percent = (ratio) => `${(100 * (ratio - 1)).toFixed(1)}%`
console.log(
  `${info.description}, vocabulary ${info.vocabSize}, ${info.threads} threads, ${info.kernels}\n`
)
console.log('| held to | ms/token | more than without, warm | (middle half) | cold |')
console.log('| --- | ---: | ---: | --- | ---: |')
for (const { way, msPerToken, cold, warm } of report) {
  console.log(
    `| ${way} | ${msPerToken.toFixed(2)} | ${percent(warm.median)} | ` +
      `${percent(warm.q1)} to ${percent(warm.q3)} | ${percent(cold)} |`
  )
}
if (values.json) {
  const command = `node bench/mask-cost.mjs --shape ${values.shape} --type ${values.type} --rounds ${rounds} --tokens ${maxTokens}`
  const machine = { cpu: cpus()[0]?.model, cores: availableParallelism() }
  const { description, vocabSize, kernels, threads: used } = info
  const loaded = { description, vocabSize, threads: used, kernels }
  const date = new Date().toISOString().slice(0, 10)
  const all = { command, date, machine, model: loaded, rows: report }
  writeFileSync(values.json, `${JSON.stringify(all, null, 2)}\n`)
}
