/**
 * Keeps what people wrote from becoming control tokens in a text that a template rendered.
 *
 * A template mixes its own control tokens with the messages, and gives one flat text. So a mark, a
 * Unicode noncharacter that occurs in no message, is put inside every control spelling in the
 * messages; after rendering, the text is cut at the marks. The tokenizer sees a control token only
 * within one segment, and joins plain text across the cuts, so the marks change nothing else.
 */
import { badArgument } from '../errors.js'
import type { NativeSegment } from '../native.js'
import type { TemplateMessage } from '../tools/native.js'

const noncharacters = Array.from({ length: 32 }, (_, i) => String.fromCharCode(0xfdd0 + i))

/** The words of the API itself, which templates look up. */
const ownKeys = new Set(
  (
    'role content name id type function arguments parameters description tool_calls tool_call_id ' +
    'properties required items enum'
  ).split(' ')
)

/** The conversation with marks in it. */
export interface Guarded {
  readonly messages: readonly TemplateMessage[]
  readonly tools: readonly object[]
  readonly mark: string
}

/** Messages and tools alike: calls, results and descriptions are other people's words, too. */
export function guardMessages(
  messages: readonly TemplateMessage[],
  controlPieces: readonly string[],
  template: string,
  tools: readonly object[] = []
): Guarded {
  const all = JSON.stringify([messages, tools])
  const used = (mark: string) => template.includes(mark) || all.includes(mark)
  const mark = noncharacters.find((candidate) => !used(candidate))
  if (mark === undefined) {
    throw badArgument(
      'the messages hold every one of the noncharacters U+FDD0 to U+FDEF, so none is left to ' +
        'guard control tokens with; remove one of them'
    )
  }
  const pieces = controlPieces.filter((piece) => piece !== '')
  const deep = <T>(value: T): T => guardDeep(value, pieces, mark) as T
  return { mark, messages: messages.map(deep), tools: tools.map(deep) }
}

function guardDeep(value: unknown, pieces: readonly string[], mark: string): unknown {
  if (typeof value === 'string') return guard(value, pieces, mark)
  if (Array.isArray(value)) return value.map((part) => guardDeep(part, pieces, mark))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => [
      ownKeys.has(key) ? key : guard(key, pieces, mark),
      key === 'role' ? part : guardDeep(part, pieces, mark)
    ])
  )
}

/** The rendered text, cut where a mark stood. */
export function splitAtMarks(text: string, mark: string): NativeSegment[] {
  return text.split(mark).map((part) => ({ text: part, special: true }))
}

function guard(content: string, pieces: readonly string[], mark: string): string {
  const cuts = new Set<number>()
  for (const piece of pieces) {
    const inside = String.fromCodePoint(piece.codePointAt(0) as number).length
    for (let at = content.indexOf(piece); at !== -1; at = content.indexOf(piece, at + 1)) {
      if (piece.length === inside) {
        throw badArgument(
          `a message holds ${JSON.stringify(piece)}, which is a control token of this model`
        )
      }
      cuts.add(at + inside)
    }
  }
  addSeams(content, pieces, cuts)
  let guarded = ''
  let from = 0
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    guarded += content.slice(from, cut) + mark
    from = cut
  }
  return guarded + content.slice(from)
}

/**
 * Where a message begins with the end of a control spelling, or ends with the beginning of one, it
 * could make one up together with its neighbours: a mark stands there too (inside the surrounding
 * white space, which templates strip).
 */
function addSeams(content: string, pieces: readonly string[], cuts: Set<number>): void {
  const start = content.length - content.trimStart().length
  const end = content.trimEnd().length
  if (start >= end) return
  for (const piece of pieces) {
    for (let length = 1; length < piece.length; length++) {
      if (content.startsWith(piece.slice(-length), start)) cuts.add(start)
      if (content.endsWith(piece.slice(0, length))) cuts.add(content.length)
      if (content.slice(0, end).endsWith(piece.slice(0, length))) cuts.add(end)
    }
  }
}
