/** Ratios as a picture: a plain SVG that reads in light and in dark. */
import { comparisons, OWN } from './results.mjs'

const LETTER = 7.2 // about as wide as one is at 13 px
const PLOT = 460
const RIGHT = 70 // room for the figure
const ROW = 26
const TOP = 64
const BOTTOM = 40
const COLORS = ['a', 'b', 'c']

/**
 * One row a case and peer: a line over the whole range of the rounds' ratios, a bar over the middle
 * half, a dot at the median. The axis is logarithmic, so that 2 and 1/2 are equally far from 1.
 */
export function toSvg({ cases }) {
  const rows = cases.flatMap((measured) =>
    comparisons(measured).map(({ peer, ratio }, i) => {
      return { label: i === 0 ? labelOf(measured) : '', peer, ratio }
    })
  )
  const left = 40 + Math.ceil(LETTER * Math.max(24, ...rows.map(({ label }) => label.length)))
  const width = left + PLOT + RIGHT
  const peers = [...new Set(rows.map(({ peer }) => peer))]
  const { at, ticks } = axis(
    rows.map(({ ratio }) => ratio),
    left
  )
  const height = TOP + ROW * rows.length + BOTTOM
  const parts = [
    `<rect class="page" width="${width}" height="${height}"/>`,
    `<text x="16" y="26" class="title">${OWN}'s speed over its peers', median and spread</text>`,
    ...legend(peers, left),
    ...ticks.map((tick) => grid(tick, at(tick), height - BOTTOM)),
    ...rows.map((row, i) =>
      drawRow(row, { left, y: TOP + ROW * (i + 0.5), at, color: COLORS[peers.indexOf(row.peer)] })
    )
  ]
  return `${[head(width, height), STYLE, ...parts, '</svg>'].join('\n')}\n`
}

const labelOf = ({ model, name, kvType }) =>
  `${model} · ${name}${kvType === 'f16' ? '' : ` · KV ${kvType}`}`

/** Powers of 2 that hold all ratios and 1, and where a ratio lies right of `left`. */
function axis(ratios, left) {
  const low = Math.min(0, ...ratios.map(({ min }) => Math.floor(Math.log2(min))))
  const high = Math.max(1, ...ratios.map(({ max }) => Math.ceil(Math.log2(max))))
  const ticks = Array.from({ length: high - low + 1 }, (_, i) => 2 ** (low + i))
  const at = (ratio) => left + (PLOT * (Math.log2(ratio) - low)) / (high - low)
  return { at, ticks }
}

const STYLE = `<style>
  .page { fill: #ffffff } text { fill: #1f2328; font: 13px system-ui, sans-serif }
  .title { font-weight: 600 } .grid { stroke: #d1d9e0 } .one { stroke: #59636e; stroke-width: 1.5 }
  .a { fill: #0969da; stroke: #0969da } .b { fill: #bc4c00; stroke: #bc4c00 }
  .c { fill: #1a7f37; stroke: #1a7f37 } .end { text-anchor: end } .middle { text-anchor: middle }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } text { fill: #f0f6fc } .grid { stroke: #3d444d } .one { stroke: #9198a1 }
    .a { fill: #4493f8; stroke: #4493f8 } .b { fill: #f0883e; stroke: #f0883e }
    .c { fill: #3fb950; stroke: #3fb950 }
  }
</style>`

const head = (width, height) =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" ` +
  `height="${height}" role="img" aria-label="Ratios of tokens per second, ${OWN} over its peers">`

const escaped = (text) => text.replace(/[&<>"]/g, (character) => `&#${character.codePointAt(0)};`)

const round = (value) => Number(value.toFixed(1))

function legend(peers, left) {
  return peers.flatMap((peer, i) => {
    const x = left + i * 160
    return [
      `<circle cx="${x}" cy="44" r="5" class="${COLORS[i]}"/>`,
      `<text x="${x + 12}" y="48">over ${escaped(peer)}</text>`
    ]
  })
}

function grid(tick, x, bottom) {
  const name = tick >= 1 ? `${tick}×` : `1/${1 / tick}`
  return (
    `<line x1="${round(x)}" x2="${round(x)}" y1="${TOP}" y2="${bottom}" ` +
    `class="${tick === 1 ? 'one' : 'grid'}"/>` +
    `<text x="${round(x)}" y="${bottom + 20}" class="middle">${name}</text>`
  )
}

function drawRow({ label, ratio }, { left, y, at, color }) {
  const [min, q1, median, q3, max] = [ratio.min, ratio.q1, ratio.median, ratio.q3, ratio.max].map(
    (value) => round(at(value))
  )
  return [
    `<text x="${left - 16}" y="${y + 4}" class="end">${escaped(label)}</text>`,
    `<line x1="${min}" x2="${max}" y1="${y}" y2="${y}" class="${color}"/>`,
    `<line x1="${q1}" x2="${q3}" y1="${y}" y2="${y}" class="${color}" stroke-width="5"/>`,
    `<circle cx="${median}" cy="${y}" r="5" class="${color}"/>`,
    `<text x="${left + PLOT + 12}" y="${y + 4}">${ratio.median.toFixed(2)}×</text>`
  ].join('\n')
}
