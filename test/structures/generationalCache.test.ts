import { expect, it } from 'vitest'
import { GenerationalCache } from '../../src/structures/generationalCache.js'

it.each([
  { added: 1, firstKept: 0 },
  { added: 3, firstKept: 0 },
  { added: 6, firstKept: 0 },
  { added: 7, firstKept: 3 },
  { added: 9, firstKept: 3 },
  { added: 10, firstKept: 6 },
])('of $added entries in a cache of 3 keeps those from number $firstKept on', ({ added, firstKept }) => {
  const cache = new GenerationalCache<number, string>(3)
  for (let key = 0; key < added; key++) cache.add(key, `${key}`)
  const kept = Array.from({ length: added }, (_, key) => cache.take(key))
  expect(kept).toEqual(Array.from({ length: added }, (_, key) => (key < firstKept ? undefined : `${key}`)))
})

it('returns an entry once', () => {
  const cache = new GenerationalCache<string, number>(3)
  cache.add('a', 1)
  expect([cache.take('a'), cache.take('a')]).toEqual([1, undefined])
})

it('returns the newer of two entries with one key', () => {
  const cache = new GenerationalCache<string, number>(1)
  cache.add('a', 1)
  cache.add('a', 2)
  expect(cache.take('a')).toBe(2)
})
