import { expect, it } from 'vitest'
import { type Due, DueHeap } from '../../src/structures/dueHeap.js'
import { randomFrom } from '../support/random.js'

const dueAt = (time: number): Due => ({ dueAt: time, heapIndex: -1 })

function drain(heap: DueHeap<Due>): number[] {
  const times: number[] = []
  for (let entry = heap.peek(); entry !== undefined; entry = heap.peek()) {
    times.push(entry.dueAt)
    heap.remove(entry)
  }
  return times
}

it.each([
  { added: [], removed: [], left: [] },
  { added: [3], removed: [], left: [3] },
  { added: [3, 1, 2], removed: [], left: [1, 2, 3] },
  { added: [5, 4, 3, 2, 1], removed: [0], left: [1, 2, 3, 4] },
  { added: [1, 1, 1], removed: [1], left: [1, 1] },
  // The entry that fills the gap belongs above its new parent.
  { added: [1, 10, 2, 11, 12, 3, 4], removed: [3], left: [1, 2, 3, 4, 10, 12] },
])('returns $added without number $removed in order of time: $left', ({ added, removed, left }) => {
  const heap = new DueHeap<Due>()
  const entries = added.map(dueAt)
  for (const entry of entries) heap.add(entry)
  for (const index of removed) heap.remove(entries[index]!)
  expect(drain(heap)).toEqual(left)
})

it('ignores the removal of an entry that is outside the heap', () => {
  const heap = new DueHeap<Due>()
  const [first, second] = [dueAt(1), dueAt(2)]
  heap.add(first)
  heap.remove(second)
  heap.remove(first)
  heap.remove(first)
  expect(heap.entries()).toEqual([])
  expect(first.heapIndex).toBe(-1)
})

it('agrees with a sorted array over thousands of random steps', () => {
  const random = randomFrom(7)
  const heap = new DueHeap<Due>()
  const model: Due[] = []
  for (let step = 0; step < 5_000; step++) {
    if (model.length > 0 && random() < 0.45) {
      const [removed] = model.splice(Math.floor(random() * model.length), 1)
      heap.remove(removed!)
    } else {
      const entry = dueAt(Math.floor(random() * 100))
      model.push(entry)
      heap.add(entry)
    }
    expect(heap.peek()?.dueAt).toBe(
      model.length === 0 ? undefined : Math.min(...model.map((one) => one.dueAt)),
    )
  }
  expect(new Set(heap.entries())).toEqual(new Set(model))
  expect(drain(heap)).toEqual(model.map((one) => one.dueAt).sort((a, b) => a - b))
})
