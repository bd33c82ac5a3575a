/** "Did you mean": the known name nearest to a misspelt one. */

/** Spelling without case and separators: `top_k`, `top-k` and `topK` are the same name. */
function plain(name: string): string {
  return name.toLowerCase().replace(/[-_\s]/g, '')
}

/**
 * Edits (insert, delete, replace, swap two neighbours) that make `a` into `b`: the optimal string
 * alignment distance, three rows at a time.
 */
export function editDistance(a: string, b: string): number {
  let before: number[] = []
  let above = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let best = Math.min(
        (above[j] as number) + 1,
        (row[j - 1] as number) + 1,
        (above[j - 1] as number) + (same ? 0 : 1)
      )
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (swapped) best = Math.min(best, (before[j - 2] as number) + 1)
      row.push(best)
    }
    before = above
    above = row
  }
  return above[b.length] as number
}

/** @internal The name nearest to `name`, or undefined where none is near enough to be what was meant. */
export function nearestName(name: string, known: Iterable<string>): string | undefined {
  const wanted = plain(name).slice(0, 64) // a name of a megabyte is no misspelling
  let nearest: string | undefined
  let least = Math.max(2, Math.floor(wanted.length / 3)) + 1
  for (const candidate of known) {
    const distance = editDistance(wanted, plain(candidate))
    // Every letter replaced is no likeness: "m" is not near "t".
    if (distance < least && distance < Math.max(wanted.length, 1)) {
      nearest = candidate
      least = distance
    }
  }
  return nearest
}
