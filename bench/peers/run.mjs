#!/usr/bin/env node
/**
 * Cria against its peers on this machine. From a fresh clone: builds Cria, installs node-llama-cpp
 * beside this file, makes the models, checks that the engines compute the same, and measures them in
 * turns. docs/benchmarks.md says what the figures mean; --help lists the flags.
 */
import { writeFileSync } from 'node:fs'
import { setup } from '../../scripts/setup.mjs'
import { speedCases, streamCases } from './cases.mjs'
import { toSvg } from './chart.mjs'
import { stored, updateDocs } from './docs.mjs'
import { enginesOf } from './engines.mjs'
import { installPeer } from './install.mjs'
import { checkTexts, measureCase, measureLoad, readAfresh } from './measure.mjs'
import { randomModel } from './models.mjs'
import { help, parseOptions, UsageError } from './options.mjs'
import { toMarkdown } from './report.mjs'

const tell = (line) => process.stderr.write(`peers: ${line}\n`)

async function run(options) {
  setup()
  installPeer(tell)
  const engines = enginesOf(options)
  const described = []
  for (const engine of engines) described.push({ name: engine.name, ...(await engine.describe()) })
  const [{ machine, threads }] = described
  const settings = { ...options, threads: options.threads ?? threads }

  const models = modelsOf(options)
  const streams = streamCases(settings)
  const results = {
    machine,
    engines: described.map(({ name, version }) => ({ name, version })),
    settings: { rounds: options.rounds, repetitions: options.repetitions },
    check: await checkTexts(engines, streams, settings, tell),
    cases: [],
    load: []
  }
  const speed = options.measure.includes('speed') ? speedCases(models, settings) : []
  const fresh = new Set()
  const stream = options.measure.includes('stream') ? streams : []
  for (const work of [...stream, ...speed]) {
    if (!fresh.has(work.path)) await readAfresh(engines, work.path)
    fresh.add(work.path)
    results.cases.push(await measureCase(engines, work, settings, tell))
    store(results, options) // as far as it came, should the rest not
  }
  for (const path of options.measure.includes('load') ? models : []) {
    results.load.push(await measureLoad(engines, path, settings, tell))
  }
  store(results, options)
  if (options.updateDocs) updateDocs()
  return results
}

/** The paths of the files to measure. */
function modelsOf({ models, shapes, types }) {
  if (models.length > 0) return models
  return shapes.flatMap((shape) => types.map((type) => randomModel(shape, type, tell)))
}

function store(results, { json, svg, updateDocs }) {
  const text = `${JSON.stringify(results, null, 2)}\n`
  for (const path of [json, updateDocs && stored]) if (path) writeFileSync(path, text)
  if (svg) writeFileSync(svg, toSvg(results))
}

try {
  const options = parseOptions(process.argv.slice(2))
  if (options.help) process.stdout.write(help)
  else process.stdout.write(toMarkdown(await run(options)))
} catch (error) {
  process.stderr.write(`peers: ${error.message}\n`)
  process.exitCode = error instanceof UsageError ? 2 : 1
}
