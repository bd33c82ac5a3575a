/** `cria run`: continues a text. */
import { readFile } from 'node:fs/promises'
import type {
  GenerateInput,
  GenerateOptions,
  Generation,
  JsonSchema,
  Model,
  Result
} from '../index.js'
import { CriaError, checkGenerate } from '../index.js'
import type { Command } from './command.js'
import { exitCodes, UsageError } from './exit.js'
import type { Arguments } from './flags.js'
import {
  draftFlag,
  generateFlags,
  grammarFlags,
  loadFlags,
  quietFlag,
  toGenerateOptions,
  toLoadOptions
} from './groups.js'
import { readInput } from './input.js'
import { whileInterruptible } from './interrupt.js'
import { loadModel } from './load.js'
import { hasReader, note, print, printJson, timingsLine } from './output.js'

/** What the demo model is asked where nothing else is. */
const demoRequest = 'Tell me a story.'

export const runCommand: Command = {
  name: 'run',
  operands: '[PROMPT]',
  maxOperands: 1,
  summary: 'continue a text, or answer one message with --chat',
  details: `Without a PROMPT the model begins a text of its own, the demo model a story; a PROMPT of - is
read from standard input. Standard output gets the generated text alone, the timings go to
standard error.
Ctrl-C ends the generation: what came is printed, the exit code is 130.`,
  flags: [
    ...loadFlags,
    draftFlag,
    ...generateFlags,
    ...grammarFlags,
    { name: 'chat', kind: 'switch', help: 'PROMPT is a message: answer it in the chat format' },
    { name: 'system', kind: 'text', value: 'TEXT', help: 'system message; implies --chat' },
    { name: 'json', kind: 'switch', help: 'print one JSON object with the whole result' },
    quietFlag
  ],
  run
}

async function run(args: Arguments): Promise<number> {
  toLoadOptions(args) // a wrong flag is told before anything is read
  const options = { ...toGenerateOptions(args), ...(await toConstraint(args)) }
  const input = toInput(args, await readInput(args.operands[0]))
  await using model = await loadModel(args)
  const generation = model.generate(input, options)
  let interrupted = false
  const interrupt = () => {
    interrupted = true
    generation.cancel()
  }
  const result = await whileInterruptible(interrupt, () =>
    args.has('json') ? wholeResult(model, generation) : streamText(generation)
  )
  if (!args.has('quiet')) note(timingsLine(result))
  return interrupted ? exitCodes.interrupted : exitCodes.ok
}

/** What the text is held to. */
async function toConstraint(args: Arguments): Promise<GenerateOptions> {
  const [schema, grammar, regex] = ['schema', 'grammar', 'regex'].map((name) => args.text(name))
  if ([schema, grammar, regex].filter((one) => one !== undefined).length > 1) {
    throw new UsageError('--schema, --grammar and --regex exclude each other: give one of them')
  }
  if (schema !== undefined) {
    if (args.has('stop')) throw new UsageError('--schema ends the text by itself: give no --stop')
    return toSchema(schema, await readConstraint(schema, 'schema'))
  }
  if (grammar !== undefined) return { grammar: await readConstraint(grammar, 'grammar') }
  return regex === undefined ? {} : { regex }
}

/** Compiled here already, so that a wrong one is told before a model is loaded. */
function toSchema(file: string, text: string): GenerateOptions {
  let schema: JsonSchema
  try {
    schema = JSON.parse(text) as JsonSchema
  } catch (cause) {
    const reason = (cause as Error).message
    throw new CriaError('ERR_CRIA_BAD_ARGUMENT', `${file}: the schema is no JSON: ${reason}`, {
      cause
    })
  }
  checkGenerate({ schema })
  return { schema }
}

async function readConstraint(file: string, what: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    const reason = (cause as Error).message
    throw new CriaError('ERR_CRIA_FILE', `cannot read the ${what}: ${reason}`, { cause })
  }
}

function toInput(args: Arguments, prompt: string | undefined): GenerateInput {
  const system = args.text('system')
  if (!args.has('chat') && system === undefined) {
    if (prompt !== undefined) return prompt
    return args.has('model') ? '' : [{ role: 'user', content: demoRequest }]
  }
  if (prompt === undefined) throw new UsageError('--chat answers a message: give it as PROMPT')
  const user = { role: 'user', content: prompt } as const
  return system === undefined ? [user] : [{ role: 'system', content: system }, user]
}

async function streamText(generation: Generation): Promise<Result> {
  let last = ''
  for await (const text of generation.textStream) {
    await print(text)
    if (!hasReader()) break
    last = text
  }
  // Only a terminal gets a line's end that the model did not write.
  if (process.stdout.isTTY && !last.endsWith('\n')) await print('\n')
  return generation
}

async function wholeResult(model: Model, generation: Generation): Promise<Result> {
  const result = await generation
  await printJson({ model: model.info.name, ...result })
  return result
}
