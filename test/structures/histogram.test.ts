import { expect, it } from 'vitest'
import { Histogram } from '../../src/structures/histogram.js'

it.each([
  { values: [], counts: [0, 0, 0], sum: 0 },
  { values: [0.5], counts: [1, 0, 0], sum: 0.5 },
  { values: [1], counts: [1, 0, 0], sum: 1 },
  { values: [1.5, 5], counts: [0, 2, 0], sum: 6.5 },
  { values: [5.1, 100], counts: [0, 0, 2], sum: 105.1 },
  { values: [-1, 3, 7], counts: [1, 1, 1], sum: 9 },
])('counts $values in the buckets ≤ 1, ≤ 5 and > 5 as $counts', ({ values, counts, sum }) => {
  const histogram = new Histogram([1, 5])
  for (const value of values) histogram.observe(value)
  expect(histogram.snapshot()).toEqual({ bounds: [1, 5], counts, sum, count: values.length })
})

it('returns snapshots that later values do not change', () => {
  const histogram = new Histogram([1])
  const before = histogram.snapshot()
  histogram.observe(1)
  expect(before.counts).toEqual([0, 0])
})
