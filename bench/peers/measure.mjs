/** Measures cases round by round, all engines in turns, and loads of Cria alone. */
import { spawnSync } from 'node:child_process'
import { accessSync, constants, statSync, writeFileSync } from 'node:fs'
import { nameOf } from './cases.mjs'
import { CHECKED_TOKENS, compareTexts } from './check.mjs'
import { best, comparisons } from './results.mjs'
import { mean } from './statistics.mjs'

const PROMPT = 'Once upon a time'
const DROP_CACHES = '/proc/sys/vm/drop_caches'

/** Throws where the peer's greedy text of a small trained model is not Cria's, with any setting. */
export async function checkTexts([cria, peer], models, { threads }, tell) {
  const results = []
  for (const { path, model } of models) {
    tell(`checking ${model}`)
    const work = { kind: 'text', path, prompt: PROMPT, tokens: CHECKED_TOKENS, threads }
    const own = await cria.ask(work)
    for (const { label, ...settings } of peer.variants({ kind: 'text', kvType: 'f16', threads })) {
      const other = await peer.ask({ ...work, ids: own.prompt, kvType: 'f16', ...settings })
      const exact = /f(16|32)$/.test(model)
      const { shared, of, problems } = compareTexts(own, other, { exact })
      if (problems.length > 0) throw new Error(`${model}, ${label}: ${problems.join('; ')}`)
      results.push({ model, peer: peer.name, setting: label, shared, of, text: own.text })
    }
  }
  return results
}

/**
 * One case: a trial that finds each engine's fastest setting, then the rounds, A B A B. `keep` is
 * given the result after every round.
 */
export async function measureCase(all, work, { rounds, repetitions }, tell, keep = () => {}) {
  const { path, ...measured } = work
  const title = `${measured.model} ${measured.name}`
  const request = { ...work, prompt: PROMPT, repetitions }
  const engines = all.filter((engine) => engine.measures(work))
  const { trial, chosen } = await tryVariants(engines, request, (line) => tell(`${title}, ${line}`))
  const result = { ...measured, trial, rounds: [] }
  if (work.kind === 'serve') result.waits = []
  for (let round = 1; round <= rounds; round++) {
    const { rates, figures: seen } = await measureRound(engines, chosen, request)
    result.rounds.push(rates)
    result.waits?.push(seen)
    const figures = Object.entries(rates).map(
      ([name, settings]) => `${name} ${best(settings).rate.toFixed(1)}`
    )
    tell(`${title}, round ${round} of ${rounds}: ${figures.join(', ')}`)
    keep(result)
  }
  for (const { peer, ratio } of comparisons(result)) {
    tell(`${title}: ${ratio.median.toFixed(2)} × ${peer}`)
  }
  return result
}

/** Every setting of each engine that has several, once: the rates, and by name which one is taken. */
async function tryVariants(engines, request, tell) {
  const trial = {}
  const chosen = {}
  for (const engine of engines) {
    const variants = engine.variants(request)
    chosen[engine.name] = variants[0]
    if (variants.length === 1) continue
    const rates = {}
    for (const variant of variants)
      rates[variant.label] = (await measureVariant(engine, variant, request)).rates
    trial[engine.name] = rates
    chosen[engine.name] = variants.find(({ label }) => label === best(rates).label)
    const figures = variants.map(({ label }) => `${label} ${mean(rates[label]).toFixed(1)}`)
    tell(`trial of ${engine.name}: ${figures.join(', ')}`)
  }
  return { trial, chosen }
}

/** Every engine, one after the other, with its chosen setting: rates, and what else it gives. */
async function measureRound(engines, chosen, request) {
  const round = { rates: {}, figures: {} }
  for (const engine of engines) {
    const variant = chosen[engine.name]
    const { rates, figures } = await measureVariant(engine, variant, request)
    round.rates[engine.name] = { [variant.label]: rates }
    round.figures[engine.name] = figures
  }
  return round
}

function measureVariant(engine, { label: _, ...settings }, request) {
  return engine.ask({ ...request, ...settings })
}

/**
 * Cria alone: reading a file plainly, and loading it up to the first token. `keep` is given the
 * result after every round.
 */
export async function measureLoad([cria], path, { rounds, threads }, tell, keep = () => {}) {
  const cold = canDropCaches()
  const title = `${nameOf(path)} load, ${cold ? 'cold' : 'warm'}`
  const seconds = async (kind) => {
    if (cold) dropCaches()
    return (await cria.ask({ kind, path, threads })).seconds
  }
  const result = { model: nameOf(path), fileBytes: statSync(path).size, cold, rounds: [] }
  for (let round = 1; round <= rounds; round++) {
    const readSeconds = await seconds('read')
    const loadSeconds = await seconds('load')
    result.rounds.push({ readSeconds, loadSeconds })
    const figures = `read ${readSeconds.toFixed(3)} s, first token ${loadSeconds.toFixed(3)} s`
    tell(`${title}, round ${round} of ${rounds}: ${figures}`)
    keep(result)
  }
  return result
}

/**
 * Brings a file into the system's cache as reading does. One that was just written may lie there in
 * small pieces; Cria, which maps it, was then seen to compute several times slower.
 */
export async function readAfresh([cria], path) {
  if (canDropCaches()) dropCaches()
  await cria.ask({ kind: 'read', path })
}

/** Whether the system can be made to forget files, so that the next read comes from the disk. */
function canDropCaches() {
  try {
    accessSync(DROP_CACHES, constants.W_OK)
    return true
  } catch {
    return false
  }
}

function dropCaches() {
  spawnSync('sync') // only what is written can be forgotten
  writeFileSync(DROP_CACHES, '1')
}
