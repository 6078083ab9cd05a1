import { describe, expect, it } from 'vitest'
import { NO_DATA } from '../../../src/message/json.js'
import type { MailJob } from '../../../src/message/messageState.js'
import type { Outcome } from '../../../src/protocol/outcome.js'
import { cancelManually, retryManually } from '../../../src/queue/actions.js'
import type { ListQuery } from '../../../src/queue/driver.js'
import { Deliveries } from './deliveries.js'
import type { Fixture } from './fixture.js'
import { DAY, jobOf, outcomeOf, POLICY } from './jobs.js'

export function testQueries({ open, put }: Fixture): void {
  describe('queries', () => {
    it('list the newest messages first, in pages that neither skip nor repeat any', async () => {
      const { queue } = await open()
      const ids = []
      for (let index = 0; index < 7; index++) ids.push(await put(queue))
      const seen: string[] = []
      let cursor: string | undefined
      do {
        const page = await queue.list({ limit: 3, ...(cursor === undefined ? {} : { cursor }) })
        seen.push(...page.messages.map(({ id }) => id))
        cursor = page.cursor
      } while (cursor !== undefined)
      expect(seen).toEqual(ids.reverse())
      await expect((async () => queue.list({ cursor: 'x' }))()).rejects.toMatchObject({ path: 'cursor' })
      await expect((async () => queue.list({ limit: 0 }))()).rejects.toMatchObject({ path: 'limit' })
    })

    it('find messages by a part of the recipient, subject, template, tag, or id', async () => {
      const { queue } = await open()
      const wanted = await put(queue, {
        to: [{ address: 'Grace@navy.example' }],
        subject: 'Compiler',
        tags: ['bulk-7'],
        content: { kind: 'template', name: 'receipt', data: NO_DATA },
      })
      await put(queue)
      const parts = [wanted.slice(-12), wanted.slice(9, 30), wanted.slice(-6).toUpperCase()]
      for (const q of ['grace@', 'compil', 'receipt', 'bulk-7', ...parts]) {
        expect((await queue.list({ q })).messages.map(({ id }) => id)).toEqual([wanted])
      }
    })

    it('find messages by recipient, tag, template and time', async () => {
      const { queue } = await open()
      await queue.start(new Deliveries(1))
      const first = await put(queue, { to: [{ address: 'Grace@navy.example' }], tags: ['a', 'b'] })
      const acceptedAt = Date.now() + 1_000
      const second = await put(queue, {
        to: [{ address: 'grace@navy.example.org' }],
        tags: ['ab'],
        content: { kind: 'template', name: 'welcome-2', data: NO_DATA },
        acceptedAt,
      })
      const ids = async (query: ListQuery): Promise<string[]> =>
        (await queue.list(query)).messages.map(({ id }) => id)
      expect(await ids({ recipient: 'grace@NAVY.example' })).toEqual([first])
      expect(await ids({ tag: 'a' })).toEqual([first])
      expect(await ids({ template: 'welcome' })).toEqual([first])
      expect(await ids({ since: acceptedAt })).toEqual([second])
      expect(await ids({ until: acceptedAt - 1 })).toEqual([first])
      expect(await ids({ q: first })).toEqual([first])
      expect(await ids({ recipient: 'nobody@navy.example' })).toEqual([])
      expect(await ids({ q: 'grace', tag: 'ab', template: 'welcome-2' })).toEqual([second])
      expect(await ids({ q: 'gr' })).toEqual([second, first])
    })

    it('show and find the subject that a template gave the message, also after its content was dropped', async () => {
      const { queue, changes } = await open()
      const content = { kind: 'template', name: 'receipt', data: NO_DATA } as const
      const withoutSubject = async (fields: Partial<MailJob> = {}): Promise<string> => {
        const { subject: _, ...job } = jobOf({ content, ...fields })
        expect(await queue.enqueue([job])).toEqual([{ result: 'queued' }])
        return job.id
      }
      const later = await withoutSubject({ notBefore: Date.now() + DAY / 2 })
      const id = await withoutSubject()
      await queue.start({
        slots: 1,
        cancel: () => false,
        recover: () => undefined,
        deliver: async ({ state: { recipients } }) => ({
          decision: { status: 'sent' },
          recipients,
          subject: 'Your receipt from Zürich',
        }),
      })
      await changes.until(id, 'sent')
      expect((await queue.find(id))?.subject).toBe('Your receipt from Zürich')
      expect(await queue.load(id)).toBe('dropped')
      for (const q of ['from zür', 'receipt from'])
        await expect
          .poll(async () => (await queue.list({ q })).messages.map((message) => message.id))
          .toEqual([id])
      expect((await queue.find(later))?.subject).toBeUndefined()
    })

    it('show recipients of a cancelled message as cancelled, not as deferred', async () => {
      const { queue, changes } = await open()
      let finish: (outcome: Outcome) => void = () => undefined
      const pending = new Promise<Outcome>((resolve) => (finish = resolve))
      const deliveries = new Deliveries(1, (_, nth) => (nth === 1 ? outcomeOf('deferred') : pending))
      // The next attempt may begin before the message is cancelled.
      deliveries.withdrawable = true
      await queue.start(deliveries)
      const id = await put(queue)
      await changes.until(id, 'deferred')
      const { recipients } = await queue.act(id, cancelManually)
      expect(recipients.map(({ status }) => status)).toEqual(['cancelled'])
      expect((await queue.find(id))?.recipients).toEqual(recipients)
      await queue.act(id, retryManually)
      const again = (await queue.find(id))?.recipients.map(({ status }) => status)
      expect(again).not.toContain('cancelled')
      finish(outcomeOf('sent'))
    })

    it('count every accepted message in exactly one status', async () => {
      const { queue, changes } = await open()
      await queue.start(new Deliveries(4, (_, nth) => outcomeOf(nth % 3 === 0 ? 'rejected' : 'sent')))
      const ids = await Promise.all(Array.from({ length: 12 }, () => put(queue)))
      const cancelled = await put(queue, { notBefore: Date.now() + DAY / 2 })
      await queue.act(cancelled, cancelManually)
      await Promise.all(
        ids.map((id) => Promise.race([changes.until(id, 'sent'), changes.until(id, 'failed')])),
      )
      const stats = await queue.stats()
      expect(stats).toMatchObject({ accepted: 13, sent: 8, failed: 4, cancelled: 1, queued: 0, sending: 0 })
    })

    it('find a message by its id only if it matches the rest of the query', async () => {
      const { queue } = await open()
      const acceptedAt = Date.now()
      const id = await put(queue, { tags: ['a'], acceptedAt })
      const found = async (query: ListQuery): Promise<number> =>
        (await queue.list({ ...query, q: id })).messages.length
      expect(await found({ tag: 'a', template: 'welcome', recipient: 'ADA@example.com' })).toBe(1)
      expect(await found({ status: 'queued', since: acceptedAt, until: acceptedAt })).toBe(1)
      const others: ListQuery[] = [
        { tag: 'b' },
        { template: 'receipt' },
        { recipient: 'bob@example.com' },
        { since: acceptedAt + 1 },
        { until: acceptedAt - 1 },
        { status: 'held' },
      ]
      for (const other of others) expect(await found(other), JSON.stringify(other)).toBe(0)
    })

    it('report how long the longest-waiting due message has waited, in whatever order messages were accepted', async () => {
      const { queue } = await open()
      await queue.pause()
      await put(queue, { notBefore: Date.now() + DAY })
      expect((await queue.stats()).oldest).toBe(0)
      const due = Date.now() + 150
      await put(queue, { notBefore: due })
      const acceptedAt = Date.now()
      await put(queue, { acceptedAt })
      await expect
        .poll(async () => {
          const now = Date.now()
          const { oldest } = await queue.stats()
          return now > due + 50 && oldest >= now - acceptedAt && oldest <= Date.now() - acceptedAt
        })
        .toBe(true)
    })

    it('measure the wait of a retried message from the time it was due', async () => {
      const { queue, changes } = await open()
      let tried = Infinity
      const deliveries = new Deliveries(1, async () => {
        // The message is attempted only once, however late the test is notified.
        await queue.pause()
        tried = Date.now()
        return outcomeOf('deferred')
      })
      await queue.start(deliveries)
      const id = await put(queue)
      await changes.until(id, 'deferred')
      await expect.poll(async () => (await queue.stats()).oldest).toBeGreaterThan(100)
      expect((await queue.stats()).oldest).toBeLessThanOrEqual(Date.now() - tried - POLICY.baseDelay)
      await queue.act(id, cancelManually)
      expect((await queue.stats()).oldest).toBe(0)
    })
  })
}
