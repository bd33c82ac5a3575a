/**
 * What a run stores, and the figures that follow from it.
 *
 * A measured case is `{ model, name, kind, tokens, depth, kvType, threads, trial, rounds }`; a round
 * has, by the engine's name and the label of its setting, the tokens per second of each repetition,
 * and the trial before the rounds has all settings of the engines that know several. Every row has the
 * versions of the engines; a case of kind `serve` has `waits` besides, for each round what every engine's
 * readers saw (`LoadFigures` of lib/cli/load-run.ts):
 *
 *   trial   { "node-llama-cpp": { "flash attention": [41.0], "plain attention": [39.2] } }
 *   round   { "Cria": { "": [57.1] }, "node-llama-cpp": { "flash attention": [40.6] } }
 */
import { mean, summarize } from './statistics.mjs'

export const OWN = 'Cria'

/** The best setting of one engine in one round or trial, by the mean of its runs: `{ label, rate, runs }`. */
export function best(settings) {
  return Object.entries(settings)
    .map(([label, rates]) => ({ label, rate: mean(rates), runs: rates.length }))
    .reduce((a, b) => (b.rate > a.rate ? b : a))
}

/**
 * Cria against each peer that measured the case: `{ peer, own, other, label, ratio }`. `own` and
 * `other` are summaries of tokens per second, `ratio` one of the rounds' ratios, Cria over the peer;
 * `label` is the peer's setting that won most rounds.
 */
export function comparisons({ rounds }) {
  const peers = Object.keys(rounds[0] ?? {}).filter((name) => name !== OWN)
  const own = rounds.map((round) => best(round[OWN]).rate)
  return peers.map((peer) => {
    const other = rounds.map((round) => best(round[peer]))
    return {
      peer,
      own: summarize(own),
      other: summarize(other.map(({ rate }) => rate)),
      label: mostFrequent(other.map(({ label }) => label)),
      ratio: summarize(other.map(({ rate }, round) => own[round] / rate))
    }
  })
}

/** Of a load case `{ model, fileBytes, cold, rounds: [{ readSeconds, loadSeconds }] }`. */
export function loadSummary({ rounds }) {
  return {
    read: summarize(rounds.map(({ readSeconds }) => readSeconds)),
    load: summarize(rounds.map(({ loadSeconds }) => loadSeconds)),
    ratio: summarize(rounds.map(({ readSeconds, loadSeconds }) => loadSeconds / readSeconds))
  }
}

function mostFrequent(labels) {
  const count = (label) => labels.filter((other) => other === label).length
  return labels.reduce((a, b) => (count(b) > count(a) ? b : a))
}
