import { beforeEach, describe, expect, it } from 'vitest'
import type { Outcome } from '../../../src/protocol/outcome.js'
import { Deliveries } from './deliveries.js'
import { type OpenQueue, useFixture } from './fixture.js'
import { jobOf, outcomeOf } from './jobs.js'

/** A gate at which deliveries wait. */
function gate() {
  let open!: () => void
  const opened = new Promise<void>((resolve) => (open = resolve))
  return { open, pass: () => opened.then(() => outcomeOf('sent')) }
}

/**
 * How processes that share a queue share its messages.
 * @param newPlace names a queue that nobody uses yet, and returns what opens it
 */
export function testSharing(newPlace: () => OpenQueue): void {
  describe('messages that several processes deliver', () => {
    let place: OpenQueue
    beforeEach(() => {
      place = newPlace()
    })
    const { open } = useFixture((options) => place(options))

    it.each([20, 100])(
      'use all slots of all processes, though one process was there before the others: %i messages',
      async (count) => {
        const queues = await Promise.all([open(), open(), open()])
        const { open: finish, pass } = gate()
        const deliveries = queues.map(() => new Deliveries(2, pass))
        const [first] = queues
        const jobs = Array.from({ length: count }, () => jobOf())
        await first.queue.enqueue(jobs)
        for (const [index, { queue }] of queues.entries()) {
          await queue.start(deliveries[index]!)
          await expect.poll(() => deliveries[index]!.open, { timeout: 20_000 }).toBe(2)
        }
        finish()
        await expect.poll(async () => (await first.queue.stats()).sent, { timeout: 20_000 }).toBe(count)
        expect(deliveries.flatMap(({ ids }) => ids).sort()).toEqual(jobs.map(({ id }) => id).sort())
      },
    )

    it('go on while some of them take long', async () => {
      const { queue } = await open()
      const { open: finish, pass } = gate()
      const jobs = Array.from({ length: 200 }, () => jobOf())
      const slow = new Set([jobs[0]!.id, jobs[20]!.id])
      const deliveries = new Deliveries(3, ({ job }): Outcome | Promise<Outcome> =>
        slow.has(job.id) ? pass() : outcomeOf('sent'),
      )
      await queue.enqueue(jobs)
      await queue.start(deliveries)
      await expect.poll(async () => (await queue.stats()).sent, { timeout: 20_000 }).toBe(198)
      finish()
      await expect.poll(async () => (await queue.stats()).sent, { timeout: 20_000 }).toBe(200)
      expect(deliveries.taken).toHaveLength(200)
    })

    it('go to another process by priority, and in the order of acceptance', async () => {
      const [first, second] = await Promise.all([open(), open()])
      const { open: finish, pass } = gate()
      const busy = new Deliveries(1, pass)
      const jobs = [5, 5, 9, 5, 9, 5, 9, 5].map((priority) => jobOf({ priority }))
      await first.queue.enqueue(jobs)
      await first.queue.start(busy)
      await expect.poll(() => busy.open).toBe(1)
      const deliveries = new Deliveries(1)
      await second.queue.start(deliveries)
      await expect.poll(async () => (await first.queue.stats()).sent, { timeout: 20_000 }).toBe(7)
      const order = [9, 5].flatMap((priority) => jobs.filter((job) => job.priority === priority))
      expect(deliveries.ids).toEqual(order.map(({ id }) => id).filter((id) => !busy.ids.includes(id)))
      finish()
      await expect.poll(async () => (await first.queue.stats()).sent, { timeout: 20_000 }).toBe(8)
    })

    it('are retried by another process when it deferred them, and go back when it ends', async () => {
      const [first, second, third] = await Promise.all([open(), open(), open()])
      const { open: finish, pass } = gate()
      const busy = new Deliveries(1, pass)
      const jobs = Array.from({ length: 20 }, () => jobOf())
      await first.queue.enqueue(jobs)
      await first.queue.start(busy)
      await expect.poll(() => busy.open).toBe(1)
      const deferred = new Set<string>()
      const ending = new Deliveries(3, ({ job }) => {
        deferred.add(job.id)
        return outcomeOf('deferred')
      })
      await second.queue.start(ending)
      await expect.poll(() => deferred.size, { timeout: 20_000 }).toBeGreaterThan(3)
      await second.queue.drain(10_000)
      await second.queue.close()
      const deliveries = new Deliveries(3)
      await third.queue.start(deliveries)
      const settled = async () => {
        const { sent, failed } = await first.queue.stats()
        return sent + failed
      }
      await expect.poll(settled, { timeout: 20_000 }).toBe(19)
      finish()
      await expect.poll(settled, { timeout: 20_000 }).toBe(20)
    })
  })
}
