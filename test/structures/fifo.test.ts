import { expect, it } from 'vitest'
import { Fifo } from '../../src/structures/fifo.js'
import { randomFrom } from '../support/random.js'

it.each([
  { does: 'nothing', steps: [], left: [], size: 0 },
  { does: 'push a, b', steps: ['+a', '+b'], left: ['a', 'b'], size: 2 },
  { does: 'push a, b, then shift', steps: ['+a', '+b', 'shift'], left: ['b'], size: 1 },
  { does: 'remove the first', steps: ['+a', '+b', '-1'], left: ['b'], size: 1 },
  { does: 'remove one in the middle', steps: ['+a', '+b', '+c', '-2'], left: ['a', 'c'], size: 2 },
  { does: 'remove the last', steps: ['+a', '+b', '-2'], left: ['a'], size: 1 },
  { does: 'remove one twice', steps: ['+a', '+b', '-1', '-1'], left: ['b'], size: 1 },
  { does: 'remove one that was shifted', steps: ['+a', '+b', 'shift', '-1'], left: ['b'], size: 1 },
  { does: 'remove positions that never were', steps: ['+a', '-0', '-7'], left: ['a'], size: 1 },
  { does: 'shift when empty', steps: ['shift', '+a', 'shift', 'shift'], left: [], size: 0 },
])('after these steps the queue holds $left: $does', ({ steps, left, size }) => {
  const queue = new Fifo<string>()
  for (const step of steps)
    if (step === 'shift') queue.shift()
    else if (step.startsWith('+')) queue.push(step.slice(1))
    else queue.remove(Number(step.slice(1)))
  expect(queue.size).toBe(size)
  expect(queue.peek()).toBe(left[0])
  const rest = Array.from({ length: size }, () => queue.shift())
  expect(rest).toEqual(left)
  expect(queue.shift()).toBeUndefined()
})

it('counts positions from 1 and never uses one twice', () => {
  const queue = new Fifo<string>()
  expect([queue.push('a'), queue.push('b')]).toEqual([1, 2])
  queue.shift()
  queue.shift()
  expect(queue.push('c')).toBe(3)
  expect(queue.headPosition).toBe(3)
})

it('agrees with an array over thousands of random steps, across many compactions', () => {
  const random = randomFrom(41)
  const queue = new Fifo<{ position: number }>()
  const model: { position: number }[] = []
  for (let step = 0; step < 50_000; step++) {
    const entry = { position: 0 }
    entry.position = queue.push(entry)
    model.push(entry)
    if (random() < 0.3) {
      const [removed] = model.splice(Math.floor(random() * model.length), 1)
      queue.remove(removed!.position)
    }
    // The queue grows to thousands of entries, and shrinks to a few.
    const limit = step % 10_000 < 5_000 ? 3_000 : 10
    while (model.length > limit) {
      expect(queue.headPosition).toBe(model[0]!.position)
      expect(queue.shift()).toBe(model.shift())
    }
    expect(queue.size).toBe(model.length)
  }
  expect(queue.peek()).toBe(model[0])
})
