import { describe, expect, it } from 'vitest'
import { Deliveries } from './deliveries.js'
import type { Fixture } from './fixture.js'
import { DAY, jobOf } from './jobs.js'

export function testAcceptance({ open }: Fixture): void {
  describe('acceptance', () => {
    it('accepts the same idempotency key with the same content once', async () => {
      const { queue } = await open()
      const first = jobOf({ idempotencyKey: 'k', fingerprint: 'a' })
      const again = jobOf({ idempotencyKey: 'k', fingerprint: 'a' })
      const other = jobOf({ idempotencyKey: 'k', fingerprint: 'b' })
      expect(await queue.enqueue([first, again, other])).toEqual([
        { result: 'queued' },
        { result: 'duplicate', id: first.id, messageId: first.messageId },
        { result: 'conflict' },
      ])
      expect((await queue.stats()).accepted).toBe(1)
    })

    it('accepts the same id once', async () => {
      const { queue } = await open()
      const job = jobOf()
      await queue.enqueue([job])
      expect(await queue.enqueue([job])).toEqual([
        { result: 'duplicate', id: job.id, messageId: job.messageId },
      ])
    })

    it('refuses messages beyond its limit, and accepts more once there is space', async () => {
      const { queue, changes } = await open({ limit: 2 })
      const answers = await queue.enqueue([jobOf(), jobOf(), jobOf()])
      expect(answers.map(({ result }) => result)).toEqual(['queued', 'queued', 'full'])
      await queue.start(new Deliveries(1))
      const [first] = changes.log
      await changes.until(first?.id ?? '', 'sent')
      expect((await queue.enqueue([jobOf()]))[0]?.result).toBe('queued')
    })
  })

  describe('idempotency keys', () => {
    it('are remembered after their message is deleted', async () => {
      const { queue, changes } = await open({
        retain: { count: 0, age: DAY, data: 'until-settled', keys: DAY },
      })
      await queue.start(new Deliveries(1))
      const job = jobOf({ idempotencyKey: 'k', fingerprint: 'a' })
      await queue.enqueue([job])
      await changes.until(job.id, 'sent')
      const again = await queue.enqueue([jobOf({ idempotencyKey: 'k', fingerprint: 'a' })])
      expect(again).toEqual([{ result: 'duplicate', id: job.id, messageId: job.messageId }])
    })

    it('expire in time, but not before their message is settled', async () => {
      const { queue, changes } = await open({
        retain: { count: 0, age: DAY, data: 'until-settled', keys: 0 },
      })
      const key = { idempotencyKey: 'k', fingerprint: 'a' }
      const job = jobOf({ ...key, notBefore: Date.now() + DAY, expiresAt: Date.now() + 1_000 })
      await queue.enqueue([job])
      expect(await queue.enqueue([jobOf(key)])).toMatchObject([{ result: 'duplicate' }])
      await queue.start(new Deliveries(1))
      await changes.until(job.id, 'expired')
      expect(await queue.enqueue([jobOf(key)])).toEqual([{ result: 'queued' }])
    })

    it('report a conflict for the same id with other content, with a key or without', async () => {
      const { queue } = await open()
      const job = jobOf({ fingerprint: 'a' })
      const keyed = jobOf({ fingerprint: 'a', idempotencyKey: 'k' })
      const { id, fingerprint: _, ...unsaid } = job
      const answers = await queue.enqueue([
        job,
        { ...job, fingerprint: 'b' },
        { ...unsaid, id },
        keyed,
        { ...keyed, fingerprint: 'b' },
      ])
      expect(answers.map(({ result }) => result)).toEqual([
        'queued',
        'conflict',
        'duplicate',
        'queued',
        'conflict',
      ])
    })
  })
}
