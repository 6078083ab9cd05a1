import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { PrioritySemaphore } from '../../src/structures/prioritySemaphore.js'

it.each([
  { order: [5, 5, 5], priorities: 'equal', served: [0, 1, 2] },
  { order: [1, 5, 9], priorities: 'ascending', served: [2, 1, 0] },
  { order: [5, 9, 5, 9], priorities: 'mixed', served: [1, 3, 0, 2] },
  { order: [0, 0, 9, 0], priorities: 'one urgent', served: [2, 0, 1, 3] },
])('grants the permit to waiting callers by priority, then by arrival: $priorities', async (example) => {
  const semaphore = new PrioritySemaphore(() => 1)
  await semaphore.acquire(0)
  const served: number[] = []
  example.order.forEach((priority, caller) => {
    void semaphore.acquire(priority).then(() => {
      served.push(caller)
      semaphore.release()
    })
  })
  expect(served).toEqual([])
  semaphore.release()
  await nextTurn()
  expect(served).toEqual(example.served)
  expect(semaphore.held).toBe(0)
})

it('knows how many permits are free, and whether a caller waits', async () => {
  const semaphore = new PrioritySemaphore(() => 2)
  expect([semaphore.free, semaphore.hasWaiting]).toEqual([2, false])
  await semaphore.acquire(0)
  await semaphore.acquire(9)
  expect([semaphore.free, semaphore.hasWaiting]).toEqual([0, false])
  const waiting = semaphore.acquire(5)
  expect([semaphore.free, semaphore.hasWaiting]).toEqual([0, true])
  semaphore.release()
  expect(await waiting).toBe(true)
  expect([semaphore.free, semaphore.hasWaiting]).toEqual([0, false])
})

it('never grants more permits than there are', async () => {
  const semaphore = new PrioritySemaphore(() => 3)
  let running = 0
  let most = 0
  await Promise.all(
    Array.from({ length: 50 }, async (_, caller) => {
      expect(await semaphore.acquire(caller % 10)).toBe(true)
      most = Math.max(most, ++running)
      await nextTurn()
      running--
      semaphore.release()
    }),
  )
  expect(most).toBe(3)
  expect(semaphore.held).toBe(0)
})

it('grants several permits at once when their number grew, and none when it shrank', async () => {
  let permits = 1
  const semaphore = new PrioritySemaphore(() => permits)
  await semaphore.acquire()
  const granted: number[] = []
  for (const caller of [1, 2, 3, 4]) void semaphore.acquire().then(() => granted.push(caller))
  permits = 3
  semaphore.release()
  await nextTurn()
  expect(granted).toEqual([1, 2, 3])
  permits = 1
  semaphore.release()
  await nextTurn()
  expect(granted).toEqual([1, 2, 3])
  expect(semaphore.held).toBe(2)
})

it('refuses waiting and later callers once it is closed', async () => {
  const semaphore = new PrioritySemaphore(() => 1)
  expect(await semaphore.acquire()).toBe(true)
  const waiting = Promise.all([semaphore.acquire(9), semaphore.acquire(1), semaphore.acquire(1)])
  semaphore.close()
  expect(await waiting).toEqual([false, false, false])
  expect(await semaphore.acquire(9)).toBe(false)
  semaphore.release()
  expect(semaphore.held).toBe(0)
})
