#!/usr/bin/env node
/**
 * Holds the compiler of JSON Schema against a checkout of the public JSON-Schema-Test-Suite:
 *
 *   node scripts/schema-suite.mjs PATH [--draft draft2020-12] [--verbose]
 *
 * A group is compiled or refused; of a compiled one no invalid instance may be accepted, and valid ones
 * are to be, in some order of their members. Prints a table in Markdown; exits with 1 where an invalid
 * instance is accepted. It runs what `npm run build:ts` made.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import ts from 'typescript'
import { compileSchema } from '../dist/schema/compile.js'
import { root } from './setup.mjs'

const { Gbnf } = await fromTests('gbnf.ts')
const { jsonOrders } = await fromTests('json-orders.ts')

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { draft: { type: 'string', default: 'draft2020-12' }, verbose: { type: 'boolean' } }
})
const [checkout] = positionals
if (!checkout) {
  console.error('usage: node scripts/schema-suite.mjs PATH [--draft NAME] [--verbose]')
  process.exit(2)
}

const folder = join(checkout, 'tests', values.draft)
const files = [folder, join(folder, 'optional', 'format')].flatMap((place) =>
  readdirSync(place)
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => ({ path: join(place, name), asFormat: place !== folder }))
)

const say = (...words) => values.verbose && console.error(...words)
const columns = ['groups', 'refused', 'valid', 'accepted', 'invalid', 'rejected']
const total = Object.fromEntries(columns.map((name) => [name, 0]))
console.log(`| file | ${columns.join(' | ')} |`)
console.log(`| --- | ${columns.map(() => '---:').join(' | ')} |`)
for (const { path, asFormat } of files) {
  const counts = runFile(path)
  for (const name of columns) total[name] += counts[name]
  print(`${asFormat ? 'format/' : ''}${basename(path, '.json')}`, counts)
}
print('**all**', total)
process.exitCode = total.invalid === total.rejected ? 0 : 1

function print(name, counts) {
  console.log(`| ${name} | ${columns.map((column) => counts[column]).join(' | ')} |`)
}

function runFile(path) {
  const counts = Object.fromEntries(columns.map((name) => [name, 0]))
  for (const { description, schema, tests } of JSON.parse(readFileSync(path, 'utf8'))) {
    counts.groups++
    const grammar = compile(schema, description)
    if (!grammar) {
      counts.refused++
      continue
    }
    for (const test of tests) {
      const accepted = jsonOrders(test.data).some((text) => grammar.accepts(text))
      counts[test.valid ? 'valid' : 'invalid']++
      if (accepted === test.valid) counts[test.valid ? 'accepted' : 'rejected']++
      else
        say(
          `${basename(path)}: ${description}: ${test.description}: ${accepted ? 'WRONGLY accepted' : 'not accepted'}`
        )
    }
  }
  return counts
}

/** Undefined: refused. A schema that nothing satisfies is compiled, in a way: it accepts nothing. */
function compile(schema, description) {
  try {
    return new Gbnf(compileSchema(schema, { open: true }).gbnf)
  } catch (error) {
    if (!/^ERR_CRIA_(UNSUPPORTED|BAD_ARGUMENT)$/.test(error.code)) throw error
    say(`  refused: ${description}: ${error.message}`)
    return / no value satisfies it/.test(error.message) ? { accepts: () => false } : undefined
  }
}

/** A module of test/support/, which imports nothing. */
function fromTests(name) {
  const source = readFileSync(join(root, 'test', 'support', name), 'utf8')
  const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext }
  const { outputText } = ts.transpileModule(source, { compilerOptions })
  return import(`data:text/javascript,${encodeURIComponent(outputText)}`)
}
