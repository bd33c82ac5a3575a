/** Puts the tables of bench/results/peers.json into docs/benchmarks.md, and the picture beside it. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { toSvg } from './chart.mjs'
import { toMarkdown } from './report.mjs'
import { writeWhole } from './store.mjs'

const pathOf = (name) => fileURLToPath(new URL(`../../${name}`, import.meta.url))
export const stored = pathOf('bench/results/peers.json')
const page = pathOf('docs/benchmarks.md')
const picture = pathOf('docs/benchmarks.svg')

const begin = '<!-- peers-table: from bench/results/peers.json -->'
const end = '<!-- /peers-table -->'

/** The page with these results between the two markers. */
export function withResults(text, results) {
  const [from, to] = [text.indexOf(begin), text.indexOf(end)]
  if (from < 0 || to < from)
    throw new Error(`docs/benchmarks.md: no place between ${begin} and ${end}`)
  return `${text.slice(0, from + begin.length)}\n\n${toMarkdown(results)}\n${text.slice(to)}`
}

export function updateDocs() {
  const results = JSON.parse(readFileSync(stored, 'utf8'))
  writeWhole(page, withResults(readFileSync(page, 'utf8'), results))
  writeWhole(picture, toSvg(results))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) updateDocs()
