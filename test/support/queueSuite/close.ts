import { describe, expect, it } from 'vitest'
import type { Outcome } from '../../../src/protocol/outcome.js'
import { Deliveries } from './deliveries.js'
import type { Fixture } from './fixture.js'
import { outcomeOf } from './jobs.js'

export function testClose({ open, put }: Fixture): void {
  describe('close', () => {
    it('waits for deliveries in progress, and hands out due messages only if they would be lost', async () => {
      const { queue, changes } = await open()
      const [first, second] = [await put(queue), await put(queue)]
      let finish: (outcome: Outcome) => void = () => undefined
      const deliveries = new Deliveries(1, () => new Promise((resolve) => (finish = resolve)))
      await queue.start(deliveries)
      await changes.until(first, 'sending')
      const closed = queue.drain(10_000)
      finish(outcomeOf('sent'))
      if (!queue.durable) {
        await changes.until(second, 'sending')
        finish(outcomeOf('sent'))
      }
      await closed
      expect(changes.of(first)).toContain('sent')
      expect(deliveries.ids).toEqual(queue.durable ? [first] : [first, second])
    })

    it('doesn’t wait beyond the deadline', async () => {
      const { queue, changes } = await open()
      const id = await put(queue)
      await queue.start(new Deliveries(1, () => new Promise(() => undefined)))
      await changes.until(id, 'sending')
      await queue.drain(20)
    })
  })
}
