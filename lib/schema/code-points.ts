/** Sets of Unicode code points as sorted ranges. Surrogates are never members: text has none. */

/** Sorted, disjoint, not touching; both ends included. */
export type CodePoints = readonly (readonly [number, number])[]

const last = 0x10ffff

export const none: CodePoints = []
export const all: CodePoints = [
  [0, 0xd7ff],
  [0xe000, last]
]

/** Ranges in any order, made a set. */
export function codePoints(ranges: Iterable<readonly [number, number]>): CodePoints {
  const sorted = [...ranges].sort((a, b) => a[0] - b[0])
  const merged: [number, number][] = []
  for (const [from, to] of sorted) {
    const before = merged.at(-1)
    if (before && from <= before[1] + 1) before[1] = Math.max(before[1], to)
    else merged.push([from, to])
  }
  return intersect(merged, all)
}

export function single(code: number): CodePoints {
  return codePoints([[code, code]])
}

export function union(...sets: readonly CodePoints[]): CodePoints {
  return codePoints(sets.flat())
}

export function intersect(a: CodePoints, b: CodePoints): CodePoints {
  const common: [number, number][] = []
  let i = 0
  let j = 0
  while (i < a.length && j < b.length) {
    const [aFrom, aTo] = a[i] as readonly [number, number]
    const [bFrom, bTo] = b[j] as readonly [number, number]
    const from = Math.max(aFrom, bFrom)
    const to = Math.min(aTo, bTo)
    if (from <= to) common.push([from, to])
    if (aTo < bTo) i++
    else j++
  }
  return common
}

export function complement(set: CodePoints): CodePoints {
  const gaps: [number, number][] = []
  let from = 0
  for (const [start, end] of set) {
    if (start > from) gaps.push([from, start - 1])
    from = end + 1
  }
  if (from <= last) gaps.push([from, last])
  return intersect(gaps, all)
}

export function has(set: CodePoints, code: number): boolean {
  return set.some(([from, to]) => from <= code && code <= to)
}
