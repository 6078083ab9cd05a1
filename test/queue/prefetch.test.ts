import { describe, expect, it, vi } from 'vitest'
import { PrefetchEstimator, SlotAllocator } from '../../src/queue/sqlite/prefetch.js'
import { stopClock } from '../support/stoppedClock.js'

describe('PrefetchEstimator', () => {
  it.each([
    ['nothing was delivered', [], 10, 10],
    ['fewer were delivered than there are slots', [4], 10, 10],
    ['more were delivered than there are slots', [40], 10, 40],
    ['the last moment counts, not the one before', [40, 15], 10, 15],
    ['it was busy, and no longer is', [40, 0], 10, 10],
    ['it is faster than any disk', [5_000], 10, 256],
    ['there are no slots at all', [0], 0, 0],
  ])('if %s (%j), with %i slots it keeps %i messages', (_, deliveries, slots, target) => {
    stopClock()
    const estimator = new PrefetchEstimator()
    estimator.target(slots)
    for (const count of deliveries) {
      for (let n = 0; n < count; n++) estimator.recordCompletion()
      vi.advanceTimersByTime(26)
      estimator.target(slots)
    }
    expect(estimator.target(slots)).toBe(target)
  })

  it('counts the deliveries of a moment together, however often it is asked meanwhile', () => {
    stopClock()
    const estimator = new PrefetchEstimator()
    vi.advanceTimersByTime(26)
    estimator.target(1)
    for (let n = 0; n < 25; n++) {
      estimator.recordCompletion()
      expect(estimator.target(1)).toBe(1)
      vi.advanceTimersByTime(1)
    }
    vi.advanceTimersByTime(1)
    expect(estimator.target(1)).toBe(25)
  })
})

describe('SlotAllocator', () => {
  it('gives no slot twice, and uses released ones again before new ones', () => {
    const slots = new SlotAllocator()
    expect([slots.acquire(), slots.acquire(), slots.acquire()]).toEqual([0, 1, 2])
    slots.release(1)
    slots.release(0)
    expect([slots.acquire(), slots.acquire(), slots.acquire()].sort()).toEqual([0, 1, 3])
  })
})
