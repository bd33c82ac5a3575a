/** Numbers as text, held to a range exactly. No number goes on for ever: all have a most of digits. */
import { type Bound, isInteger, type NumberCase } from './cases.js'
import { codePoints } from './code-points.js'
import { alt, chars, type Expr, empty, nothing, optional, repeat, seq, text } from './gbnf.js'
import { cannot } from './problem.js'

/** Significant decimal digits that a double keeps apart. */
const digitsKept = 15
const largest = BigInt(Number.MAX_SAFE_INTEGER)

const digits = (from: number, to: number): Expr =>
  from === to ? text(String(from)) : chars(codePoints([[48 + from, 48 + to]]))
const anyDigits = (min: number, max: number) => repeat(digits(0, 9), min, max)

export function numberExpr(found: NumberCase, path: string): Expr {
  if (isInteger(found)) return integers(found, path)
  if (!found.low && !found.high && found.power === undefined) return anyNumber()
  return decimals(found, path)
}

/**
 * As JSON.stringify writes a double: up to 21 digits before the point and 24 after, or one digit before
 * it and an exponent, that of 10 up to 307, so that every text is a finite number.
 */
function anyNumber(): Expr {
  const whole = alt([text('0'), seq(digits(1, 9), anyDigits(0, 20))])
  const fraction = optional(seq(text('.'), anyDigits(1, 24)))
  const scientific = seq(
    digits(1, 9),
    optional(seq(text('.'), anyDigits(1, 17))),
    chars(
      codePoints([
        [69, 69],
        [101, 101]
      ])
    ),
    alt([seq(optional(text('+')), wholeNumbers(0n, 307n)), seq(text('-'), wholeNumbers(0n, 323n))])
  )
  return seq(optional(text('-')), alt([seq(whole, fraction), scientific]))
}

/** Whole numbers that a double holds exactly: up to 2^53 - 1 either way. */
function integers({ low, high, power = 0 }: NumberCase, path: string): Expr {
  const step = 10n ** BigInt(Math.max(0, power))
  let from = low ? wholeBound(low, 1n, path) : -largest
  let to = high ? wholeBound(high, -1n, path) : largest
  if (from > largest || to < -largest) throw tooLarge(path)
  if (from < -largest) from = -largest
  if (to > largest) to = largest
  // In steps: the smallest multiple from `from` on, and the largest up to `to`.
  const first = from > 0n ? (from + step - 1n) / step : from / step
  const last = to < 0n ? (to - step + 1n) / step : to / step
  const zeros = step === 1n ? empty : text('0'.repeat(power))
  const options: Expr[] = []
  if (first <= 0n && last >= 0n) options.push(text('0'))
  if (last > 0n) options.push(seq(wholeNumbers(first > 0n ? first : 1n, last), zeros))
  if (first < 0n) {
    options.push(seq(text('-'), wholeNumbers(last < 0n ? -last : 1n, -first), zeros))
  }
  return alt(options)
}

/** A bound as the first whole number within it; `inward` leads into the range. */
function wholeBound({ value, exclusive }: Bound, inward: 1n | -1n, path: string): bigint {
  const whole = BigInt(inward > 0n ? Math.ceil(value) : Math.floor(value))
  const step = exclusive && Number.isInteger(value) ? inward : 0n
  if (step !== 0n && Math.abs(value) > Number.MAX_SAFE_INTEGER) {
    // Beyond, the next whole number is not the next double; it is out of what is written anyway.
    if (whole > 0n === inward > 0n) throw tooLarge(path)
  }
  return whole + step
}

function tooLarge(path: string): Error {
  return cannot(
    path,
    'its numbers are so large that a double does not keep them apart',
    'use a smaller range, or a string with a pattern'
  )
}

/** Decimal numbers from `from` to `to`, both from 0 on and included. */
function wholeNumbers(from: bigint, to: bigint): Expr {
  if (from > to) return nothing
  const [first, last] = [String(from), String(to)]
  const options: Expr[] = []
  for (let length = first.length; length <= last.length; length++) {
    const low = length === first.length ? first : `1${'0'.repeat(length - 1)}`
    const high = length === last.length ? last : '9'.repeat(length)
    options.push(sameLength(low, high))
  }
  return alt(options)
}

/** Texts of as many digits as both have, from one to the other. */
function sameLength(low: string, high: string): Expr {
  if (low === '') return empty
  const free = low.length - 1
  if (/^0*$/.test(low) && /^9*$/.test(high)) return anyDigits(low.length, low.length)
  const [first, last] = [Number(low[0]), Number(high[0])]
  if (first === last) return seq(text(String(first)), sameLength(low.slice(1), high.slice(1)))
  const nines = '9'.repeat(free)
  const zeros = '0'.repeat(free)
  const lowFull = low.slice(1) === zeros
  const highFull = high.slice(1) === nines
  const [from, to] = [first + (lowFull ? 0 : 1), last - (highFull ? 0 : 1)]
  const options: Expr[] = []
  if (!lowFull) options.push(seq(text(String(first)), sameLength(low.slice(1), nines)))
  if (from <= to) options.push(seq(digits(from, to), anyDigits(free, free)))
  if (!highFull) options.push(seq(text(String(last)), sameLength(zeros, high.slice(1))))
  return alt(options)
}

/** A bound in decimals: whole part, and fraction without zeros at its end. */
interface Decimal {
  readonly whole: bigint
  readonly fraction: string
  readonly exclusive: boolean
}

const zero: Decimal = { whole: 0n, fraction: '', exclusive: false }
const nearlyEndless: Decimal = { whole: 10n ** 15n, fraction: '', exclusive: true }

/**
 * Numbers of a range without exponents. So few digits are written that no text rounds across a bound:
 * with the whole digits of the larger bound they are 15 together.
 */
function decimals({ low, high, power }: NumberCase, path: string): Expr {
  const most = Math.max(
    0,
    ...[low, high].map((bound) => {
      const size = bound ? Math.trunc(Math.abs(bound.value)) : 0
      return size === 0 || size >= 1e15 ? 0 : String(size).length
    })
  )
  const places = Math.min(digitsKept - most, power === undefined ? digitsKept : -power)
  if ((low && low.value >= 1e15) || (high && high.value <= -1e15)) throw tooLarge(path)
  const [from, to] = [low && decimal(low, places, path), high && decimal(high, places, path)]
  const options: Expr[] = []
  if (!to || to.sign > 0 || (to.sign === 0 && !to.exclusive)) {
    const start = from && from.sign >= 0 ? from : zero
    options.push(magnitudes(start, to ?? nearlyEndless, places))
  }
  if (!from || from.sign < 0) {
    const start = to && to.sign < 0 ? to : { ...zero, exclusive: true }
    options.push(seq(text('-'), magnitudes(start, from ?? nearlyEndless, places)))
  }
  return alt(options)
}

/** The magnitude and the sign of a bound. */
function decimal(bound: Bound, places: number, path: string): Decimal & { sign: number } {
  const { value, exclusive } = bound
  const size = Math.abs(value)
  if (size >= 1e15) return { ...nearlyEndless, sign: Math.sign(value) }
  const written = String(size)
  const [mantissa = '', exponent] = written.split('e')
  const [whole = '', after = ''] = mantissa.split('.')
  const shift = exponent === undefined ? 0 : -Number(exponent)
  const fraction = shift > 0 ? '0'.repeat(shift - 1) + whole + after : after
  if (fraction.length > places) {
    throw cannot(
      path,
      `the bound ${value} has more decimals than can be held to (${places})`,
      'round it'
    )
  }
  return {
    whole: shift > 0 ? 0n : BigInt(whole),
    fraction,
    exclusive,
    sign: Math.sign(value)
  }
}

/** Numbers from 0 on between two bounds, with up to `places` decimals. */
function magnitudes(low: Decimal, high: Decimal, places: number): Expr {
  if (low.whole > high.whole) return nothing
  const at = (whole: bigint, least?: Decimal, most?: Decimal): Expr[] => {
    const decimals = fraction(least && edge(least), most && edge(most), places)
    return decimals ? [seq(text(String(whole)), decimals)] : []
  }
  if (low.whole === high.whole) return alt(at(low.whole, low, high))
  const options = at(low.whole, low)
  const between = wholeNumbers(low.whole + 1n, high.whole - 1n)
  if (between !== nothing) {
    options.push(seq(between, fraction(undefined, undefined, places) ?? empty))
  }
  options.push(...at(high.whole, undefined, high))
  return alt(options)
}

interface Edge {
  readonly digits: string // of the fraction, from here on; without zeros at its end
  readonly included: boolean
}

const edge = ({ fraction, exclusive }: Decimal): Edge => ({
  digits: fraction,
  included: !exclusive
})

/** A point and digits, or neither; undefined: no fraction is in the range. */
function fraction(low: Edge | undefined, high: Edge | undefined, places: number): Expr | undefined {
  const some = places > 0 ? nextDigit(low, high, places) : undefined
  const withPoint = some && seq(text('.'), some)
  if (!endsWithin(low, high)) return withPoint
  return withPoint ? optional(withPoint) : empty
}

/** Whether a number may end here: all further digits are 0. */
function endsWithin(low: Edge | undefined, high: Edge | undefined): boolean {
  return (!low || (low.digits === '' && low.included)) && (high?.digits !== '' || high.included)
}

/** One digit or more, up to `places`. */
function nextDigit(
  low: Edge | undefined,
  high: Edge | undefined,
  places: number
): Expr | undefined {
  if (!low && !high) return anyDigits(1, places)
  const options: Expr[] = []
  const [least, most] = [
    Number(low?.digits[0] ?? '0'),
    Number(high?.digits[0] ?? (high ? '0' : '9'))
  ]
  const add = (from: number, to: number, below: Edge | undefined, above: Edge | undefined) => {
    if (from > to) return
    const more = places > 1 ? nextDigit(below, above, places - 1) : undefined
    const ends = endsWithin(below, above)
    if (!more && !ends) return
    options.push(seq(digits(from, to), more ? (ends ? optional(more) : more) : empty))
  }
  const rest = (of: Edge | undefined) => of && { ...of, digits: of.digits.slice(1) }
  if (low && high && least === most) add(least, least, rest(low), rest(high))
  else {
    if (low) add(least, least, rest(low), undefined)
    add(least + (low ? 1 : 0), most - (high ? 1 : 0), undefined, undefined)
    if (high) add(most, most, undefined, rest(high))
  }
  return options.length > 0 ? alt(options) : undefined
}
