/** "Did you mean". */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { editDistance, nearestName } from '../../lib/suggest.js'

test.each([
  ['', '', 0],
  ['abc', 'abc', 0],
  ['', 'abc', 3],
  ['kitten', 'sitting', 3],
  ['seed', 'sede', 1],
  ['ca', 'abc', 3]
])('from %j to %j: %i', (a, b, distance) => {
  expect(editDistance(a, b)).toBe(distance)
  expect(editDistance(b, a)).toBe(distance)
})

test('a distance is symmetric, and no more than the longer length', () => {
  const word = fc.string({ maxLength: 8 })
  fc.assert(
    fc.property(word, word, (a, b) => {
      const distance = editDistance(a, b)
      expect(distance).toBe(editDistance(b, a))
      expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length))
      expect(distance === 0).toBe(a === b)
    }),
    { seed: 1 }
  )
})

test('the nearest name, or none', () => {
  const names = ['temp', 'top-k', 'top-p', 'model']
  expect(nearestName('tmep', names)).toBe('temp')
  expect(nearestName('topK', names)).toBe('top-k')
  expect(nearestName('modle', names)).toBe('model')
  expect(nearestName('banana', names)).toBeUndefined()
  expect(nearestName('x', names)).toBeUndefined()
  expect(nearestName('', names)).toBeUndefined()
  expect(nearestName('a'.repeat(1e6), names)).toBeUndefined()
})
