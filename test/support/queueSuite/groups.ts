import { describe, expect, it } from 'vitest'
import { isSettled } from '../../../src/message/messageState.js'
import { cancelManually } from '../../../src/queue/actions.js'
import { randomFrom } from '../random.js'
import { Deliveries } from './deliveries.js'
import { type Fixture, type OpenQueue, useFixture } from './fixture.js'
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

    it('of any sizes each have one message in every round, until they have none', async () => {
      const { queue, changes } = await open()
      const random = randomFrom(25)
      const sizes = new Map(Array.from({ length: 12 }, (_, n) => [`g${n}`, 1 + Math.floor(random() * 20)]))
      const groups = new Map<string, string>()
      const left = [...sizes].flatMap(([group, size]) => Array.from({ length: size }, () => group))
      while (left.length > 0) {
        const [group = ''] = left.splice(Math.floor(random() * left.length), 1)
        groups.set(await put(queue, { group }), group)
      }
      const deliveries = new Deliveries(1)
      await queue.start(deliveries)
      await Promise.all([...groups.keys()].map((id) => changes.until(id, 'sent')))
      const order = deliveries.ids.map((id) => groups.get(id) ?? '')
      for (let round = 1; order.length > 0; round++) {
        const members = [...sizes].filter(([, size]) => size >= round).map(([group]) => group)
        expect(order.splice(0, members.length).sort()).toEqual(members.sort())
      }
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

/** @param openSame opens the same queue each time */
export function testGroupsOfFleet(openSame: OpenQueue): void {
  describe('groups whose messages several processes deliver', () => {
    const { open, put } = useFixture(openSame)

    it('lose none of them, though some are deferred, cancelled, or taken back by a process that ends', async () => {
      const random = randomFrom(26)
      const [first, second, sender] = await Promise.all([open(), open(), open()])
      const ids: string[] = []
      const deliveries = [first, second].map(
        () => new Deliveries(3, () => outcomeOf(random() < 0.2 ? 'deferred' : 'sent')),
      )
      for (let n = 0; n < 150; n++) {
        const group = `g${Math.floor(random() * 5)}`
        const priority = random() < 0.3 ? 7 : 5
        const notBefore = random() < 0.1 ? { notBefore: Date.now() + 50 } : {}
        ids.push(await put(sender.queue, { group, priority, ...notBefore }))
        if (n === 40) await first.queue.start(deliveries[0]!)
        if (n === 60) await second.queue.start(deliveries[1]!)
        if (random() < 0.1)
          await sender.queue.act(ids[Math.floor(random() * ids.length)]!, cancelManually).catch(() => {})
        if (n === 100) await first.queue.drain(10_000)
      }
      for (const id of ids)
        await expect
          .poll(async () => isSettled((await sender.queue.find(id))?.status ?? 'queued'), { timeout: 20_000 })
          .toBe(true)
      const sent = deliveries.flatMap(({ taken }) => taken.filter(({ state }) => state.status === 'sent'))
      expect(new Set(sent.map(({ job }) => job.id)).size).toBe(sent.length)
      expect((await sender.queue.stats()).queued).toBe(0)
    })
  })
}
