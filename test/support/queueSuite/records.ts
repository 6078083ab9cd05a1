import { describe, expect, it } from 'vitest'
import { cancelManually } from '../../../src/queue/actions.js'
import type { RecordsOf } from '../../../src/queue/driver.js'
import { rangeOf, type SharedRecord } from '../../../src/queue/records.js'
import { Deliveries } from './deliveries.js'
import type { Fixture } from './fixture.js'
import { DAY } from './jobs.js'

export function testRecords({ open, put }: Fixture): void {
  const later = (): number => Date.now() + DAY
  const withoutAge = (records: readonly SharedRecord[] = []): object[] =>
    records.map(({ age, ...record }) => {
      expect(age).toBeGreaterThanOrEqual(0)
      return record
    })

  describe('records', () => {
    it('add and raise numbers, and replace documents', async () => {
      const { queue } = await open()
      const first = {
        key: 'w:1',
        keepUntil: later(),
        add: { sent: 2, 'failed:OK': 0.5 },
        raise: { depth: 7 },
      }
      await queue.records.write([first, { key: 'p:a', keepUntil: later(), document: '{"é":1}' }])
      await queue.records.write([
        { key: 'w:1', keepUntil: later(), add: { sent: 3 }, raise: { depth: 5, high: -1 } },
        { key: 'p:a', keepUntil: later(), document: '{"é":2}' },
      ])
      const [windows, processes] = await queue.records.read([rangeOf('w:'), rangeOf('p:')])
      expect(withoutAge(windows)).toEqual([
        { key: 'w:1', numbers: { sent: 5, 'failed:OK': 0.5, depth: 7, high: -1 } },
      ])
      expect(withoutAge(processes)).toEqual([{ key: 'p:a', numbers: {}, document: '{"é":2}' }])
    })

    it('are read by range, in the order of their keys', async () => {
      const { queue } = await open()
      const keys = ['a:3', 'a:1', 'b:1', 'a:2', 'a']
      await queue.records.write(keys.map((key) => ({ key, keepUntil: later(), add: { n: 1 } })))
      const read = await queue.records.read([rangeOf('a:'), { from: 'a:2', to: 'a:3' }, rangeOf('c')])
      expect(read.map((records) => records.map(({ key }) => key))).toEqual([
        ['a:1', 'a:2', 'a:3'],
        ['a:2'],
        [],
      ])
    })

    it('are read up to a limit, without counting those that have expired', async () => {
      const { queue } = await open()
      const keys = ['a:1', 'a:2', 'a:3', 'a:4', 'a:5']
      await queue.records.write(
        keys.map((key) => ({ key, keepUntil: key === 'a:1' ? Date.now() - 1 : later(), add: { n: 1 } })),
      )
      const read = await queue.records.read([
        { ...rangeOf('a:'), limit: 2 },
        { ...rangeOf('a:'), from: 'a:3\x00', limit: 9 },
        { ...rangeOf('a:'), limit: 1 },
      ])
      expect(read.map((records) => records.map(({ key }) => key))).toEqual([
        ['a:2', 'a:3'],
        ['a:4', 'a:5'],
        ['a:2'],
      ])
    })

    it('are stored with each change that they announce, and not with one that another came before', async () => {
      let nth = 0
      const recordsOf: RecordsOf = ({ job, state }) =>
        state.status === 'sending' || state.status === 'queued'
          ? []
          : [
              { key: `n:${job.id}:${++nth}`, keepUntil: later(), document: state.status },
              { key: 'count', keepUntil: later(), add: { changes: 1 } },
            ]
      const { queue, changes } = await open({ recordsOf })
      const [sent, cancelled, expired] = [
        await put(queue),
        await put(queue, { notBefore: later() }),
        await put(queue, { notBefore: later(), expiresAt: Date.now() + 300 }),
      ]
      await Promise.allSettled([queue.act(cancelled, cancelManually), queue.act(cancelled, cancelManually)])
      await queue.start(new Deliveries(10))
      await changes.until(sent, 'sent')
      await changes.until(expired, 'expired')
      await expect
        .poll(async () => {
          const [records, [count] = []] = await queue.records.read([rangeOf('n:'), rangeOf('count')])
          return [records?.map(({ document }) => document).sort(), count?.numbers['changes']]
        })
        .toEqual([['cancelled', 'expired', 'sent'], 3])
    })

    it('are gone when they are removed, and after the time for which they are kept', async () => {
      const { queue } = await open()
      await queue.records.write([
        { key: 'a', keepUntil: later(), add: { n: 1 } },
        { key: 'b', keepUntil: Date.now() - 1, add: { n: 1 } },
        { key: 'c', keepUntil: later(), add: { n: 1 } },
      ])
      await queue.records.write([{ key: 'a', keepUntil: 0, remove: true }])
      const [records] = await queue.records.read([{ from: 'a', to: 'z' }])
      expect(records?.map(({ key }) => key)).toEqual(['c'])
      await queue.records.write([{ key: 'b', keepUntil: later(), add: { n: 1 } }])
      const [again] = await queue.records.read([{ from: 'b', to: 'c' }])
      expect(again?.[0]?.numbers).toEqual({ n: 1 })
    })
  })
}
