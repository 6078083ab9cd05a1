import { describe, expect, it } from 'vitest'
import { mintId } from '../../../src/message/ids.js'
import type { Outcome } from '../../../src/protocol/outcome.js'
import { cancelManually, markSentManually, retryManually } from '../../../src/queue/actions.js'
import { Changes } from './changes.js'
import { Deliveries } from './deliveries.js'
import type { Fixture } from './fixture.js'
import { outcomeOf } from './jobs.js'

export function testManualActions({ open, put }: Fixture): void {
  describe('manual actions', () => {
    it('cancel a waiting message', async () => {
      const { queue, changes } = await open()
      const deliveries = new Deliveries(1)
      const id = await put(queue)
      expect((await queue.act(id, cancelManually)).status).toBe('cancelled')
      const later = await put(queue)
      await queue.start(deliveries)
      await changes.until(later, 'sent')
      expect(deliveries.ids).toEqual([later])
      await expect(queue.act(id, cancelManually)).rejects.toMatchObject({ code: 'CONFLICT' })
      // Not everything that a caller passes is an id.
      for (const unknown of [mintId(0), 'a\0b', 'x'.repeat(5_000), {} as string, 5 as unknown as string]) {
        expect(await queue.find(unknown)).toBeUndefined()
        const error: unknown = await queue.act(unknown, cancelManually).catch((reason: unknown) => reason)
        expect(error).toMatchObject({ code: 'NOT_FOUND', message: expect.not.stringMatching(/.{200}/) })
      }
    })

    it('don’t cancel a message that is being sent', async () => {
      const { queue, changes } = await open()
      const id = await put(queue)
      let finish: (outcome: Outcome) => void = () => undefined
      await queue.start(new Deliveries(1, () => new Promise((resolve) => (finish = resolve))))
      await changes.until(id, 'sending')
      await expect(queue.act(id, cancelManually)).rejects.toMatchObject({ code: 'CONFLICT' })
      finish(outcomeOf('sent'))
      await changes.until(id, 'sent')
    })

    it('cancel a delivery in progress as long as the consumer can', async () => {
      const { queue, changes } = await open()
      const id = await put(queue)
      const finish: ((outcome: Outcome) => void)[] = []
      const deliveries = new Deliveries(2, () => new Promise((resolve) => finish.push(resolve)))
      deliveries.withdrawable = true
      await queue.start(deliveries)
      await changes.until(id, 'sending')
      expect((await queue.act(id, cancelManually)).status).toBe('cancelled')
      await expect(queue.act(id, cancelManually)).rejects.toMatchObject({ code: 'CONFLICT' })

      // The settlement of the cancelled delivery no longer counts, whatever happens meanwhile.
      await queue.act(id, retryManually)
      while (finish.length < 2) await new Promise((resolve) => setImmediate(resolve))
      finish[0]?.(outcomeOf('withdrawn'))
      finish[1]?.(outcomeOf('sent'))
      await changes.until(id, 'sent')
      expect(changes.of(id).filter((status) => status === 'cancelled')).toHaveLength(1)
      expect((await queue.stats()).sent).toBe(1)
    })

    it('expire a message whose time ran out during its delivery', async () => {
      const { queue, changes } = await open()
      const id = await put(queue)
      await queue.start(new Deliveries(1, () => outcomeOf('withdrawn', { code: 'EXPIRED' })))
      await changes.until(id, 'expired')
      expect(await queue.find(id)).toMatchObject({ status: 'expired', attempts: [{ code: 'EXPIRED' }] })
    })

    it('retry a failed message and keep its history', async () => {
      const { queue, changes } = await open()
      const id = await put(queue)
      const deliveries = new Deliveries(1, (_, nth) => outcomeOf(nth === 1 ? 'rejected' : 'sent'))
      await queue.start(deliveries)
      await changes.until(id, 'failed')
      expect((await queue.act(id, retryManually)).status).toMatch(/queued|sending/)
      await changes.until(id, 'sent')
      expect((await queue.find(id))?.attempts).toHaveLength(2)
      expect(deliveries.contents[1]).toMatchObject({ data: '{"name":"Ada"}' })
      await expect(queue.act(id, retryManually)).rejects.toMatchObject({ code: 'CONFLICT' })
    })

    it('retry a held message', async () => {
      const { queue, changes } = await open()
      const id = await put(queue, { onUncertain: 'hold' })
      await queue.start(new Deliveries(1, (_, nth) => outcomeOf(nth === 1 ? 'uncertain' : 'sent')))
      await changes.until(id, 'held')
      await queue.act(id, retryManually)
      await changes.until(id, 'sent')
      expect(await queue.find(id)).toMatchObject({ uncertain: true, attempts: [{}, {}] })
    })

    it('mark a held message as sent', async () => {
      const { queue, changes } = await open()
      const id = await put(queue, { onUncertain: 'hold' })
      await queue.start(new Deliveries(1, () => outcomeOf('uncertain')))
      await changes.until(id, 'held')
      expect(await queue.act(id, markSentManually)).toMatchObject({
        status: 'sent',
        recipients: [{ status: 'sent' }],
      })
      await expect(queue.act(id, markSentManually)).rejects.toMatchObject({ code: 'CONFLICT' })
    })

    it('pause the queue, which then hands out nothing and shows waiting messages as held', async () => {
      const { queue, changes } = await open()
      const deliveries = new Deliveries(1)
      await queue.start(deliveries)
      await queue.pause()
      const id = await put(queue)
      expect(await queue.find(id)).toMatchObject({ status: 'held', heldReason: 'paused' })
      expect(await queue.stats()).toMatchObject({ held: 1, queued: 0, paused: true })
      expect((await queue.list({ status: 'held' })).messages.map((message) => message.id)).toEqual([id])
      expect(deliveries.taken).toHaveLength(0)
      await queue.resume()
      await changes.until(id, 'sent')
    })

    it('cancel a message from within the change listener, or report that it is too late', async () => {
      const answers: Promise<unknown>[] = []
      const changes = new Changes()
      const { queue } = await open({
        onChange: (message) => {
          changes.listener(message)
          if (message.state.status === 'queued' && answers.length === 0)
            answers.push(
              queue.act(message.job.id, cancelManually).then(
                ({ status }) => status,
                (error: unknown) => (error as { code: string }).code,
              ),
            )
        },
      })
      const deliveries = new Deliveries(1)
      await queue.start(deliveries)
      const id = await put(queue)
      const [answer] = await Promise.all(answers)
      await changes.until(await put(queue), 'sent')
      if (answer === 'CONFLICT') await changes.until(id, 'sent')
      else expect(answer).toBe('cancelled')
      expect(deliveries.ids.includes(id)).toBe(answer === 'CONFLICT')
      expect((await queue.find(id))?.status).toBe(answer === 'CONFLICT' ? 'sent' : 'cancelled')
    })
  })
}
