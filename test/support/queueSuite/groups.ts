import { describe, expect, it } from 'vitest'
import { Deliveries } from './deliveries.js'
import type { Fixture } from './fixture.js'
import { outcomeOf } from './jobs.js'

export function testGroups({ open, put }: Fixture): void {
  describe('groups', () => {
    it('take turns at equal priority, and each keeps its own order', async () => {
      const { queue, changes } = await open()
      const groups = new Map<string, string>()
      const ids: string[] = []
      for (const group of ['a', 'a', 'a', 'a', 'b', 'b', undefined, undefined]) {
        const id = await put(queue, group === undefined ? {} : { group })
        groups.set(id, group ?? 'none')
        ids.push(id)
      }
      const deliveries = new Deliveries(1)
      await queue.start(deliveries)
      await Promise.all(ids.map((id) => changes.until(id, 'sent')))
      const order = deliveries.ids.map((id) => groups.get(id))
      // Each group is among the first three, and again among the next three; what is left is of the largest group.
      expect(new Set(order.slice(0, 3))).toEqual(new Set(['a', 'b', 'none']))
      expect(new Set(order.slice(3, 6))).toEqual(new Set(['a', 'b', 'none']))
      expect(order.slice(6)).toEqual(['a', 'a'])
      for (const group of ['a', 'b', 'none'])
        expect(deliveries.ids.filter((id) => groups.get(id) === group)).toEqual(
          ids.filter((id) => groups.get(id) === group),
        )
    })

    it('delay a message of another group by a few messages only, however many they have', async () => {
      const { queue, changes } = await open()
      const many = await Promise.all(Array.from({ length: 200 }, () => put(queue, { group: 'bulk' })))
      let reset = ''
      const deliveries = new Deliveries(1, async (_, nth) => {
        if (nth === 20) reset = await put(queue, { group: 'other' })
        return outcomeOf('sent')
      })
      await queue.start(deliveries)
      await Promise.all(many.map((id) => changes.until(id, 'sent')))
      // A queue may have claimed some messages ahead, as many as end within a few commits.
      expect(deliveries.ids.indexOf(reset)).toBeGreaterThan(19)
      expect(deliveries.ids.indexOf(reset)).toBeLessThan(100)
    })

    it('do not change that a higher priority goes first', async () => {
      const { queue, changes } = await open()
      const low = await put(queue, { group: 'a', priority: 1 })
      const first = await put(queue, { group: 'b', priority: 8 })
      const second = await put(queue, { group: 'b', priority: 8 })
      const deliveries = new Deliveries(1)
      await queue.start(deliveries)
      await changes.until(low, 'sent')
      expect(deliveries.ids).toEqual([first, second, low])
    })
  })
}
