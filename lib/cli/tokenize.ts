/** `cria tokenize`: the tokens of a text. */
import { Tokenizer } from '../index.js'
import type { Command } from './command.js'
import { exitCodes, UsageError } from './exit.js'
import type { Arguments } from './flags.js'
import { modelFlag } from './groups.js'
import { readInput } from './input.js'
import { note, print, printJson, visible } from './output.js'

export const tokenizeCommand: Command = {
  name: 'tokenize',
  operands: 'TEXT',
  maxOperands: 1,
  summary: 'show the tokens of a text, one id and piece a line; - reads standard input',
  flags: [
    modelFlag,
    { name: 'bos', kind: 'switch', help: 'begin with the beginning-of-text token' },
    { name: 'special', kind: 'switch', help: 'control tokens spelt in TEXT count as such' },
    { name: 'json', kind: 'switch', help: 'print one JSON object: { ids, pieces }' }
  ],
  run
}

async function run(args: Arguments): Promise<number> {
  const text = await readInput(args.operands[0])
  if (text === undefined) throw new UsageError('tokenize needs a TEXT (or - for standard input)')
  const tokenizer = await Tokenizer.load(args.text('model'))
  const options = { bos: args.has('bos'), special: args.has('special') }
  const ids = await tokenizer.encode(text, options)
  const pieces = ids.map((id) => tokenizer.pieceOf(id))
  if (args.has('json')) await printJson({ ids, pieces })
  else {
    await print(ids.map((id, i) => `${id}\t${visible(pieces[i] ?? '')}\n`).join(''))
    note(`${ids.length} tokens`)
  }
  return exitCodes.ok
}
