/** Values of `enum` and `const` as a tree of what they share, so that one path of it is followed at a time. */
import { alt, type Expr, type Grammar, optional, seq, text } from './gbnf.js'
import { type Budget, cannot } from './problem.js'
import { isArray, isObject, type Json } from './snapshot.js'

/** Where a space may stand; a raw control character is no part of JSON. */
const gap = '\u0000'
const space = optional(text(' '))
export const comma = seq(text(','), space)
export const colon = seq(text(':'), space)

const maxNesting = 100
const maxInline = 64

export function literalsExpr(
  values: readonly Json[],
  grammar: Grammar,
  budget: Budget,
  path: string
): Expr {
  const texts = [...new Set(values.map((value) => write(value, budget, path)))].sort()
  budget.spend(texts.length, path)
  const root = tree(texts, 0, texts.length, 0)
  const build = (node: Node): Expr => {
    const tail = ends(node)
    const options = node.branches.map((branch) => {
      const inner = tree(texts, branch.from, branch.to, branch.end)
      const head = spelled(texts[branch.from] as string, node.at, branch.end)
      if (branch.to - branch.from === 1) return head
      return seq(head, branch.to - branch.from <= maxInline ? build(inner) : later(inner))
    })
    return alt(tail ? [text(''), ...options] : options)
  }
  const queue: { rule: string; node: Node }[] = []
  const later = (node: Node): Expr => {
    const name = grammar.name('enum')
    queue.push({ rule: name, node })
    return { kind: 'rule', name }
  }
  const first = build(root)
  for (let next = queue.pop(); next; next = queue.pop()) grammar.set(next.rule, build(next.node))
  return first
}

/** Some texts in order, that are alike up to `at`. */
interface Node {
  readonly at: number
  readonly whole: boolean // the first of them ends here
  readonly branches: readonly { from: number; to: number; end: number }[]
}

const ends = ({ whole }: Node) => whole

function tree(texts: readonly string[], from: number, to: number, at: number): Node {
  const whole = texts[from]?.length === at && to - from > 1
  const branches: { from: number; to: number; end: number }[] = []
  let start = whole ? from + 1 : from
  while (start < to) {
    const code = texts[start]?.codePointAt(at)
    let end = start + 1
    while (end < to && texts[end]?.codePointAt(at) === code) end++
    branches.push({ from: start, to: end, end: shared(texts, start, end, at) })
    start = end
  }
  return { at, whole, branches }
}

/** Up to where all are alike: as they are in order, the first and the last tell. */
function shared(texts: readonly string[], from: number, to: number, at: number): number {
  const first = texts[from] as string
  const last = texts[to - 1] as string
  if (to - from === 1) return first.length
  let end = at
  while (end < first.length && first[end] === last[end]) end++
  const unit = first.charCodeAt(end - 1)
  return unit >= 0xd800 && unit <= 0xdbff ? end - 1 : end
}

function spelled(whole: string, from: number, to: number): Expr {
  const part = whole.slice(from, to)
  if (!part.includes(gap)) return text(part)
  const parts = part.split(gap)
  return seq(...parts.flatMap((part, i) => (i === 0 ? [text(part)] : [space, text(part)])))
}

/** As JSON.stringify, with a gap after each comma and colon. */
function write(value: Json, budget: Budget, path: string, depth = 0): string {
  budget.spend(1, path)
  if (depth > maxNesting) {
    throw cannot(path, 'a value of enum or const is nested too deep', `nest up to ${maxNesting}`)
  }
  if (isArray(value)) {
    return `[${value.map((item) => write(item, budget, path, depth + 1)).join(`,${gap}`)}]`
  }
  if (!isObject(value)) return JSON.stringify(value)
  const members = [...value].map(
    ([key, member]) => `${JSON.stringify(key)}:${gap}${write(member, budget, path, depth + 1)}`
  )
  return `{${members.join(`,${gap}`)}}`
}
