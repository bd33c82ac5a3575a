/** Formats that can be held to exactly, or to a part of them, as patterns of whole strings. */
import { cannot } from './problem.js'

const leapYear = '(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)'
const monthAndDay =
  '(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|' +
  '02-(?:0[1-9]|1[0-9]|2[0-8]))'
const date = `(?:[0-9]{4}-${monthAndDay}|${leapYear}-02-29)`
const hour = '(?:[01][0-9]|2[0-3])'
// RFC 3339; leap seconds are left out: which there were cannot be told from the text.
const time = `${hour}:[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,9})?(?:Z|[+-]${hour}:[0-5][0-9])`

const byte = '(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])'
const ipv4 = `(?:${byte}\\.){3}${byte}`
const group = '[0-9A-Fa-f]{1,4}'
const last = `(?:${group}:${group}|${ipv4})` // 32 bits
const ipv6 = [
  `(?:${group}:){6}${last}`,
  ...[0, 1, 2, 3, 4, 5].map((before) => {
    const head = before === 0 ? '' : `(?:(?:${group}:){0,${before - 1}}${group})?`
    const between = 5 - before
    return `${head}::${between === 0 ? '' : `(?:${group}:){${between}}`}${last}`
  }),
  `(?:(?:${group}:){0,5}${group})?::${group}`,
  `(?:(?:${group}:){0,6}${group})?::`
].join('|')

const atom = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]"
// Without -- in a label, which stands for what only tables of Unicode tell; up to 185 characters.
const hostLabel = '[A-Za-z0-9](?:-?[A-Za-z0-9]){0,30}'
const escaped = '%[0-9A-Fa-f]{2}'
const unreserved = "A-Za-z0-9._~!$&'()*+,;=\\-"
const segments = (first: string) => `${first}(?:/(?:[${unreserved}:@]|${escaped})*)*`
const pathCharacters = `(?:[${unreserved}:@/?]|${escaped})*`
// RFC 3986 but for addresses in brackets.
const uri =
  '[A-Za-z][A-Za-z0-9+.-]*:(?:' +
  `//(?:(?:[${unreserved}:]|${escaped})*@)?(?:[${unreserved}]|${escaped})*(?::[0-9]{0,5})?${segments('')}|` +
  `/?${segments(`(?:[${unreserved}:@]|${escaped})+`)}|/?` +
  `)(?:\\?${pathCharacters})?(?:#${pathCharacters})?`
const time8601 =
  'T(?:[0-9]{1,9}H(?:[0-9]{1,9}M(?:[0-9]{1,9}S)?)?|[0-9]{1,9}M(?:[0-9]{1,9}S)?|[0-9]{1,9}S)'
const days =
  '(?:[0-9]{1,9}Y(?:[0-9]{1,9}M(?:[0-9]{1,9}D)?)?|[0-9]{1,9}M(?:[0-9]{1,9}D)?|[0-9]{1,9}D)'

const patterns: Readonly<Record<string, string>> = {
  date,
  time,
  'date-time': `${date}T${time}`,
  duration: `P(?:${days}(?:${time8601})?|${time8601}|[0-9]{1,9}W)`,
  uuid: '[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}',
  ipv4,
  ipv6: `(?:${ipv6})`,
  // No quoted local parts, no address literals; up to 32 characters before the @, and dots between.
  email: `${atom}(?:\\.?${atom}){0,31}@${hostLabel}(?:\\.${hostLabel}){0,2}`,
  hostname: `${hostLabel}(?:\\.${hostLabel}){0,2}`,
  uri,
  'json-pointer': '(?:/(?:[^~/]|~[01])*)*',
  'relative-json-pointer': '(?:0|[1-9][0-9]{0,8})(?:#|(?:/(?:[^~/]|~[01])*)*)'
}

export const formatNames = Object.keys(patterns)

/** The pattern of a format. */
export function formatPattern(name: string, path: string): string {
  if (!Object.hasOwn(patterns, name)) {
    throw cannot(
      path,
      `the format ${JSON.stringify(name.slice(0, 40))} is not supported`,
      `there are ${formatNames.join(', ')}; or give a pattern in its place`
    )
  }
  return `^${patterns[name]}$`
}
