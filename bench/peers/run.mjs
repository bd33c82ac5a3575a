#!/usr/bin/env node
/**
 * Cria against its peers on this machine. From a fresh clone: builds Cria, installs node-llama-cpp
 * beside this file, makes the models, checks that the engines compute the same, and measures them in
 * turns. docs/benchmarks.md says what the figures mean; --help lists the flags.
 */
import { setup } from '../../scripts/setup.mjs'
import { serveCases, speedCases, streamCases } from './cases.mjs'
import { toSvg } from './chart.mjs'
import { stored, updateDocs } from './docs.mjs'
import { enginesOf } from './engines.mjs'
import { installPeer } from './install.mjs'
import { checkTexts, measureCase, measureLoad, readAfresh } from './measure.mjs'
import { randomModel } from './models.mjs'
import { help, parseOptions, UsageError } from './options.mjs'
import { toMarkdown } from './report.mjs'
import { put, resume, writeWhole } from './store.mjs'

const tell = (line) => process.stderr.write(`peers: ${line}\n`)

async function run(options) {
  setup()
  installPeer(tell)
  const engines = enginesOf(options)
  const described = []
  for (const engine of engines) described.push({ name: engine.name, ...(await engine.describe()) })
  const [{ machine, threads }] = described
  const settings = { ...options, threads: options.threads ?? threads }
  const versions = Object.fromEntries(described.map(({ name, version }) => [name, version]))
  const path = options.updateDocs ? stored : options.json
  const results = resume(path, { machine }, tell)
  const keep = (kind) => (row) => {
    put(results, kind, row, versions)
    store(results, options)
  }

  const streams = streamCases(settings)
  for (const check of await checkTexts(engines, streams, settings, tell)) {
    put(results, 'check', check, versions) // stored with the first measurement: without one it says nothing
  }
  const measures = (kind) => options.measure.includes(kind)
  const models = ['speed', 'serve', 'load'].some(measures) ? modelsOf(options) : []
  const stream = measures('stream') ? streams : []
  const speed = measures('speed') ? speedCases(models, settings) : []
  const serve = measures('serve') ? serveCases(models, settings) : []
  const fresh = new Set()
  for (const work of [...stream, ...speed, ...serve]) {
    if (!fresh.has(work.path)) await readAfresh(engines, work.path)
    fresh.add(work.path)
    await measureCase(engines, work, settings, tell, keep('cases'))
  }
  for (const path of measures('load') ? models : []) {
    await measureLoad(engines, path, settings, tell, keep('load'))
  }
  return results
}

/** The paths of the files to measure. */
function modelsOf({ models, shapes, types }) {
  if (models.length > 0) return models
  return shapes.flatMap((shape) => types.map((type) => randomModel(shape, type, tell)))
}

/** Everything so far; called after every round of every case. */
function store(results, { json, svg, updateDocs: renew }) {
  const text = `${JSON.stringify(results, null, 2)}\n`
  for (const path of [json, renew && stored]) if (path) writeWhole(path, text)
  if (svg) writeWhole(svg, toSvg(results))
  if (renew) updateDocs()
}

try {
  const options = parseOptions(process.argv.slice(2))
  if (options.help) process.stdout.write(help)
  else process.stdout.write(toMarkdown(await run(options)))
} catch (error) {
  process.stderr.write(`peers: ${error.message}\n`)
  process.exitCode = error instanceof UsageError ? 2 : 1
}
