import { describe, expect, it } from 'vitest'
import type { Delivery } from '../../../src/feedback/deliveryStates.js'
import { mintId } from '../../../src/message/ids.js'
import type { Outcome } from '../../../src/protocol/outcome.js'
import { withReports } from '../../../src/queue/actions.js'
import { Deliveries } from './deliveries.js'
import type { Fixture } from './fixture.js'
import { outcomeOf } from './jobs.js'

export function testReports({ open, put }: Fixture): void {
  const delivery = (state: Delivery['state']): Delivery => ({
    state,
    at: '2026-03-01T10:00:00.000Z',
    source: 'dsn',
  })

  describe('delivery reports', () => {
    it('are stored with the recipient of a sent message, whose status stays', async () => {
      const { queue, changes } = await open()
      const id = await put(queue)
      await queue.start(new Deliveries(1))
      await changes.until(id, 'sent')
      const before = await queue.find(id)
      const [recipient] = before?.recipients ?? []
      const shown = await queue.act(id, withReports([{ delivery: delivery('delivered') }]))
      expect(shown.recipients).toEqual([{ ...recipient, delivery: delivery('delivered') }])
      await queue.act(id, withReports([{ delivery: delivery('delayed') }]))
      const after = await queue.act(
        id,
        withReports([{ recipient: 'stranger@example.com', delivery: delivery('bounced') }]),
      )
      expect(after).toEqual({ ...before, recipients: shown.recipients })
      expect(await queue.find(id)).toEqual(after)
      await expect(queue.act(mintId(0), withReports([]))).rejects.toMatchObject({ code: 'NOT_FOUND' })
    })

    it('settle a held message that may have been sent, and wait for one that is being sent', async () => {
      const { queue, changes } = await open()
      const id = await put(queue, { onUncertain: 'hold' })
      let finish: (outcome: Outcome) => void = () => undefined
      await queue.start(new Deliveries(1, () => new Promise((resolve) => (finish = resolve))))
      await changes.until(id, 'sending')
      const early = queue.act(id, withReports([{ delivery: delivery('delivered') }]))
      await expect(early).rejects.toMatchObject({ code: 'CONFLICT' })
      finish(outcomeOf('uncertain'))
      await changes.until(id, 'held')
      const message = await queue.act(id, withReports([{ delivery: delivery('bounced') }]))
      expect(message).toMatchObject({ status: 'sent', recipients: [{ status: 'sent' }] })
      expect((await queue.stats()).held).toBe(0)
    })

    it('change nothing about a recipient to whom nothing was sent', async () => {
      const { queue } = await open()
      const id = await put(queue)
      const before = await queue.find(id)
      expect(await queue.act(id, withReports([{ delivery: delivery('complained') }]))).toEqual(before)
    })
  })
}
