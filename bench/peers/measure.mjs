/** Measures cases round by round, all engines in turns, and loads of Cria alone. */
import { spawnSync } from 'node:child_process'
import { accessSync, constants, statSync, writeFileSync } from 'node:fs'
import { nameOf } from './cases.mjs'
import { CHECKED_TOKENS, compareTexts } from './check.mjs'
import { best, comparisons } from './results.mjs'

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

/** The rounds of one case: A B A B. */
export async function measureCase(engines, work, { rounds, repetitions }, tell) {
  const { path, ...measured } = work
  const title = `${measured.model} ${measured.name}`
  const done = []
  for (let round = 1; round <= rounds; round++) {
    done.push(await measureRound(engines, { ...work, prompt: PROMPT, repetitions }))
    const figures = Object.entries(done.at(-1)).map(
      ([name, settings]) => `${name} ${best(settings).rate.toFixed(1)}`
    )
    tell(`${title}, round ${round} of ${rounds}: ${figures.join(', ')}`)
  }
  const result = { ...measured, rounds: done }
  for (const { peer, ratio } of comparisons(result)) {
    tell(`${title}: ${ratio.median.toFixed(2)} × ${peer}`)
  }
  return result
}

/** Every engine, one after the other, with each of its settings. */
async function measureRound(engines, work) {
  const round = {}
  for (const engine of engines.filter((engine) => engine.measures(work))) {
    round[engine.name] = {}
    for (const { label, ...settings } of engine.variants(work)) {
      const { rates } = await engine.ask({ ...work, ...settings })
      round[engine.name][label] = rates
    }
  }
  return round
}

/** Cria alone: reading a file plainly, and loading it up to the first token. */
export async function measureLoad([cria], path, { rounds, threads }, tell) {
  const cold = canDropCaches()
  const title = `${nameOf(path)} load, ${cold ? 'cold' : 'warm'}`
  const seconds = async (kind) => {
    if (cold) dropCaches()
    return (await cria.ask({ kind, path, threads })).seconds
  }
  const done = []
  for (let round = 1; round <= rounds; round++) {
    const readSeconds = await seconds('read')
    const loadSeconds = await seconds('load')
    done.push({ readSeconds, loadSeconds })
    const figures = `read ${readSeconds.toFixed(3)} s, first token ${loadSeconds.toFixed(3)} s`
    tell(`${title}, round ${round} of ${rounds}: ${figures}`)
  }
  return { model: nameOf(path), fileBytes: statSync(path).size, cold, rounds: done }
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
