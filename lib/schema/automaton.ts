/**
 * Strings that satisfy several conditions at once, as a deterministic automaton: the product of what
 * each condition's own (nondeterministic) automaton may be in, and of the length so far.
 */
import { all, type CodePoints, codePoints, has } from './code-points.js'
import { type Budget, tooComplex } from './problem.js'
import type { Condition, Regex } from './regex.js'

const maxNfa = 20_000
const maxStates = 4096

/** A state goes on without a character to `free`, and with one of `set` to `next`. */
interface NfaState {
  readonly free: number[]
  set: CodePoints | undefined
  next: number
}

export class Nfa {
  readonly states: NfaState[] = []
  readonly start: ReadonlySet<number>
  readonly #end: number
  readonly #budget: Budget
  readonly #path: string

  constructor(regex: Regex, budget: Budget, path: string) {
    this.#budget = budget
    this.#path = path
    const from = this.#state()
    this.#end = this.#add(regex, from)
    this.start = this.#closure([from])
  }

  /** States after one more character that `includes` tells of each set. */
  step(states: Iterable<number>, includes: (set: CodePoints) => boolean): ReadonlySet<number> {
    const next: number[] = []
    for (const index of states) {
      const state = this.states[index] as NfaState
      if (state.set && includes(state.set)) next.push(state.next)
    }
    return this.#closure(next)
  }

  accepts(states: ReadonlySet<number>): boolean {
    return states.has(this.#end)
  }

  #state(): number {
    this.#budget.spend(1, this.#path)
    if (this.states.length >= maxNfa) throw tooComplex(this.#path, 'a pattern of too many states')
    this.states.push({ free: [], set: undefined, next: -1 })
    return this.states.length - 1
  }

  #link(from: number, to: number): void {
    this.states[from]?.free.push(to)
  }

  /** Adds the states of `regex` after `from`; gives the one after it. */
  #add(regex: Regex, from: number): number {
    switch (regex.kind) {
      case 'set': {
        const to = this.#state()
        const own = this.#state()
        this.#link(from, own)
        Object.assign(this.states[own] as NfaState, { set: regex.set, next: to })
        return to
      }
      case 'seq':
        return regex.parts.reduce((at, part) => this.#add(part, at), from)
      case 'alt': {
        const to = this.#state()
        for (const option of regex.options) this.#link(this.#add(option, from), to)
        return to
      }
      case 'repeat':
        return this.#repeat(regex, from)
      default:
        return from // anchors are gone after parsing
    }
  }

  #repeat({ of, min, max }: Regex & { kind: 'repeat' }, from: number): number {
    let at = from
    for (let i = 0; i < min; i++) at = this.#add(of, at)
    if (max === Number.POSITIVE_INFINITY) {
      const loop = this.#state()
      this.#link(at, loop)
      this.#link(this.#add(of, loop), loop)
      const to = this.#state()
      this.#link(loop, to)
      return to
    }
    const to = this.#state()
    this.#link(at, to)
    for (let i = min; i < max; i++) {
      const begin = this.#state() // so that leaving the loop of one does not enter another
      this.#link(at, begin)
      at = this.#add(of, begin)
      this.#link(at, to)
    }
    return to
  }

  #closure(from: readonly number[]): ReadonlySet<number> {
    const found = new Set(from)
    for (const index of found) {
      for (const next of (this.states[index] as NfaState).free) found.add(next)
    }
    this.#budget.spend(found.size, this.#path)
    return found
  }
}

export interface Dfa {
  /** Of each state, from 0, the first: where each set of characters leads. */
  readonly steps: readonly (readonly { readonly set: CodePoints; readonly to: number }[])[]
  readonly accepts: readonly boolean[]
}

interface Product {
  readonly parts: readonly number[] // a state of each condition's own automaton
  readonly length: number
}

/** The deterministic automaton of one condition, found as it is asked for. */
class Lazy {
  readonly #nfa: Nfa
  readonly #alphabet: Alphabet
  readonly #known = new Map<string, number>()
  readonly #sets: ReadonlySet<number>[] = []
  readonly #next: number[][] = []

  constructor(nfa: Nfa, alphabet: Alphabet) {
    this.#nfa = nfa
    this.#alphabet = alphabet
    this.#find(nfa.start)
  }

  step(state: number, letter: number): number {
    const row = this.#next[state] as number[]
    row[letter] ??= this.#find(
      this.#nfa.step(this.#sets[state] ?? [], (this.#alphabet[letter] as Letter).within)
    )
    return row[letter] as number
  }

  accepts(state: number): boolean {
    return this.#nfa.accepts(this.#sets[state] ?? new Set())
  }

  isDead(state: number): boolean {
    return this.#sets[state]?.size === 0
  }

  #find(set: ReadonlySet<number>): number {
    const key = [...set].sort().join()
    const found = this.#known.get(key)
    if (found !== undefined) return found
    this.#known.set(key, this.#sets.length)
    this.#next.push([])
    return this.#sets.push(set) - 1
  }
}

/** Whether a text satisfies the condition. */
export function satisfies(value: string, { regex, negated }: Condition, budget: Budget): boolean {
  const nfa = new Nfa(regex, budget, '')
  let states = nfa.start
  for (const char of value) {
    const code = char.codePointAt(0) as number
    states = nfa.step(states, (set) => has(set, code))
    if (states.size === 0) break
  }
  return nfa.accepts(states) !== negated
}

/**
 * The strings of `min` to `max` characters that satisfy all conditions. Undefined: there is none.
 * States from which no string is accepted are left out.
 */
export function product(
  conditions: readonly Condition[],
  min: number,
  max: number,
  budget: Budget,
  path: string
): Dfa | undefined {
  const nfas = conditions.map(({ regex }) => new Nfa(regex, budget, path))
  const alphabet = partition(nfas, budget, path)
  const parts = nfas.map((nfa) => new Lazy(nfa, alphabet))
  // Beyond `longest` the length makes no difference any more.
  const longest = max === Number.POSITIVE_INFINITY ? min : max + 1
  const known = new Map<string, number>()
  const states: Product[] = []
  const steps: { set: CodePoints; to: number }[][] = []
  const find = (state: Product): number => {
    const key = `${state.length}:${state.parts.join()}`
    const found = known.get(key)
    if (found !== undefined) return found
    if (states.length >= maxStates)
      throw tooComplex(path, `more than ${maxStates} states of a text`)
    known.set(key, states.length)
    return states.push(state) - 1
  }
  find({ parts: nfas.map(() => 0), length: 0 })
  for (let index = 0; index < states.length; index++) {
    const { parts: at, length: before } = states[index] as Product
    const length = Math.min(before + 1, longest)
    const targets = new Map<number, CodePoints[]>()
    budget.spend(1 + (alphabet.length >> 2), path)
    for (let letter = 0; letter < alphabet.length && length <= max; letter++) {
      const next = at.map((state, i) => (parts[i] as Lazy).step(state, letter))
      const hopeless = next.some((state, i) => parts[i]?.isDead(state) && !conditions[i]?.negated)
      if (hopeless) continue
      const to = find({ parts: next, length })
      const { set } = alphabet[letter] as Letter
      const sets = targets.get(to)
      if (sets) sets.push(set)
      else targets.set(to, [set])
    }
    steps.push(
      [...targets].map(([to, sets]) => ({
        to,
        set: sets.length === 1 ? (sets[0] as CodePoints) : codePoints(sets.flat())
      }))
    )
  }
  const accepts = states.map(
    ({ parts: at, length }) =>
      length >= min &&
      length <= max &&
      at.every((state, i) => (parts[i] as Lazy).accepts(state) !== conditions[i]?.negated)
  )
  return trim({ steps, accepts })
}

/** Characters that no condition tells apart, and which sets they are in. */
interface Letter {
  readonly set: CodePoints
  readonly within: (set: CodePoints) => boolean
}
type Alphabet = readonly Letter[]

/** The characters in as few sets as the conditions can tell apart. */
function partition(nfas: readonly Nfa[], budget: Budget, path: string): Alphabet {
  const sets = new Set<CodePoints>()
  for (const { states } of nfas) for (const { set } of states) if (set) sets.add(set)
  const bounds = new Set([0, 0xd800, 0xe000, 0x110000])
  for (const set of sets) {
    for (const [from, to] of set) bounds.add(from).add(to + 1)
  }
  const sorted = [...bounds].sort((a, b) => a - b)
  budget.spend(sorted.length * sets.size, path)
  const groups = new Map<string, { ranges: [number, number][]; member: Set<CodePoints> }>()
  sorted.slice(0, -1).forEach((from, i) => {
    if (!has(all, from)) return
    const member = new Set([...sets].filter((set) => has(set, from)))
    const key = [...sets].map((set) => (member.has(set) ? '1' : '0')).join('')
    const range: [number, number] = [from, (sorted[i + 1] as number) - 1]
    const group = groups.get(key)
    if (group) group.ranges.push(range)
    else groups.set(key, { ranges: [range], member })
  })
  return [...groups.values()].map(({ ranges, member }) => ({
    set: codePoints(ranges),
    within: (set: CodePoints) => member.has(set)
  }))
}

function trim({ steps, accepts }: Dfa): Dfa | undefined {
  const from: number[][] = steps.map(() => [])
  steps.forEach((list, index) => {
    for (const { to } of list) from[to]?.push(index)
  })
  const live = new Set(accepts.flatMap((accepted, index) => (accepted ? [index] : [])))
  for (const index of live) for (const before of from[index] ?? []) live.add(before)
  if (!live.has(0)) return undefined
  const kept = [...live].sort((a, b) => a - b)
  const number = new Map(kept.map((index, position) => [index, position]))
  return {
    accepts: kept.map((index) => accepts[index] === true),
    steps: kept.map((index) =>
      (steps[index] ?? []).flatMap(({ set, to }) => {
        const position = number.get(to)
        return position === undefined ? [] : [{ set, to: position }]
      })
    )
  }
}
