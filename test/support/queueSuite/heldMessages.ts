import { describe, expect, it } from 'vitest'
import { cancelManually, retryManually } from '../../../src/queue/actions.js'
import type { Consumer } from '../../../src/queue/driver.js'
import { Deliveries } from './deliveries.js'
import type { Fixture } from './fixture.js'
import { DAY } from './jobs.js'

/** Holds each message for an hour on its first delivery, and sends it on the second. */
export function holding(reasonOf: (id: string) => 'budget' | 'breaker' | 'paused'): {
  consumer: Consumer
  sent: Deliveries
} {
  const sent = new Deliveries(10)
  const seen = new Set<string>()
  const consumer: Consumer = {
    slots: 10,
    cancel: () => false,
    recover: () => undefined,
    deliver: (message) => {
      const { id } = message.job
      if (seen.has(id)) return sent.deliver(message)
      seen.add(id)
      return Promise.resolve({
        decision: { status: 'held', reason: reasonOf(id), nextAttemptAt: Date.now() + DAY / 24 },
        recipients: message.state.recipients,
      })
    },
  }
  return { consumer, sent }
}

export function testHeldMessages({ open, put }: Fixture): void {
  describe('waking held messages', () => {
    it('delivers at most the given number of messages held for a budget, of the given transports only, higher priorities first', async () => {
      const { queue, changes } = await open()
      const first = await put(queue, { transport: 'a' })
      const second = await put(queue, { transport: 'a' })
      const urgent = await put(queue, { transport: 'a', priority: 9 })
      const other = await put(queue, { transport: 'b' })
      const unreachable = await put(queue, { transport: 'a' })
      const { consumer, sent } = holding((id) => (id === unreachable ? 'breaker' : 'budget'))
      await queue.start(consumer)
      for (const id of [first, second, urgent, other, unreachable]) await changes.until(id, 'held')

      expect(await queue.wakeHeld(['a'], 2)).toBe(2)
      await changes.until(urgent, 'sent')
      while (sent.ids.length < 2) await new Promise((resolve) => setTimeout(resolve, 5))
      expect(sent.ids).toContain(urgent)
      expect(await queue.find(other)).toMatchObject({ status: 'held', heldReason: 'budget' })

      expect(await queue.wakeHeld(['a'], 10)).toBe(1)
      for (const id of [first, second]) await changes.until(id, 'sent')
      expect(await queue.wakeHeld(['a'], 10)).toBe(0)
      expect(await queue.find(unreachable)).toMatchObject({ status: 'held', heldReason: 'breaker' })

      expect(await queue.wakeHeld(['b', 'c'], 10)).toBe(1)
      await changes.until(other, 'sent')
      expect(sent.ids.toSorted()).toEqual([first, second, urgent, other].toSorted())
      expect((await queue.find(first))?.attempts).toHaveLength(1)
    })

    it('skips messages that were cancelled or retried manually', async () => {
      const { queue, changes } = await open()
      const ids = [await put(queue), await put(queue), await put(queue)]
      const { consumer, sent } = holding(() => 'budget')
      await queue.start(consumer)
      for (const id of ids) await changes.until(id, 'held')
      await queue.act(ids[0] ?? '', cancelManually)
      await queue.act(ids[1] ?? '', retryManually)
      await changes.until(ids[1] ?? '', 'sent')
      expect(await queue.wakeHeld(['default'], 10)).toBe(1)
      await changes.until(ids[2] ?? '', 'sent')
      expect(sent.ids).toEqual([ids[1], ids[2]])
      expect(await queue.stats()).toMatchObject({ sent: 2, cancelled: 1, held: 0, queued: 0 })
    })
  })
}
