/** Flags that several commands share, and the options of the API that they mean. */
import {
  CriaError,
  checkGenerate,
  checkLoad,
  type GenerateOptions,
  type LoadOptions
} from '../index.js'
import { UsageError } from './exit.js'
import type { Arguments, Flag } from './flags.js'

/** A flag that sets one numeric option. */
interface NumberFlag<T> extends Flag {
  readonly option: keyof T & string
}

const number = <T>(
  option: keyof T & string,
  name: string,
  help: string,
  short?: string
): NumberFlag<T> => ({
  option,
  name,
  help,
  kind: 'number',
  value: 'N',
  ...(short === undefined ? {} : { short })
})

export const modelFlag: Flag = {
  name: 'model',
  short: 'm',
  kind: 'text',
  value: 'FILE',
  help: 'model file, a GGUF (default: the demo model in the package)'
}

const loadNumbers: readonly NumberFlag<LoadOptions>[] = [
  number('contextSize', 'ctx-size', "tokens of context (default: the model's own)", 'c'),
  number('threads', 'threads', 'threads that compute (default: one per physical core)', 't'),
  number('batchSize', 'batch-size', 'most tokens that one step computes', 'b')
]

const generateNumbers: readonly NumberFlag<GenerateOptions>[] = [
  number('maxTokens', 'predict', 'most tokens to generate (-1, default: to the context)', 'n'),
  number('temperature', 'temp', 'temperature; 0: the likeliest token each time (default 0.8)'),
  number('beams', 'beams', 'follow N texts and take the likeliest, 2 to 16 (default: none)'),
  number('lengthPenalty', 'length-penalty', 'beams: the greater, the longer the text (default 1)'),
  number('topK', 'top-k', 'sample among the K likeliest tokens; 0: all (default 40)'),
  number('topP', 'top-p', 'among the likeliest with this probability together (default 0.95)'),
  number('minP', 'min-p', 'drop tokens less likely than N times the best (default 0.05)'),
  number('typicalP', 'typical-p', 'locally typical sampling; 1: off (default 1)'),
  number('repeatPenalty', 'repeat-penalty', 'penalty on tokens seen lately; 1: off (default 1)'),
  number('repeatWindow', 'repeat-window', 'tokens the penalties look back on (default 64)'),
  number('presencePenalty', 'presence-penalty', 'taken off the logit of a token seen (default 0)'),
  number('frequencyPenalty', 'frequency-penalty', 'the same for each time seen (default 0)'),
  number(
    'dryMultiplier',
    'dry-multiplier',
    'penalty on prolonging a repetition; 0: off (default 0)'
  ),
  number('dryBase', 'dry-base', 'its factor for each further token (default 1.75)'),
  number(
    'dryAllowedLength',
    'dry-allowed-length',
    'repetitions penalized, from N tokens (default 2)'
  ),
  number('dryWindow', 'dry-penalty-last-n', 'tokens DRY looks back on; 0: all (default 0)'),
  number('topNSigma', 'top-n-sigma', 'drop logits N deviations below the best; 0: off (default 0)'),
  number('xtcProbability', 'xtc-probability', 'how often top choices are left out (default 0)'),
  number('xtcThreshold', 'xtc-threshold', 'probability of a top choice (default 0.1)'),
  number('dynamicTemperatureRange', 'dynatemp-range', 'the temperature moves so far (default 0)'),
  number('dynamicTemperatureExponent', 'dynatemp-exp', 'how it follows the entropy (default 1)'),
  number('mirostat', 'mirostat', 'hold the surprise near a target, version 1 or 2 (default 0)'),
  number('mirostatTau', 'mirostat-ent', 'that target, in bits a token (default 5)'),
  number('mirostatEta', 'mirostat-lr', 'how fast mirostat learns (default 0.1)')
]

const listFlags = [
  { name: 'dry-sequence-breaker', option: 'dryBreakers' },
  { name: 'stop', option: 'stop' },
  { name: 'ban', option: 'banned' }
] as const

const kvTypeFlag: Flag = {
  name: 'kv-type',
  kind: 'text',
  value: 'TYPE',
  help: 'how keys and values are stored: f16 (default) or q8_0'
}

const mappedFlag: Flag = {
  name: 'mapped',
  kind: 'switch',
  help: 'compute on the file itself: less memory, slower'
}

/** Of commands that generate. */
export const draftFlag: Flag = {
  name: 'draft',
  kind: 'text',
  value: 'FILE',
  help: 'a smaller model of this vocabulary that guesses ahead'
}

export const deviceFlag: Flag = {
  name: 'device',
  kind: 'text',
  value: 'NAME',
  help: 'where to compute: cpu (default), cuda, cuda:N or auto'
}

export const loadFlags: readonly Flag[] = [
  modelFlag,
  deviceFlag,
  ...loadNumbers,
  kvTypeFlag,
  mappedFlag
]

export const generateFlags: readonly Flag[] = [
  ...generateNumbers,
  {
    name: 'seed',
    short: 's',
    kind: 'text',
    value: 'N',
    help: 'makes sampling reproducible (default -1: random)'
  },
  {
    name: 'dry-sequence-breaker',
    kind: 'list',
    value: 'TEXT',
    help: 'no repetition reaches across it; may be given several times'
  },
  {
    name: 'samplers',
    kind: 'text',
    value: 'NAMES',
    help: 'stages of sampling in order, such as "topK;temperature"'
  },
  {
    name: 'speculation',
    kind: 'text',
    value: 'MODE',
    help: 'what guesses ahead: auto (default), lookup or off'
  },
  { name: 'stop', kind: 'list', value: 'TEXT', help: 'ends the text; may be given several times' },
  { name: 'ban', kind: 'list', value: 'TEXT', help: 'never comes; may be given several times' }
]

export const grammarFlags: readonly Flag[] = [
  { name: 'schema', kind: 'text', value: 'FILE', help: 'hold the text to JSON of a JSON Schema' },
  { name: 'grammar', kind: 'text', value: 'FILE', help: 'hold the text to a grammar in GBNF' },
  { name: 'regex', kind: 'text', value: 'TEXT', help: 'hold the text to a regular expression' }
]

export const quietFlag: Flag = {
  name: 'quiet',
  short: 'q',
  kind: 'switch',
  help: 'no progress and no timings on standard error'
}

/** The device's name, checked. */
export function toDevice(args: Arguments): string | undefined {
  const checked: { devices?: string } = {}
  setChecked(checked, { name: 'device', option: 'devices' }, args.text('device'), checkLoad)
  return checked.devices
}

/** Throws UsageError for what is out of range, naming the flag. */
export function toLoadOptions(args: Arguments): LoadOptions {
  const options: LoadOptions = {}
  for (const flag of loadNumbers) setChecked(options, flag, args.number(flag.name), checkLoad)
  const device = toDevice(args)
  if (device !== undefined) options.devices = device
  const kvType = { name: 'kv-type', option: 'kvType' } as const
  setChecked(options, kvType, args.text('kv-type'), checkLoad)
  setChecked(options, { name: 'draft', option: 'draft' }, args.text('draft'), checkLoad)
  if (args.has('mapped')) options.mapped = true
  return options
}

/** Throws UsageError for what is out of range, naming the flag. */
export function toGenerateOptions(args: Arguments): GenerateOptions {
  const options: GenerateOptions = {}
  for (const flag of generateNumbers) {
    const value = args.number(flag.name)
    const toTheEnd = flag.option === 'maxTokens' && value === -1
    if (!toTheEnd) setChecked(options, flag, value, checkGenerate)
  }
  setChecked(options, { name: 'seed', option: 'seed' }, toSeed(args.text('seed')), checkGenerate)
  for (const { name, option } of listFlags) {
    if (args.has(name)) setChecked(options, { name, option }, args.list(name), checkGenerate)
  }
  const speculation = { name: 'speculation', option: 'speculation' } as const
  setChecked(options, speculation, args.text('speculation'), checkGenerate)
  const order = args.text('samplers')?.split(/[;,]/)
  setChecked(options, { name: 'samplers', option: 'samplers' }, order, checkGenerate)
  return options
}

/** Any whole number of 64 bits; -1 is random, as fingers know it. */
function toSeed(text: string | undefined): bigint | undefined {
  if (text === undefined || text === '-1') return undefined
  if (!/^\d+$/.test(text)) {
    throw new UsageError(`--seed must be a whole number, got ${JSON.stringify(text)}`)
  }
  return BigInt(text)
}

/** Sets one option, held against the API's own table; its error names the flag instead. */
function setChecked<T extends object>(
  options: T,
  flag: { readonly name: string; readonly option: keyof T & string },
  value: unknown,
  check: (options: unknown) => unknown
): void {
  if (value === undefined) return
  try {
    check({ [flag.option]: value })
  } catch (error) {
    if (!(error instanceof CriaError)) throw error
    throw new UsageError(error.message.replace(/^.*?: \w+/, `--${flag.name}`))
  }
  Object.assign(options, { [flag.option]: value })
}
