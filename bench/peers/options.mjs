/** The command line of run.mjs. */
import { parseArgs } from 'node:util'
import { FILE_TYPES, SHAPES } from '../support/random-llama.mjs'

export const help = `usage: node bench/peers/run.mjs [FLAGS]

Measures Cria against node-llama-cpp, interleaved, in child processes; sets both up first.

  -m, --model FILE            measure this GGUF file; several times: each (default: made files)
      --shape LIST            shapes of made files: ${Object.keys(SHAPES).join(', ')} (default 1.1b)
      --type LIST             their types: ${Object.keys(FILE_TYPES).join(', ')} (default q4_0,q4_k_m,q8_0)
      --measure LIST          speed, stream, serve, load (default: all)
  -p, --n-prompt LIST         prompt sizes of speed; 0: none (default 512)
  -n, --n-gen LIST            numbers of tokens to generate; 0: none (default 128)
  -d, --n-depth LIST          tokens in the cache beforehand (default 0)
      --kv-type LIST          f16, q8_0 (default f16)
  -t, --threads N             threads of each engine (default: as Cria chooses)
  -r, --repetitions N         timed runs of a process (default 1)
      --rounds N              rounds of all engines (default 7)
      --quick                 to try: 2 rounds of 1.1b q4_0 with -p 128 -n 16
      --llama-bench PATH      measure this llama-bench binary as well
      --llama-bench-name NAME what to call it (default: llama.cpp or ik_llama.cpp, as it looks)
      --json FILE             store the results there after every round, or add them to those of
                              a former run of the same machine
      --svg FILE              draw the ratios
      --update-docs           the same with bench/results/peers.json, and renew docs/benchmarks.md
  -h, --help                  this text
`

/** A wrong command line. */
export class UsageError extends Error {}

const flags = {
  model: { type: 'string', short: 'm', multiple: true },
  shape: { type: 'string' },
  type: { type: 'string' },
  measure: { type: 'string' },
  'n-prompt': { type: 'string', short: 'p' },
  'n-gen': { type: 'string', short: 'n' },
  'n-depth': { type: 'string', short: 'd' },
  'kv-type': { type: 'string' },
  threads: { type: 'string', short: 't' },
  repetitions: { type: 'string', short: 'r' },
  rounds: { type: 'string' },
  quick: { type: 'boolean' },
  'llama-bench': { type: 'string' },
  'llama-bench-name': { type: 'string' },
  json: { type: 'string' },
  svg: { type: 'string' },
  'update-docs': { type: 'boolean' },
  help: { type: 'boolean', short: 'h' }
}

const KINDS = ['speed', 'stream', 'serve', 'load']
const normal = { rounds: 7, types: ['q4_0', 'q4_k_m', 'q8_0'], prompt: [512], generate: [128] }
const quick = { rounds: 2, types: ['q4_0'], prompt: [128], generate: [16] }

/** Throws UsageError for what is unknown or out of range. */
export function parseOptions(argv) {
  const given = parseFlags(argv)
  const defaults = given.quick ? quick : normal
  return {
    help: given.help === true,
    models: given.model ?? [],
    shapes: words(given, 'shape', Object.keys(SHAPES)) ?? ['1.1b'],
    types: words(given, 'type', Object.keys(FILE_TYPES)) ?? defaults.types,
    measure: words(given, 'measure', KINDS) ?? KINDS,
    prompt: counts(given, 'n-prompt')?.filter((count) => count > 0) ?? defaults.prompt,
    generate: counts(given, 'n-gen')?.filter((count) => count > 0) ?? defaults.generate,
    depths: counts(given, 'n-depth') ?? [0],
    kvTypes: words(given, 'kv-type', ['f16', 'q8_0']) ?? ['f16'],
    threads: number(given, 'threads', 256),
    repetitions: number(given, 'repetitions', 1000) ?? 1,
    rounds: number(given, 'rounds', 1000) ?? defaults.rounds,
    llamaBench: given['llama-bench'],
    llamaBenchName: given['llama-bench-name'],
    json: given.json,
    svg: given.svg,
    updateDocs: given['update-docs'] === true
  }
}

function parseFlags(argv) {
  try {
    return parseArgs({ args: argv, options: flags }).values
  } catch (error) {
    throw new UsageError(error.message)
  }
}

function list(given, name) {
  return given[name]?.split(',').map((text) => text.trim())
}

function words(given, name, known) {
  return list(given, name)?.map((word) => {
    if (known.includes(word)) return word
    throw new UsageError(`--${name} takes ${known.join(', ')}; got ${JSON.stringify(word)}`)
  })
}

function counts(given, name) {
  return list(given, name)?.map((text) => {
    if (/^\d{1,6}$/.test(text)) return Number(text)
    throw new UsageError(
      `--${name} takes whole numbers with commas between; got ${JSON.stringify(text)}`
    )
  })
}

function number(given, name, max) {
  const text = given[name]
  if (text === undefined) return undefined
  const value = /^\d{1,6}$/.test(text) ? Number(text) : 0
  if (value >= 1 && value <= max) return value
  throw new UsageError(
    `--${name} takes a whole number from 1 to ${max}; got ${JSON.stringify(text)}`
  )
}
