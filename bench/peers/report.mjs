/** Results as Markdown. */
import { best, comparisons, loadSummary, OWN } from './results.mjs'
import { summarize } from './statistics.mjs'

/** All tables and what they were measured on. */
export function toMarkdown(results) {
  const parts = [describeRun(results)]
  if (results.cases.length > 0) parts.push(speedTable(results))
  if (results.cases.some(({ waits }) => waits)) parts.push(waitTable(results))
  if (results.load.length > 0) parts.push(loadTable(results))
  return `${parts.join('\n\n')}\n`
}

function describeRun({ machine, cases, check, load }) {
  const names = describeVersions([...cases, ...check, ...load])
  const memory = `${(machine.memoryBytes / 1e9).toFixed(0)} GB`
  return [
    `${machine.cpu || 'unknown CPU'}, ${machine.usableCores} cores, ${memory}; ` +
      `${machine.os}, Node ${machine.node}; kernels ${machine.kernels}. ${names}.`,
    `${timedRuns(cases)}Checked first: ${describeCheck(check)}.`
  ].join('\n')
}

/** Every engine with all versions of it that the rows were measured with. */
function describeVersions(rows) {
  const engines = new Map()
  for (const { versions } of rows) {
    for (const [name, version] of Object.entries(versions)) {
      engines.set(name, (engines.get(name) ?? new Set()).add(version))
    }
  }
  return [...engines].map(([name, all]) => `${name} ${[...all].join(' and ')}`).join(', ')
}

/** How many runs of each process were timed, where any was for its speed. */
function timedRuns(cases) {
  const runs = cases.flatMap(({ rounds }) => rounds.map((round) => best(round[OWN]).runs))
  if (runs.length === 0) return ''
  const [least, most] = [Math.min(...runs), Math.max(...runs)]
  return `Each process timed ${least < most ? `${least} to ` : ''}${count(most, 'run')}. `
}

function describeCheck(check) {
  const equal = check.map(
    ({ model, peer, shared, of }) =>
      `${model} against ${peer}, ${shared === of ? `all ${of}` : `the first ${shared} of ${of}`} tokens equal`
  )
  return [...new Set(equal)].join('; ')
}

function speedTable({ cases }) {
  const rows = cases.flatMap((measured) =>
    comparisons(measured).map(({ peer, own, other, label, ratio }) => [
      measured.model,
      measured.name,
      measured.kvType,
      threadsOf(measured),
      String(measured.rounds.length),
      spread(own, rate),
      `${peer}, ${label}`,
      spread(other, rate),
      `**${ratio.median.toFixed(2)}**`,
      `${ratio.q1.toFixed(2)}–${ratio.q3.toFixed(2)}`,
      `${ratio.min.toFixed(2)}–${ratio.max.toFixed(2)}`,
      measured.versions[OWN].replace(/^.*\((.*)\)$/, '$1')
    ])
  )
  return table(
    [
      'model',
      'test',
      'KV',
      'threads:',
      'rounds:',
      `${OWN} tokens/s:`,
      'peer',
      'peer tokens/s:',
      'ratio:',
      'middle half:',
      'range:',
      `${OWN} at`
    ],
    rows
  )
}

/** How long readers wait: medians of the rounds, each a quantile of one run. */
function waitTable({ cases }) {
  const rows = cases
    .filter(({ waits }) => waits)
    .flatMap(({ model, name, waits }) =>
      Object.keys(waits[0]).map((engine) => {
        const middle = (of) => summarize(waits.map((round) => of(round[engine]))).median.toFixed(1)
        return [
          model,
          name,
          engine,
          middle(({ generatedTokens, seconds }) => generatedTokens / seconds),
          middle(({ firstToken }) => firstToken.p50),
          middle(({ firstToken }) => firstToken.p95),
          middle(({ betweenTokens }) => betweenTokens.p50),
          middle(({ betweenTokens }) => betweenTokens.p99),
          middle(({ eventLoopDelay }) => eventLoopDelay.p99)
        ]
      })
    )
  const times = ['first token p50, ms:', 'p95:', 'between tokens p50, ms:', 'p99:']
  const head = ['model', 'test', 'engine', 'tokens/s:', ...times, 'event-loop delay p99, ms:']
  return table(head, rows)
}

function loadTable({ load }) {
  const rows = load.map((measured) => {
    const { read, load, ratio } = loadSummary(measured)
    const seconds = (value) => value.toFixed(3)
    return [
      measured.model,
      String(measured.rounds.length),
      `${(measured.fileBytes / 1e6).toFixed(0)} MB, ${measured.cold ? 'cold' : 'warm'}`,
      spread(read, seconds),
      spread(load, seconds),
      `**${ratio.median.toFixed(2)}**`,
      `${ratio.min.toFixed(2)}–${ratio.max.toFixed(2)}`
    ]
  })
  const head = [
    'model',
    'rounds:',
    'file',
    'reading it, s:',
    'load and first token, s:',
    'ratio:',
    'range:'
  ]
  return table(head, rows)
}

/** A stream may take one thread or all that it is given, whichever is faster. */
const threadsOf = ({ kind, threads }) =>
  kind === 'stream' && threads > 1 ? `1 or ${threads}` : String(threads)

const count = (number, noun) => `${number} ${noun}${number === 1 ? '' : 's'}`
const rate = (value) => (value < 1000 ? value.toFixed(1) : value.toFixed(0))
const spread = ({ median, min, max }, show) => `${show(median)} (${show(min)}–${show(max)})`

/** A table; a column whose name ends in a colon is aligned to the right. */
export function table(head, rows) {
  const names = head.map((name) => name.replace(/:$/, ''))
  const widths = names.map((name, i) =>
    Math.max(3, ...[name, ...rows.map((row) => row[i])].map(length))
  )
  const right = (i) => head[i].endsWith(':')
  const line = (cells) => {
    const padded = cells.map((cell, i) => {
      const space = ' '.repeat(widths[i] - length(cell))
      return right(i) ? space + cell : cell + space
    })
    return `| ${padded.join(' | ')} |`
  }
  const rule = widths.map((width, i) =>
    right(i) ? `${'-'.repeat(width - 1)}:` : '-'.repeat(width)
  )
  return [line(names), line(rule), ...rows.map(line)].join('\n')
}

const length = (text) => [...text].length
