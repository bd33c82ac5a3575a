/**
 * A roofline (Williams, Waterman & Patterson 2009) as SVG: what a kernel computes a second over what it
 * computes a byte, under the roofs that bandwidth (slopes) and arithmetic (horizontals) put over it.
 */
import type { KernelReport, KernelRow } from '../index.js'

const width = 1120
const plot = { left: 64, top: 56, right: 760, bottom: 600 }
const legend = { left: 784, top: 64, line: 12 }
/** Points that have a line in the legend. */
const mostPoints = 80

const style = `
  .card { fill: #fcfcfb; } .ink { fill: #1d2433; } .soft { fill: #5b6474; }
  text { font: 11px system-ui, sans-serif; } .title { font-size: 16px; font-weight: 600; }
  .grid { stroke: #e2e4e8; stroke-width: 1; } .roof { fill: none; stroke: #5b6474; stroke-width: 1.6; }
  .memory { stroke: #b3541e; fill: #b3541e; } .l2 { stroke: #2d6fb4; fill: #2d6fb4; }
  .l1 { stroke: #2a8055; fill: #2a8055; } .point { stroke: none; } .number { font-size: 9px; }
  @media (prefers-color-scheme: dark) {
    .card { fill: #171b22; } .ink { fill: #e8eaee; } .soft { fill: #a3acba; }
    .grid { stroke: #2b313b; } .roof { stroke: #a3acba; }
    .memory { stroke: #f0965a; fill: #f0965a; } .l2 { stroke: #74b0ef; fill: #74b0ef; }
    .l1 { stroke: #63c795; fill: #63c795; }
  }`

/** A timed row as a point. */
interface Point {
  readonly row: KernelRow
  readonly intensity: number
  readonly speed: number
}

/** A logarithmic axis from a power of 10 to another. */
class Axis {
  readonly low: number
  readonly high: number
  readonly #from: number
  readonly #to: number

  constructor(values: readonly number[], from: number, to: number) {
    this.low = Math.floor(Math.log10(Math.min(...values)))
    this.high = Math.max(this.low + 1, Math.ceil(Math.log10(Math.max(...values))))
    this.#from = from
    this.#to = to
  }

  at(value: number): number {
    const share = (Math.log10(value) - this.low) / (this.high - this.low)
    return this.#from + share * (this.#to - this.#from)
  }

  get decades(): number[] {
    return Array.from({ length: this.high - this.low + 1 }, (_, i) => 10 ** (this.low + i))
  }
}

const escaped = (text: string) =>
  text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)
const text = (x: number, y: number, kind: string, words: string, more = '') =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" class="${kind}"${more}>${escaped(words)}</text>`
const segment = (kind: string, x1: number, y1: number, x2: number, y2: number) =>
  `<line class="${kind}" x1="${x1.toFixed(1)}" y1="${y1.toFixed(1)}" x2="${x2.toFixed(1)}" y2="${y2.toFixed(1)}"/>`
const short = (value: number) => (value < 10 ? value.toFixed(1) : value.toFixed(0))

/** The picture of the first table that the report has rows of. */
export function roofline({ limits, rows }: KernelReport): string {
  const table = rows[0]?.table
  const points = rows.filter((row) => row.table === table).flatMap(toPoint)
  const ceiling = limits.ceilings.find(
    (one) => one.table === table && one.threads === limits.threads
  )
  if (!ceiling || points.length === 0) return frame(['no kernel was timed'], [])
  const slopes = [
    { kind: 'memory', name: 'memory', speed: ceiling.memory },
    { kind: 'l2', name: 'L2', speed: ceiling.l2 },
    { kind: 'l1', name: 'L1', speed: ceiling.l1 }
  ].filter((slope): slope is { kind: string; name: string; speed: number } => slope.speed !== null)
  const flats = [
    { name: '8-bit dot products', speed: ceiling.dotGops },
    { name: 'fused multiply-adds', speed: ceiling.fmaGops }
  ]
  const peak = Math.max(ceiling.dotGops, ceiling.fmaGops)
  const x = new Axis(
    points
      .map(({ intensity }) => intensity)
      .concat(peak / Math.max(ceiling.memory ?? ceiling.l2, 1)),
    plot.left,
    plot.right
  )
  const y = new Axis(points.map(({ speed }) => speed).concat(peak * 1.3), plot.bottom, plot.top)
  const title = [
    `${table}, ${limits.threads} ${limits.threads === 1 ? 'thread' : 'threads'}`,
    'slopes: bandwidth measured; horizontals: arithmetic measured in the same run'
  ]
  const body = [
    ...grid(x, y),
    `<clipPath id="plot"><rect x="${plot.left}" y="${plot.top}" width="${plot.right - plot.left}" height="${plot.bottom - plot.top}"/></clipPath>`,
    ...slopes.map(({ kind, name, speed }) =>
      slopeOf(kind, `${name} ${short(speed)} GB/s`, speed, peak, x, y)
    ),
    ...flats.map(({ name, speed }) => flatOf(`${name} ${short(speed)} GOP/s`, speed, x, y)),
    ...drawPoints(points, x, y)
  ]
  return frame(title, body, points.length)
}

function toPoint(row: KernelRow): Point[] {
  const speed = row.gigaopsPerSecond
  return speed === null ? [] : [{ row, speed, intensity: row.operations / row.bytes }]
}

function frame(title: readonly string[], body: readonly string[], points = 0): string {
  const [head = '', sub = ''] = title
  const lines = Math.min(points, mostPoints) + 3
  const height = Math.max(plot.bottom + 60, legend.top + legend.line * lines)
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    `<title>Roofline of ${escaped(head)}</title><style>${style}</style>`,
    `<rect class="card" width="${width}" height="${height}" rx="8"/>`,
    text(plot.left, 26, 'ink title', head),
    text(plot.left, 43, 'soft', sub),
    ...body,
    '</svg>',
    ''
  ].join('\n')
}

function grid(x: Axis, y: Axis): string[] {
  return [
    ...x.decades.flatMap((value) => [
      segment('grid', x.at(value), plot.top, x.at(value), plot.bottom),
      text(x.at(value), plot.bottom + 16, 'soft', String(value), ' text-anchor="middle"')
    ]),
    ...y.decades.flatMap((value) => [
      segment('grid', plot.left, y.at(value), plot.right, y.at(value)),
      text(plot.left - 6, y.at(value) + 4, 'soft', String(value), ' text-anchor="end"')
    ]),
    text(plot.right, plot.bottom + 34, 'ink', 'operations a byte', ' text-anchor="end"'),
    text(plot.left - 50, plot.top - 14, 'ink', 'GOP/s')
  ]
}

/** speed · intensity, as far as the highest roof. */
function slopeOf(
  kind: string,
  name: string,
  speed: number,
  peak: number,
  x: Axis,
  y: Axis
): string {
  const first = 10 ** x.low
  const last = Math.min(peak / speed, 10 ** x.high)
  const [x1, y1] = [x.at(first), y.at(speed * first)]
  const [x2, y2] = [x.at(last), y.at(speed * last)]
  const angle = (Math.atan2(y2 - y1, x2 - x1) * 180) / Math.PI
  // Where the slope comes into the picture, a little further on.
  const into = y1 <= plot.bottom ? x1 : x1 + ((y1 - plot.bottom) / (y1 - y2)) * (x2 - x1)
  const tx = into + 14
  const ty = y1 + ((tx - x1) / (x2 - x1)) * (y2 - y1) - 5
  const turned = ` transform="rotate(${angle.toFixed(1)} ${tx.toFixed(1)} ${ty.toFixed(1)})" stroke="none"`
  return `<g clip-path="url(#plot)">${segment(`roof ${kind}`, x1, y1, x2, y2)}</g>${text(tx, ty, kind, name, `${turned} style="stroke:none"`)}`
}

function flatOf(name: string, speed: number, x: Axis, y: Axis): string {
  const at = y.at(speed)
  return (
    segment('roof', x.at(10 ** x.low), at, plot.right, at) +
    text(plot.left + 6, at - 5, 'soft', name)
  )
}

function shape(place: KernelRow['place'], x: number, y: number): string {
  const at = `${x.toFixed(1)}`
  if (place === 'l1') return `<circle class="point l1" cx="${at}" cy="${y.toFixed(1)}" r="4"/>`
  if (place === 'l2') {
    return `<rect class="point l2" x="${(x - 3.6).toFixed(1)}" y="${(y - 3.6).toFixed(1)}" width="7.2" height="7.2"/>`
  }
  const corners = [
    [x, y - 5],
    [x + 5, y],
    [x, y + 5],
    [x - 5, y]
  ]
  const path = corners.map((corner) => corner.map((side) => side.toFixed(1)).join(',')).join(' ')
  return `<polygon class="point memory" points="${path}"/>`
}

/** Each point with a number beside it, and the numbers' meaning on the right. */
function drawPoints(points: readonly Point[], x: Axis, y: Axis): string[] {
  const taken: { x: number; y: number }[] = points.map(({ intensity, speed }) => ({
    x: x.at(intensity),
    y: y.at(speed)
  }))
  const marks = points.map(({ row }, i) => shape(row.place, taken[i]?.x ?? 0, taken[i]?.y ?? 0))
  const numbered = points.slice(0, mostPoints).flatMap((point, i) => {
    const number = String(i + 1)
    const at = freePlace(x.at(point.intensity), y.at(point.speed), taken)
    taken.push(at)
    const row = legend.top + legend.line * (i + 1)
    return [
      text(at.x, at.y + 3, 'ink number', number, ' text-anchor="middle"'),
      shape(point.row.place, legend.left, row - 4),
      text(legend.left + 12, row, 'ink', `${number}  ${describe(point.row)}`)
    ]
  })
  const left = points.length - mostPoints
  const rest =
    left > 0
      ? [text(legend.left, legend.top + legend.line * (mostPoints + 1), 'soft', `and ${left} more`)]
      : []
  return [
    text(legend.left, legend.top - 4, 'soft', 'share of bandwidth · of arithmetic'),
    ...marks,
    ...numbered,
    ...rest
  ]
}

/** Somewhere around a point where no other point or number is; the nearest such place. */
function freePlace(x: number, y: number, taken: readonly { x: number; y: number }[]) {
  const around: readonly [number, number][] = [
    [11, 0],
    [-11, 0],
    [0, -11],
    [0, 11],
    [10, -9],
    [-10, -9],
    [10, 9],
    [-10, 9]
  ]
  for (const reach of [1, 1.8, 2.6, 3.4]) {
    for (const [dx, dy] of around) {
      const place = { x: x + dx * reach, y: y + dy * reach }
      const free = taken.every(
        (one) => Math.abs(one.x - place.x) > 10 || Math.abs(one.y - place.y) > 8
      )
      if (free) return place
    }
  }
  return { x: x + 11, y }
}

function describe({ op, type, rows, cols, tokens, place, ...row }: KernelRow): string {
  const share = (value: number | null) => (value === null ? '–' : `${(100 * value).toFixed(0)}%`)
  const size = rows === 1 ? `${cols}` : `${rows}×${cols}${tokens > 1 ? ` ×${tokens}` : ''}`
  const where = place === 'memory' ? 'memory' : place.toUpperCase()
  return `${op} ${type} ${size} ${where}: ${share(row.bandwidthShare)} · ${share(row.arithmeticShare)}`
}
