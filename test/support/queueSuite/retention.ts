import { describe, expect, it } from 'vitest'
import { mintId } from '../../../src/message/ids.js'
import { retryManually } from '../../../src/queue/actions.js'
import { Deliveries } from './deliveries.js'
import type { Fixture } from './fixture.js'
import { DAY, outcomeOf } from './jobs.js'

export function testRetention({ open, put }: Fixture): void {
  describe('retention', () => {
    it('deletes settled messages beyond the count, oldest first', async () => {
      const { queue, changes } = await open({
        retain: { count: 2, age: DAY, data: 'until-settled', keys: DAY },
      })
      await queue.start(new Deliveries(1))
      const ids = []
      for (let index = 0; index < 4; index++) {
        const id = await put(queue)
        await changes.until(id, 'sent')
        ids.push(id)
      }
      const last = ids.at(-1) ?? ''
      expect(await queue.find(last)).toBeDefined()
      expect((await queue.list({})).messages.length).toBeLessThanOrEqual(3)
      expect(await queue.find(ids[0] ?? '')).toBeUndefined()
    })

    it('keeps the data of a failed message for a retry', async () => {
      const { queue, changes } = await open()
      const deliveries = new Deliveries(1, () => outcomeOf('rejected'))
      await queue.start(deliveries)
      const id = await put(queue)
      await changes.until(id, 'failed')
      await queue.act(id, retryManually)
      expect(deliveries.contents.at(-1)).toMatchObject({ data: '{"name":"Ada"}' })
    })

    it('loads a job with its content, or reports that the content was dropped', async () => {
      const { queue, changes } = await open()
      const attachments = [
        { filename: 'a.txt', content: 'text', size: 4 },
        { filename: 'b.bin', content: new Uint8Array([0, 255]), size: 2 },
      ]
      const id = await put(queue, { attachments })
      const content = { kind: 'template', name: 'welcome', data: '{"name":"Ada"}' }
      expect(await queue.load(id)).toMatchObject({ id, content, attachments })
      await queue.start(new Deliveries(1))
      await changes.until(id, 'sent')
      await expect.poll(() => queue.load(id)).toBe('dropped')
      expect(await queue.load(mintId(Date.now()))).toBeUndefined()
    })
  })
}
