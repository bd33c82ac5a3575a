/** Medians and spreads. */

/** The q-quantile (0 to 1) of some numbers, linear between the two nearest. */
export function quantile(values, q) {
  if (values.length === 0) throw new RangeError('no quantile of no numbers')
  const sorted = [...values].sort((a, b) => a - b)
  const at = q * (sorted.length - 1)
  const below = Math.floor(at)
  const above = Math.ceil(at)
  return sorted[below] + (sorted[above] - sorted[below]) * (at - below)
}

export const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length

/** `{ median, q1, q3, min, max }`: the middle, the middle half and the whole range. */
export function summarize(values) {
  return {
    median: quantile(values, 0.5),
    q1: quantile(values, 0.25),
    q3: quantile(values, 0.75),
    min: Math.min(...values),
    max: Math.max(...values)
  }
}
