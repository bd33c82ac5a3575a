/** `cria inspect`: the header of a model file. */
import { type Inspection, type MetadataValue, Model } from '../index.js'
import type { Command } from './command.js'
import { exitCodes, UsageError } from './exit.js'
import type { Arguments } from './flags.js'
import { modelFlag } from './groups.js'
import { bytes, print, printJson, visible } from './output.js'

export const inspectCommand: Command = {
  name: 'inspect',
  operands: '[FILE]',
  maxOperands: 1,
  summary: 'show what a model file holds; only its header is read',
  flags: [
    modelFlag,
    { name: 'tensors', kind: 'switch', help: 'list every tensor' },
    { name: 'json', kind: 'switch', help: 'print everything as one JSON object' }
  ],
  run
}

async function run(args: Arguments): Promise<number> {
  const [operand] = args.operands
  const flag = args.text('model')
  if (operand !== undefined && flag !== undefined) {
    throw new UsageError('name the file once: as FILE or with --model')
  }
  const inspection = await Model.inspect(operand ?? flag)
  if (args.has('json')) await printJson(inspection)
  else await print(`${report(inspection, args.has('tensors')).join('\n')}\n`)
  return exitCodes.ok
}

function report(file: Inspection, everyTensor: boolean): string[] {
  const parts = file.parts > 1 ? ` in ${file.parts} files` : ''
  return [
    visible(file.path),
    `GGUF version ${file.version}, ${bytes(file.fileBytes)}${parts}, ` +
      `${file.parameters.toLocaleString('en')} parameters, ${file.tensors.length} tensors`,
    '',
    'metadata',
    ...columns(Object.entries(file.metadata).map(([key, value]) => [visible(key), shorten(value)])),
    '',
    ...(everyTensor ? ['tensors', ...columns(tensorRows(file))] : typeLines(file))
  ]
}

function shorten(value: MetadataValue): string {
  const text = visible(show(value))
  return text.length > 80 ? `${text.slice(0, 79)}…` : text
}

function show(value: MetadataValue): string {
  if (typeof value === 'string') return value
  if (Array.isArray(value)) return `[${value.map(show).join(', ')}]`
  if (typeof value !== 'object') return String(value)
  return `${value.length} × ${value.type}: ${value.first.map(show).join(', ')}, …`
}

/** How many tensors and bytes there are of each type. */
function typeLines(file: Inspection): string[] {
  const types = new Map<string, { count: number; size: number }>()
  for (const { type, bytes: size } of file.tensors) {
    const sum = types.get(type) ?? { count: 0, size: 0 }
    types.set(type, { count: sum.count + 1, size: sum.size + size })
  }
  const rows = [...types].map(([type, { count, size }]) => [type, `${count}`, bytes(size)])
  return ['tensor types', ...columns(rows)]
}

function tensorRows(file: Inspection): string[][] {
  return file.tensors.map(({ name, type, shape, bytes: size }) => [
    visible(name),
    type,
    shape.join(' × '),
    bytes(size)
  ])
}

/** Rows with their columns under each other. */
function columns(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = []
  for (const row of rows) {
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, cell.length)
    })
  }
  return rows.map((row) =>
    `  ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')}`.trimEnd()
  )
}
