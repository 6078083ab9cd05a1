import { describe, expect, it } from 'vitest'
import { copyOctets } from '../../../src/protocol/octets.js'
import type { Outcome } from '../../../src/protocol/outcome.js'
import { Deliveries } from './deliveries.js'
import type { Fixture } from './fixture.js'
import { outcomeOf, POLICY } from './jobs.js'

export function testDelivery({ open, put }: Fixture): void {
  describe('delivery', () => {
    it('delivers a message once and stores its outcome', async () => {
      const { queue, changes } = await open()
      const id = await put(queue)
      const deliveries = new Deliveries(2)
      await queue.start(deliveries)
      await changes.until(id, 'sent')
      expect(deliveries.ids).toEqual([id])
      expect(changes.of(id)).toEqual(['queued', 'sending', 'sent'])
      const message = await queue.find(id)
      expect(message).toMatchObject({ id, status: 'sent', template: 'welcome', uncertain: false })
      expect(message?.attempts).toHaveLength(1)
      expect(message?.recipients).toEqual([{ address: 'ada@example.com', status: 'sent' }])
      expect(message?.settledAt).toBeDefined()
    })

    it('hands out finished messages and attachments octet for octet, also for a second attempt', async () => {
      const { queue, changes } = await open()
      const octets = Array.from({ length: 255 }, (_, index) => String.fromCharCode(index + 1)).join('')
      const text = `From: a@b.example\r\n\r\n${octets}\r\n`
      const raw = { kind: 'raw' as const, octets: copyOctets(Buffer.from(text, 'latin1')) }
      const bytes = Uint8Array.from({ length: 256 }, (_, index) => index)
      const calendar = 'BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nSUMMARY:Grüße 😀\r\nEND:VCALENDAR\r\n'
      const attachments = [
        {
          filename: 'invite.ics',
          content: calendar,
          size: Buffer.byteLength(calendar),
          calendar: 'REQUEST' as const,
        },
        { filename: 'a.bin', content: bytes, size: bytes.length },
      ]
      const ids = [await put(queue, { content: raw }), await put(queue, { attachments })]
      const seen: unknown[] = []
      const deliveries = new Deliveries(2, ({ job, state }) => {
        const files = job.attachments.map(({ content, ...rest }) => ({
          ...rest,
          content: Buffer.from(content).toString('hex'),
        }))
        seen.push({
          id: job.id,
          octets: job.content.kind === 'raw' ? Buffer.from(job.content.octets).toString('latin1') : '',
          files,
        })
        return outcomeOf(state.attempts.length === 0 ? 'deferred' : 'sent')
      })
      await queue.start(deliveries)
      for (const id of ids) await changes.until(id, 'sent')
      const files = attachments.map(({ content, ...rest }) => ({
        ...rest,
        content: Buffer.from(content).toString('hex'),
      }))
      const first = { id: ids[0], octets: text, files: [] }
      const second = { id: ids[1], octets: '', files }
      expect(seen).toHaveLength(4)
      expect(seen).toEqual(expect.arrayContaining([first, second]))
      for (const each of seen) expect([first, second]).toContainEqual(each)
    })

    it('delivers higher priorities first, and older messages first within a priority', async () => {
      const { queue, changes } = await open()
      const ids = []
      for (const priority of [5, 0, 9, 5, 9]) ids.push(await put(queue, { priority }))
      const deliveries = new Deliveries(1)
      await queue.start(deliveries)
      await changes.until(ids[1] ?? '', 'sent')
      expect(deliveries.ids).toEqual([ids[2], ids[4], ids[0], ids[3], ids[1]])
    })

    it('never has more deliveries in progress than slots', async () => {
      const { queue, changes } = await open()
      const ids = await Promise.all(Array.from({ length: 30 }, () => put(queue)))
      let fill: () => void = () => undefined
      const full = new Promise<void>((resolve) => (fill = resolve))
      const deliveries = new Deliveries(3, async (_, nth) => {
        if (nth === 3) fill()
        await full
        await new Promise((resolve) => setImmediate(resolve))
        return outcomeOf('sent')
      })
      await queue.start(deliveries)
      await Promise.all(ids.map((id) => changes.until(id, 'sent')))
      expect(deliveries.mostOpen).toBe(3)
      expect(deliveries.taken).toHaveLength(30)
    })

    it('hands out a message again that was held until a time, without recording an attempt', async () => {
      const { queue, changes } = await open()
      const id = await put(queue)
      let nth = 0
      const deliveries = new Deliveries(1)
      await queue.start({
        slots: 1,
        cancel: () => false,
        recover: () => undefined,
        deliver: async (message) =>
          ++nth > 1
            ? deliveries.deliver(message)
            : {
                decision: { status: 'held', reason: 'breaker', nextAttemptAt: Date.now() + 1_000 },
                recipients: message.state.recipients,
              },
      })
      await changes.until(id, 'held')
      expect(await queue.find(id)).toMatchObject({ status: 'held', heldReason: 'breaker', attempts: [] })
      await changes.until(id, 'sent')
      expect((await queue.find(id))?.attempts).toHaveLength(1)
    })

    it('retries a deferred message when it is due, and not before', async () => {
      const { queue, changes } = await open()
      const id = await put(queue)
      await queue.start(new Deliveries(1, (_, nth) => outcomeOf(nth === 1 ? 'deferred' : 'sent')))
      await changes.until(id, 'sent')
      const { attempts = [] } = (await queue.find(id)) ?? {}
      expect(attempts).toHaveLength(2)
      const again = changes.log.filter(({ status }) => status === 'sending')[1]
      // The delay begins with the end of the attempt; the change is reported once it is stored.
      const ended = Date.parse(attempts[0]?.end ?? '')
      expect((again?.at ?? 0) - ended).toBeGreaterThanOrEqual(POLICY.baseDelay)
    })

    it('fails a message after its last attempt', async () => {
      const { queue, changes } = await open()
      const id = await put(queue)
      await queue.start(new Deliveries(1, () => outcomeOf('deferred')))
      await changes.until(id, 'failed')
      expect((await queue.find(id))?.attempts).toHaveLength(POLICY.attempts)
      expect((await queue.find(id))?.recipients[0]?.status).toBe('failed')
    })

    it('retries only the recipients that are still open', async () => {
      const { queue, changes } = await open()
      const to = ['ok', 'no', 'later'].map((local) => ({ address: `${local}@example.com` }))
      const id = await put(queue, { to })
      const first: Partial<Outcome> = {
        recipients: [
          { address: 'ok@example.com', result: 'accepted' },
          { address: 'no@example.com', result: 'rejected', reply: { code: 550, text: 'no' } },
          { address: 'later@example.com', result: 'deferred', reply: { code: 451, text: 'later' } },
        ],
      }
      const deliveries = new Deliveries(1, (_, nth) => outcomeOf('sent', nth === 1 ? first : {}))
      await queue.start(deliveries)
      await changes.until(id, 'partial')
      expect(deliveries.recipients).toEqual([to.map(({ address }) => address), ['later@example.com']])
      expect((await queue.find(id))?.recipients.map(({ status }) => status)).toEqual([
        'sent',
        'failed',
        'sent',
      ])
    })

    it('delivers a scheduled message at its time', async () => {
      const { queue, changes } = await open()
      const notBefore = Date.now() + 60
      const id = await put(queue, { notBefore })
      await queue.start(new Deliveries(1))
      await changes.until(id, 'sent')
      expect(changes.log.find(({ status }) => status === 'sending')?.at).toBeGreaterThanOrEqual(notBefore)
    })

    it('holds an uncertain message if requested, and marks it', async () => {
      const { queue, changes } = await open()
      const id = await put(queue, { onUncertain: 'hold' })
      await queue.start(new Deliveries(1, () => outcomeOf('uncertain')))
      await changes.until(id, 'held')
      expect(await queue.find(id)).toMatchObject({
        status: 'held',
        heldReason: 'uncertain',
        uncertain: true,
      })
    })
  })

  describe('expiry', () => {
    it('settles a message whose time has passed, whatever it waits for', async () => {
      const { queue, changes } = await open()
      await queue.start(new Deliveries(1, () => outcomeOf('uncertain')))
      await changes.until(await put(queue, { onUncertain: 'hold' }), 'held')
      // The queue is at work: late enough for everything that must happen before.
      const expiresAt = Date.now() + 2_000
      const held = await put(queue, { expiresAt, onUncertain: 'hold' })
      await changes.until(held, 'held')
      await queue.pause()
      const waiting = await put(queue, { expiresAt })
      await Promise.all([held, waiting].map((id) => changes.until(id, 'expired')))
      expect((await queue.find(waiting))?.attempts).toHaveLength(0)
      expect((await queue.find(held))?.attempts).toHaveLength(1)
    })

    it('keeps a message from delivery that expired before it was handed out', async () => {
      const { queue, changes } = await open()
      const id = await put(queue, { expiresAt: Date.now() - 1 })
      const deliveries = new Deliveries(1)
      await queue.start(deliveries)
      await changes.until(id, 'expired')
      expect(deliveries.taken).toHaveLength(0)
    })
  })
}
