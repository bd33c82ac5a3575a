/**
 * Chat templates as Jinja in Python renders them. The engine in JavaScript does the work; what it does
 * otherwise than the original, where templates of well-known models depend on it, is put right here.
 */
import { Environment, Interpreter, parse, tokenize } from '@huggingface/jinja'
import { isKind, kinds, pythonText, sameValue, type Value } from './python-values.js'

interface Node {
  readonly type: string
  readonly [field: string]: unknown
}

/** The engine's methods, which its types keep to itself. */
interface Methods {
  run(program: unknown): Value
  evaluate(node: Node | undefined, scope: Environment): Value
  evaluateBlock(nodes: readonly Node[], scope: Environment): Value
  evaluateBinaryExpression(node: Node, scope: Environment): Value
  evaluateFor(node: Node, scope: Environment): Value
  applyFilter(operand: Value, filter: Node, scope: Environment): Value
}

const Engine = Interpreter as unknown as new (scope: Environment) => Methods

/** `break` or `continue`; `text`: what the round had written by then. */
class LoopControl extends Error {
  text = ''
  readonly ends: boolean

  constructor(ends: boolean) {
    super(`${ends ? 'break' : 'continue'} stands in no loop`)
    this.ends = ends
  }
}

const statements = new Set([
  'Set',
  'If',
  'For',
  'Macro',
  'CallStatement',
  'FilterStatement',
  'Comment'
])
const textFilters = new Set(['trim', 'upper', 'lower', 'title', 'capitalize', 'replace', 'indent'])
const listFilters = new Set(['selectattr', 'rejectattr', 'map', 'select', 'reject', 'join', 'list'])

class Renderer extends Engine {
  /** A text was taken apart letter by letter, as templates do that expect a list of parts. */
  tookLetters = false

  override evaluate(node: Node | undefined, scope: Environment): Value {
    if (node === undefined) return kinds.undefined() // the open end of a slice
    if (node.type === 'Break' || node.type === 'Continue')
      throw new LoopControl(node.type === 'Break')
    return node.type === 'Evaluated' ? (node.value as Value) : super.evaluate(node, scope)
  }

  override evaluateBlock(nodes: readonly Node[], scope: Environment): Value {
    let text = ''
    try {
      for (const node of nodes) {
        const value = this.evaluate(node, scope)
        if (!statements.has(node.type) || value.type === 'StringValue') text += pythonText(value)
      }
    } catch (error) {
      if (error instanceof LoopControl) error.text = text + error.text
      throw error
    }
    return kinds.text(text)
  }

  override evaluateBinaryExpression(node: Node, scope: Environment): Value {
    const operator = (node.operator as { value: string }).value
    if (operator === 'and' || operator === 'or') return super.evaluateBinaryExpression(node, scope)
    const left = this.evaluate(node.left as Node, scope)
    const right = this.evaluate(node.right as Node, scope)
    switch (operator) {
      case '==':
        return kinds.truth(sameValue(left, right))
      case '!=':
        return kinds.truth(!sameValue(left, right))
      case '~':
        return kinds.text(pythonText(left) + pythonText(right))
      case 'in':
      case 'not in':
        if (isKind(right, 'ArrayValue', 'TupleValue')) {
          const found = (right.value as Value[]).some((one) => sameValue(one, left))
          return kinds.truth(found === (operator === 'in'))
        }
        break
      case '+':
        if (isKind(left, 'StringValue') !== isKind(right, 'StringValue')) {
          throw new Error(`cannot add ${nameOf(left)} and ${nameOf(right)}`)
        }
    }
    // Evaluated once: a chain of operators would double the work at each.
    return super.evaluateBinaryExpression({ ...node, left: done(left), right: done(right) }, scope)
  }

  override applyFilter(given: Value, filter: Node, scope: Environment): Value {
    const name = String((filter.callee as { value?: unknown } | undefined)?.value ?? filter.value)
    const operand = this.#operand(given, name)
    if (name === 'string') return kinds.text(pythonText(operand))
    const attribute = name === 'selectattr' || name === 'rejectattr'
    // The engine passes over elements that lack the attribute; in Python they are undefined.
    if (attribute && isKind(operand, 'ArrayValue', 'TupleValue')) {
      return this.#select(operand, name === 'selectattr', filter, scope)
    }
    return super.applyFilter(operand, filter, scope)
  }

  #operand(value: Value, filter: string): Value {
    const absent = isKind(value, 'UndefinedValue')
    if (absent && textFilters.has(filter)) return kinds.text('')
    if (listFilters.has(filter)) {
      if (absent || (isKind(value, 'NullValue') && filter !== 'list')) return kinds.list([])
      if (isKind(value, 'StringValue') && filter !== 'join') return this.#letters(value)
    }
    return value
  }

  #letters(text: Value): Value {
    this.tookLetters = true
    return kinds.list(Array.from(text.value as string, kinds.text))
  }

  #select(list: Value, wanted: boolean, filter: Node, scope: Environment): Value {
    const [path, test, ...rest] = (filter.args as Node[]).map((arg) => this.evaluate(arg, scope))
    const keys = String(path?.value).split('.')
    const holds = test && scope.tests.get(String(test.value))
    if (test && !holds) throw new Error(`Unknown test: ${test.value}`)
    const chosen = (list.value as Value[]).filter((item) => {
      let found: Value | undefined = item
      for (const key of keys) found = found?.value instanceof Map ? found.value.get(key) : undefined
      const value = found ?? kinds.undefined()
      const fits = holds ? holds(value as never, ...(rest as never[])) : value.__bool__().value
      return fits === wanted
    })
    return kinds.list(chosen)
  }

  override evaluateFor(node: Node, outer: Environment): Value {
    const scope = new Environment(outer)
    const select = node.iterable as Node
    const filtered = select.type === 'SelectExpression'
    const source = this.evaluate((filtered ? select.lhs : select) as Node, scope)
    const names = node.loopvar as Node
    const items = this.#items(source).filter((item) => {
      if (!filtered) return true
      const own = new Environment(scope)
      bind(names, item, own)
      return this.evaluate(select.test as Node, own).__bool__().value
    })
    let text = ''
    for (const [i, item] of items.entries()) {
      scope.setVariable('loop', kinds.map(loopFields(items, i)) as never)
      bind(names, item, scope)
      try {
        text += this.evaluateBlock(node.body as Node[], scope).value
      } catch (error) {
        if (!(error instanceof LoopControl)) throw error
        text += error.text
        if (error.ends) break
      }
    }
    if (items.length === 0) text += this.evaluateBlock(node.defaultBlock as Node[], scope).value
    return kinds.text(text)
  }

  #items(source: Value): readonly Value[] {
    if (isKind(source, 'ArrayValue', 'TupleValue')) return source.value as Value[]
    if (isKind(source, 'UndefinedValue')) return []
    if (isKind(source, 'StringValue')) return this.#letters(source).value as Value[]
    if (source.value instanceof Map) return [...source.value.keys()].map(kinds.text)
    throw new Error(`${nameOf(source)} cannot be iterated`)
  }
}

const done = (value: Value): Node => ({ type: 'Evaluated', value })
const nameOf = ({ type }: Value) => type.replace('Value', '').toLowerCase()

function loopFields(items: readonly Value[], i: number): [string, Value][] {
  const at = (index: number) => items[index] ?? kinds.undefined()
  return [
    ['index', kinds.integer(i + 1)],
    ['index0', kinds.integer(i)],
    ['revindex', kinds.integer(items.length - i)],
    ['revindex0', kinds.integer(items.length - i - 1)],
    ['first', kinds.truth(i === 0)],
    ['last', kinds.truth(i === items.length - 1)],
    ['length', kinds.integer(items.length)],
    ['previtem', at(i - 1)],
    ['nextitem', at(i + 1)]
  ]
}

/** One name takes the item; several take its elements. */
function bind(names: Node, item: Value, scope: Environment): void {
  if (names.type === 'Identifier') {
    scope.setVariable(String(names.value), item as never)
    return
  }
  const each = names.value as Node[]
  const parts = isKind(item, 'ArrayValue', 'TupleValue') ? (item.value as Value[]) : []
  if (parts.length !== each.length) throw new Error(`${nameOf(item)} has not ${each.length} parts`)
  for (const [i, name] of each.entries()) bind(name, parts[i] as Value, scope)
}

const globals = {
  true: true,
  false: false,
  none: null,
  True: true,
  False: false,
  None: null,
  range,
  raise_exception(message: unknown) {
    throw new Error(String(message))
  },
  strftime_now: (format: unknown) => strftime(String(format), new Date())
}

/** `dict(a=1)`: the engine gives named arguments as one object, the last. */
function dict(args: Value[]): Value {
  const entries = args.flatMap(({ value }) => (value instanceof Map ? [...value] : []))
  return kinds.map(entries as [string, Value][])
}

/** No template needs more, and a list is memory. */
const longestRange = 1_000_000

function range(from: number, to?: number, step = 1): number[] {
  const [start, end] = to === undefined ? [0, from] : [from, to]
  const length = Math.max(0, Math.ceil((end - start) / step))
  if (!(length <= longestRange)) throw new Error(`range() of ${length} numbers`)
  return Array.from({ length }, (_, i) => start + i * step)
}

/** What templates ask of a date, in English, as Python's C locale writes it. */
function strftime(format: string, now: Date): string {
  const two = (value: number) => String(value).padStart(2, '0')
  const name = (part: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat('en', part).format(now)
  const parts: Readonly<Record<string, () => string>> = {
    Y: () => String(now.getFullYear()),
    y: () => two(now.getFullYear() % 100),
    m: () => two(now.getMonth() + 1),
    d: () => two(now.getDate()),
    '-d': () => String(now.getDate()),
    '-m': () => String(now.getMonth() + 1),
    B: () => name({ month: 'long' }),
    b: () => name({ month: 'short' }),
    A: () => name({ weekday: 'long' }),
    a: () => name({ weekday: 'short' }),
    H: () => two(now.getHours()),
    I: () => two(now.getHours() % 12 || 12),
    M: () => two(now.getMinutes()),
    S: () => two(now.getSeconds()),
    p: () => (now.getHours() < 12 ? 'AM' : 'PM'),
    '%': () => '%'
  }
  return format.replace(/%(-?[a-zA-Z%])/g, (whole, key: string) => parts[key]?.() ?? whole)
}

/** A template, parsed: throws where it is no Jinja. */
export class ChatTemplate {
  readonly #program: unknown

  constructor(source: string) {
    const lines = source.replace(/\r\n?/g, '\n') // as Jinja reads it
    this.#program = parse(tokenize(lines, { lstrip_blocks: true, trim_blocks: true }))
  }

  render(variables: Readonly<Record<string, unknown>>): { text: string; tookLetters: boolean } {
    const scope = new Environment()
    for (const [name, value] of Object.entries(globals)) scope.set(name, value)
    scope.setVariable('dict', kinds.callable(dict) as never)
    for (const [name, value] of Object.entries(variables)) scope.set(name, value)
    const renderer = new Renderer(scope)
    const { value } = renderer.run(this.#program)
    return { text: String(value), tookLetters: renderer.tookLetters }
  }
}
