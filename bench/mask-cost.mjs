#!/usr/bin/env node
/**
 * What a grammar costs a token: decode milliseconds with it against none, in interleaved runs.
 *
 *   node bench/mask-cost.mjs [--rounds N] [--tokens N] [--threads N] [--shape SHAPE] [--folder DIR]
 *                            [--json FILE]
 *
 * A mask is made for each token, whatever the model; what it costs beside a step depends on the step,
 * so the model has a real one's shape (support/random-llama.mjs): 1.1 B parameters in Q4_K_M and a
 * vocabulary of 32,000. Its text is noise, which is the worst for masks: it is in new states all the time.
 *
 *   ways    none      no grammar
 *           json      values of JSON, one after the other
 *           object    objects of 20 fields by a schema
 *           enum      one of 1000 texts by a schema, again and again
 *           regex     lines of a date, a word and a number
 *           counted   [^"]{1,4000}, where each token is a state that none was before
 *
 * None of the texts can end early, and the end token is banned: all ways decode as many tokens. Nothing
 * is guessed. Each round has all ways, in another order each time:
 *
 *   cold    the first generation of a grammar that the model has not seen, without its compiling,
 *           which comes before the first token and is told apart
 *   warm    the same once more, with the same seed: all masks are there
 *
 * Ratios are of one round's decode times, to those of none; quoted are the median and the middle half.
 * A ratio may be below 1: where few tokens are left, drawing one of them is cheaper.
 */
import { existsSync, mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Model } from '../dist/index.js'
import { summarize } from './peers/statistics.mjs'
import { SHAPES, writeRandomLlama } from './support/random-llama.mjs'
import { saveResults } from './support/results.mjs'

const TYPE = 'q4_k_m'
const TEXTS = 1000
const ENDLESS = { minItems: 100_000 } // no text of so many items is ever whole

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '9' },
    tokens: { type: 'string', default: '64' },
    threads: { type: 'string' },
    shape: { type: 'string', default: '1.1b' },
    folder: { type: 'string', default: join(tmpdir(), 'cria-bench') },
    json: { type: 'string' }
  }
})
const rounds = Number(values.rounds)
const maxTokens = Number(values.tokens)
const { shape } = values
if (!SHAPES[shape]) throw new Error(`no shape ${shape}; expected ${Object.keys(SHAPES).join(', ')}`)

function file() {
  mkdirSync(values.folder, { recursive: true })
  const name = `${shape}-${TYPE}`
  const path = join(values.folder, `${name}.gguf`)
  if (!existsSync(path)) {
    writeRandomLlama(path, { shape: SHAPES[shape], type: TYPE, name: `random ${name}` })
  }
  return path
}

// Each gives the option of a generation. `mark` is another number each time, and part of the grammar's
// text: a model keeps the grammars that it has compiled by their texts.

const json = (mark) => ({
  grammar: `# ${mark}
root ::= (value ws)+
value ::= object | array | string | number | "true" | "false" | "null"
object ::= "{" ws (pair ("," ws pair)*)? "}"
pair ::= string ws ":" ws value ws
array ::= "[" ws (value ws ("," ws value ws)*)? "]"
string ::= "\\"" ([^"\\\\\\x00-\\x1F] | "\\\\" (["\\\\/bfnrt] | "u" [0-9a-fA-F]{4}))* "\\""
number ::= "-"? ("0" | [1-9] [0-9]*) ("." [0-9]+)? ([eE] [-+]? [0-9]+)?
ws ::= [ \\t\\n]*
`
})

const FIELDS = [
  { type: 'string', minLength: 2, maxLength: 40 },
  { type: 'integer', minimum: 0, maximum: 9999 },
  { enum: ['small', 'large', 'huge'] },
  { type: 'boolean' },
  { type: 'array', items: { type: 'string' }, maxItems: 5 }
]

function object(mark) {
  const fields = Array.from({ length: 20 }, (_, i) => [`field_${i}`, FIELDS[i % FIELDS.length]])
  fields[0][0] = `field_${mark}`
  const items = {
    type: 'object',
    properties: Object.fromEntries(fields),
    required: fields.map(([name]) => name),
    additionalProperties: false
  }
  return { schema: { type: 'array', items, ...ENDLESS } }
}

function anEnum(mark) {
  const text = (i) => `${'aeiou'[i % 5]}b${'aeiou'[((i / 5) % 5) | 0]} number ${i}`
  const texts = Array.from({ length: TEXTS - 1 }, (_, i) => text(i))
  return { schema: { type: 'array', items: { enum: [...texts, `mark ${mark}`] }, ...ENDLESS } }
}

const regex = (mark) => ({
  regex: `(?<r${mark}>\\d{4}-(0[1-9]|1[0-2])-[0-3]\\d [a-z ]{3,20}: -?\\d+(\\.\\d+)?\\n)+`
})

const counted = (mark) => ({ regex: `(?<r${mark}>[^"]{1,4000})` })

const WAYS = Object.entries({ none: () => ({}), json, object, enum: anEnum, regex, counted })

/** A generation to the full count; `start` is what comes before its first prefill: compiling, mostly. */
async function measure(model, option, seed) {
  const begin = performance.now()
  const result = await model.generate('The text:', {
    ...option,
    maxTokens,
    seed,
    speculation: 'off',
    logitBias: { [model.tokenizer.eosId]: Number.NEGATIVE_INFINITY }
  })
  const total = performance.now() - begin
  const { prefillMs, decodeMs } = result.timings
  const { completionTokens } = result.usage
  if (completionTokens !== maxTokens) throw new Error(`${completionTokens} tokens: it ended early`)
  return {
    decode: decodeMs / (completionTokens - 1),
    start: total - prefillMs - decodeMs,
    text: result.text
  }
}

/** All ways once, each cold and then warm. */
async function measureRound(model, round) {
  const order = WAYS.map((_, i) => WAYS[(i + Math.max(0, round)) % WAYS.length])
  const runs = new Map()
  for (const [name, make] of order) {
    const option = make(round + 1)
    const cold = await measure(model, option, round + 2)
    const warm = await measure(model, option, round + 2)
    if (cold.text !== warm.text) throw new Error(`${name}: another text with warm masks`)
    runs.set(name, { cold, warm })
  }
  return runs
}

function reportRow(name, all) {
  const of = (pick) => summarize(all.map(pick))
  return {
    way: name,
    msPerToken: of((runs) => runs.get(name).warm.decode),
    cold: of((runs) => runs.get(name).cold.decode / runs.get('none').cold.decode),
    warm: of((runs) => runs.get(name).warm.decode / runs.get('none').warm.decode),
    startMs: of((runs) => runs.get(name).cold.start - runs.get(name).warm.start)
  }
}

const model = await Model.load(
  file(),
  values.threads === undefined ? {} : { threads: Number(values.threads) }
)
const { info } = model
const all = []
for (let round = -1; round < rounds; round++) {
  const runs = await measureRound(model, round)
  if (round >= 0) all.push(runs) // the first warms up
}
await model.dispose()
const rows = WAYS.map(([name]) => reportRow(name, all))

const ratio = ({ median, q1, q3 }) => `${median.toFixed(3)} (${q1.toFixed(3)}–${q3.toFixed(3)})`
console.log(
  `${info.description}, vocabulary of ${SHAPES[shape].vocab}, ${info.threads} threads, ` +
    `${info.kernels}, ${maxTokens} tokens, ${rounds} rounds\n`
)
console.log('| grammar | ms/token | cold against none | warm against none | compiling, ms |')
console.log('| --- | ---: | ---: | ---: | ---: |')
for (const { way, msPerToken, cold, warm, startMs } of rows) {
  console.log(
    `| ${way} | ${msPerToken.median.toFixed(2)} | ${ratio(cold)} | ${ratio(warm)} | ` +
      `${startMs.median.toFixed(1)} |`
  )
}
if (values.json) {
  const command = `node bench/mask-cost.mjs --rounds ${rounds} --tokens ${maxTokens} --shape ${shape}`
  saveResults(values.json, { command, info, rows })
}
