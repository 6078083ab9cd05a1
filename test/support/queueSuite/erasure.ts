import { describe, expect, it } from 'vitest'
import { eraseAction } from '../../../src/privacy/eraseAction.js'
import { ERASED, testFor } from '../../../src/privacy/replaceAddresses.js'
import type { Outcome } from '../../../src/protocol/outcome.js'
import { cancelManually, retryManually } from '../../../src/queue/actions.js'
import { Deliveries } from './deliveries.js'
import type { Fixture } from './fixture.js'
import { jobOf, outcomeOf } from './jobs.js'

const ADA = 'Ada@example.com'
const BOB = 'bob@example.com'
const action = eraseAction(testFor('ada@example.com'))

export function testErasure({ open, put }: Fixture): void {
  describe('erasure', () => {
    it('leaves nothing of an address in a settled message', async () => {
      const { queue, changes } = await open()
      const refusal = { code: 550, text: '5.1.1 <ada@example.com>: unknown' }
      const recipients = [{ address: ADA, result: 'rejected' as const, reply: refusal }]
      await queue.start(new Deliveries(1, () => outcomeOf('rejected', { message: `to=${ADA}.`, recipients })))
      const job = jobOf({
        to: [{ address: ADA, name: 'Ada' }],
        cc: [{ address: BOB }],
        subject: 'For Ada',
        tags: ['ada'],
        metadata: { email: ADA },
        idempotencyKey: `welcome\n${ADA}`,
        fingerprint: 'f',
        content: { kind: 'literal', text: `Dear ${ADA}` },
        headers: [],
        attachments: [{ filename: 'ada.txt', size: 3, contentType: 'text/plain', content: 'ada' }],
      })
      expect(await queue.enqueue([job])).toEqual([{ result: 'queued' }])
      await changes.until(job.id, 'failed')
      expect((await queue.list({ recipient: ADA })).messages).toHaveLength(1)
      const known = changes.of(job.id).length
      const after = await queue.act(job.id, action)
      expect(after).toEqual(await queue.find(job.id))
      expect(after).toMatchObject({
        status: 'failed',
        erased: true,
        to: [{ address: ERASED }],
        cc: [{ address: BOB }],
      })
      expect(JSON.stringify(after)).not.toMatch(/ada/i)
      expect(after.attempts[0]?.message).toBe(`to=${ERASED}`)
      expect(await queue.load(job.id)).toBe('dropped')
      // The listener hears of changes of the status only.
      expect(changes.of(job.id)).toHaveLength(known)
      expect((await queue.list({ recipient: ADA })).messages).toEqual([])
      expect((await queue.list({ q: 'ada@' })).messages).toEqual([])
      expect((await queue.list({ recipient: BOB })).messages).toHaveLength(1)
      await expect(queue.act(job.id, retryManually)).rejects.toMatchObject({ code: 'CONFLICT' })
      expect(await queue.act(job.id, action)).toEqual(after)
      // The idempotency key is forgotten, too.
      expect(
        await queue.enqueue([{ ...jobOf(), idempotencyKey: job.idempotencyKey!, fingerprint: 'other' }]),
      ).toEqual([{ result: 'queued' }])
    })

    it('removes the recipient from a waiting message, and cancels one without another recipient', async () => {
      const { queue, changes } = await open()
      const own = await put(queue, { to: [{ address: ADA }] })
      const shared = await put(queue, { to: [{ address: ADA }], bcc: [{ address: BOB }] })
      expect(await queue.act(own, action)).toMatchObject({ status: 'cancelled', to: [{ address: ERASED }] })
      expect(await queue.load(own)).toBe('dropped')
      expect(await queue.act(shared, action)).toMatchObject({
        status: 'queued',
        to: [],
        bcc: [{ address: BOB }],
      })
      const deliveries = new Deliveries(1)
      await queue.start(deliveries)
      await changes.until(shared, 'sent')
      expect(deliveries.recipients).toEqual([[BOB]])
      expect(deliveries.contents).toMatchObject([{ data: '{"name":"Ada"}' }])
      expect(JSON.stringify(await queue.find(shared))).not.toContain(ADA)
      expect(changes.of(own)).toEqual(['queued', 'cancelled'])
      expect(await queue.stats()).toMatchObject({ sent: 1, cancelled: 1, queued: 0 })
    })

    it('counts for every later attempt', async () => {
      const { queue, changes } = await open()
      const id = await put(queue, { to: [{ address: ADA }, { address: BOB }] })
      const deliveries = new Deliveries(1, (_, nth) => outcomeOf(nth === 1 ? 'deferred' : 'sent'))
      await queue.pause()
      await queue.start(deliveries)
      await queue.act(id, action)
      await queue.resume()
      await changes.until(id, 'sent')
      expect(deliveries.recipients).toEqual([[BOB], [BOB]])
    })

    it('leaves a message alone that is being sent', async () => {
      const { queue, changes } = await open()
      let finish: (outcome: Outcome) => void = () => undefined
      const deliveries = new Deliveries(1, () => new Promise((resolve) => (finish = resolve)))
      await queue.start(deliveries)
      const id = await put(queue, { to: [{ address: ADA }, { address: BOB }] })
      await changes.until(id, 'sending')
      while (deliveries.taken.length < 1) await new Promise((resolve) => setImmediate(resolve))
      deliveries.withdrawable = true
      await expect(queue.act(id, action)).rejects.toMatchObject({ code: 'CONFLICT' })
      finish(outcomeOf('sent'))
      await changes.until(id, 'sent')
      expect(await queue.act(id, action)).toMatchObject({ status: 'sent', erased: true })
      await expect(queue.act(id, cancelManually)).rejects.toMatchObject({ code: 'CONFLICT' })
    })
  })
}
