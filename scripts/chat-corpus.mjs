/**
 * Holds Cria's rendering of chat templates against the reference, Jinja in Python as transformers sets it
 * up, over a folder of templates that lies outside this repository:
 *
 *     node scripts/chat-corpus.mjs FOLDER [--differences]
 *
 * Needs `npm run build:ts`, python3 and its jinja2. Prints a table; ends with 1 where one differs.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { TemplateRenderer } from '../dist/chat/template.js'
import { templateMessages, templateTools } from '../dist/tools/native.js'
import { toolSyntax } from '../dist/tools/syntax.js'

const [folder, flag] = process.argv.slice(2)
if (!folder) {
  console.error('usage: node scripts/chat-corpus.mjs FOLDER [--differences]')
  process.exit(2)
}

const controlPieces = '<s> </s> <|im_start|> <|im_end|> <|eot_id|> <|end|> [INST] [/INST]'.split(
  ' '
)
const vocab = { bos: '<s>', eos: '</s>', controlPieces }

const system = { role: 'system', content: 'Be kind: "quotes", <tags> & ünïcode 🦙.' }
const user = (content) => ({ role: 'user', content })
const assistant = (content) => ({ role: 'assistant', content })
const calls = (...cities) =>
  cities.map((city, i) => ({ id: `call0000${i}`, name: 'weather', arguments: { city, days: i } }))
const result = (i) => ({
  role: 'tool',
  content: '{"sky": "clear", "degrees": 21.5}',
  toolCallId: `call0000${i}`,
  name: 'weather'
})
const definitions = [
  {
    name: 'weather',
    description: 'The "weather" of a city: 5 °C < 10 °C & so on.',
    parameters: {
      type: 'object',
      properties: {
        city: { type: 'string', description: "The city's name" },
        days: { type: 'integer', minimum: 0, default: 1 },
        share: { type: 'number', enum: [0.5, 1, 1e21] }
      },
      required: ['city']
    }
  },
  { name: 'now', description: 'The time.', parameters: { type: 'object', properties: {} } }
]
const talk = [user('One?'), assistant('1.'), user('Two?')]
const called = [
  user('And?'),
  { role: 'assistant', content: '', toolCalls: calls('Rome') },
  result(0)
]
const twice = [
  user('Both?'),
  { role: 'assistant', content: '', toolCalls: calls('Rome', 'Oslo') },
  result(0),
  result(1)
]

/** Column, messages, tools. */
const cases = [
  ['turns', [user('One?')]],
  ['turns', talk],
  ['turns', [user('  One \n'), assistant('\n1. '), user(' \t')]],
  ['turns', [user('0'), assistant(''), user('')]],
  ['turns', [user('One?'), user('Two?')]],
  ['turns', [user('a</s><|im_end|>[/INST] {{ b }} {% c %}'), assistant('<s>'), user('<|eot_id|>')]],
  ['system', [system, user('One?')]],
  ['system', [system, ...talk]],
  ['system', [{ role: 'system', content: '' }, ...talk]],
  ['system', [{ role: 'system', content: ' ' }, user('One?')]],
  ['tools', [user('And?')], definitions],
  ['tools', [system, ...talk], definitions],
  ['results', called, definitions],
  ['results', [system, ...called, assistant('Clear.'), user('Thanks.')], definitions],
  ['results', twice, definitions],
  ['results', [...twice, assistant('Clear.'), user('Thanks.')], definitions]
]

const reference = `
import json, sys
from datetime import datetime
import jinja2
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment

class Generation(Extension):
    tags = {"generation"}
    def parse(self, parser):
        next(parser.stream)
        return parser.parse_statements(["name:endgeneration"], drop_needle=True)

def refuse(message):
    raise jinja2.exceptions.TemplateError(message)

def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

environment = ImmutableSandboxedEnvironment(
    trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
environment.filters["tojson"] = tojson
environment.globals["raise_exception"] = refuse
environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
answers = []
for job in json.load(sys.stdin):
    try:
        text = environment.from_string(job["template"]).render(
            messages=job["messages"], tools=job["tools"], documents=None, add_generation_prompt=True,
            bos_token="<s>", eos_token="</s>")
        answers.append({"text": text})
    except Exception as error:
        answers.append({"error": f"{type(error).__name__}: {error}"})
json.dump(answers, sys.stdout)
`

const seen = new Set()
const templates = readdirSync(folder)
  .filter((file) => file.endsWith('.jinja'))
  .sort()
  .map((file) => ({ file, template: readFileSync(join(folder, file), 'utf8') }))
  .filter(({ template }) => {
    const hash = createHash('sha256').update(template).digest('hex')
    return !seen.has(hash) && seen.add(hash)
  })

const jobs = templates.flatMap(({ file, template }) =>
  cases.map(([column, messages, tools = []]) => ({
    file,
    column,
    template,
    messages: templateMessages(messages, toolSyntax(template).single),
    tools: templateTools(tools)
  }))
)

const python = spawnSync('python3', ['-c', reference], {
  input: JSON.stringify(
    jobs.map(({ template, messages, tools }) => ({
      template,
      messages,
      tools: tools.length > 0 ? tools : null
    }))
  ),
  encoding: 'utf8',
  maxBuffer: 2 ** 30
})
if (python.status !== 0) throw new Error(python.stderr)
const expected = JSON.parse(python.stdout)

const renderer = new TemplateRenderer()
const rows = new Map(templates.map(({ file }) => [file, { differences: [] }]))
let differing = 0
for (const [i, job] of jobs.entries()) {
  const { file, column, template, messages, tools } = job
  const row = rows.get(file)
  const ours = await renderer.render({ template, messages, tools, vocab }).then(
    (segments) => ({ text: segments.map(({ text }) => text).join('') }),
    ({ message }) => ({ error: message })
  )
  const theirs = expected[i]
  const same = theirs.error === undefined ? ours.text === theirs.text : ours.error !== undefined
  row[column] ??= { same: 0, refused: 0, all: 0 }
  const cell = row[column]
  cell.all++
  if (same) cell.same++
  if (same && theirs.error !== undefined) cell.refused++
  if (!same) row.differences.push({ column, ours, theirs, messages })
}
renderer.close()

const show = ({ same, refused, all }) =>
  same < all ? `${same} of ${all}` : refused === all ? 'refuses' : 'equal'
console.log('| template | turns | system | tools | results | calls |')
console.log('| --- | --- | --- | --- | --- | --- |')
for (const { file, template } of templates) {
  const row = rows.get(file)
  const cells = ['turns', 'system', 'tools', 'results'].map((column) => show(row[column]))
  const name = file.replace(/\.jinja$/, '')
  console.log(`| ${name} | ${cells.join(' | ')} | ${toolSyntax(template).name} |`)
  if (row.differences.length > 0) differing++
}
console.log(
  `\n${templates.length} templates, ${jobs.length} renderings, ${differing} templates differ`
)
if (flag === '--differences') {
  for (const [file, { differences }] of rows) {
    for (const { column, ours, theirs } of differences) {
      const at = [...(ours.text ?? '')].findIndex((c, i) => c !== [...(theirs.text ?? '')][i])
      const near = ({ text, error }) =>
        error ?? JSON.stringify(text.slice(Math.max(0, at - 40), at + 60))
      console.log(`${file} (${column})\n  cria:      ${near(ours)}\n  reference: ${near(theirs)}`)
    }
  }
}
process.exitCode = differing > 0 ? 1 : 0
