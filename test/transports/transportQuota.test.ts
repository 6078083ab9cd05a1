import { advance, startInbox } from 'threadpost/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Clock } from '../../src/clock.js'
import { MemoryQueue } from '../../src/queue/memory/driver.js'
import { type VolumeOptions, warmUpLimit } from '../../src/transports/quotaOptions.js'
import { TransportQuota } from '../../src/transports/transportQuota.js'
import { describeOnEveryQueue } from '../support/everyQueue.js'
import { mailerWithInbox, testMailer } from '../support/mailer.js'
import { DAY } from '../support/queueSuite/jobs.js'
import { randomFrom } from '../support/random.js'

const HOUR = 3_600_000
const MAIL = { to: 'ada@example.com', subject: 'Hello', text: 'Hello' }

/** Several processes that share one queue's records, and a clock that begins at the start of a day. */
function fleetOf(processes: number, volume: VolumeOptions) {
  const clock = new Clock()
  clock.advance(DAY - (clock.now() % DAY) + 1_000)
  const { records } = new MemoryQueue({
    limit: 1,
    maxAge: DAY,
    retain: { count: 1, age: DAY, data: 'kept', keys: DAY },
    onChange: () => undefined,
    clock,
  })
  return {
    clock,
    quotas: Array.from({ length: processes }, () => new TransportQuota('main', volume, records, clock)),
  }
}

describe('a quota', () => {
  it('is never exceeded by processes that share it, and messages that were not sent use none of it', async () => {
    const random = randomFrom(7)
    const { clock, quotas } = fleetOf(3, { quota: { perHour: 20, perDay: 50 } })
    const sent = new Map<string, number>()
    let heldAtNothing = 0
    for (let step = 0; step < 60; step++) {
      const now = clock.now()
      const windows = [`h${Math.floor(now / HOUR)}`, `d${Math.floor(now / DAY)}`]
      const results = Array.from({ length: Math.floor(random() * 12) }, () => {
        const isSent = random() < 0.7
        const quota = quotas[Math.floor(random() * quotas.length)]!
        return quota.within({ priority: 5 }, () => Promise.resolve(isSent), Boolean)
      })
      for (const result of await Promise.all(results))
        if (typeof result === 'number') {
          expect(result).toBeGreaterThan(now)
          if (windows.every((window) => (sent.get(window) ?? 0) === 0)) heldAtNothing++
        } else if (result) for (const window of windows) sent.set(window, (sent.get(window) ?? 0) + 1)
      clock.advance(Math.floor(random() * HOUR))
    }
    const hours = [...sent].filter(([window]) => window.startsWith('h')).map(([, count]) => count)
    const days = [...sent].filter(([window]) => window.startsWith('d')).map(([, count]) => count)
    expect(Math.max(...hours)).toBeLessThanOrEqual(20)
    expect(Math.max(...days)).toBe(50)
    expect(heldAtNothing).toBe(0)
  })

  it('gives messages that wait due times in later hours, and those of another priority or group the next one', async () => {
    const { clock, quotas } = fleetOf(1, { quota: { perHour: 2 } })
    const [quota] = quotas
    const next = (Math.floor(clock.now() / HOUR) + 1) * HOUR
    const take = (line = {}): Promise<boolean | number> =>
      quota!.within({ priority: 5, ...line }, () => Promise.resolve(true), Boolean)
    const results: (boolean | number)[] = []
    for (let nth = 0; nth < 7; nth++) results.push(await take())
    expect(results).toEqual([true, true, next, next, next + HOUR, next + HOUR, next + 2 * HOUR])
    expect(await take({ priority: 9 })).toBe(next)
    expect(await take({ group: 'tenant:42' })).toBe(next)
    expect(quota!.status).toEqual({ hour: { limit: 2, used: 2 } })
  })

  it('has places again when the clock is set back to a time at which it was not used', async () => {
    const { clock, quotas } = fleetOf(1, { quota: { perHour: 2 } })
    const take = (): Promise<boolean | number> =>
      quotas[0]!.within({ priority: 5 }, () => Promise.resolve(true), Boolean)
    const now = Math.floor(clock.now() / HOUR) * HOUR
    for (let nth = 0; nth < 4; nth++) await take()
    clock.advance(-3 * HOUR)
    expect(quotas[0]!.room).toBe(2)
    expect([await take(), await take(), await take()]).toEqual([true, true, now - 2 * HOUR])
  })

  it('rises by the same factor each day of a warm-up, counted from the first message, and ends after it', async () => {
    const days = Array.from({ length: 6 }, (_, day) => warmUpLimit({ from: 10, to: 160, days: 5 }, day))
    expect(days).toEqual([10, 20, 40, 80, 160, Infinity])
    const { clock, quotas } = fleetOf(2, { warmUp: { from: 10, to: 160, days: 5 }, quota: { perDay: 100 } })
    clock.advance(3 * DAY)
    const sent: number[] = []
    for (let day = 0; day < 6; day++) {
      const results = await Promise.all(
        Array.from({ length: 200 }, (_, nth) =>
          quotas[nth % 2]!.within({ priority: 5 }, () => Promise.resolve(true), Boolean),
        ),
      )
      sent.push(results.filter((result) => result === true).length)
      clock.advance(DAY)
    }
    expect(sent.slice(0, 4).map((count, day) => count <= days[day]! && count > days[day]! / 2)).toEqual(
      Array(4).fill(true),
    )
    expect(sent.slice(4).every((count) => count <= 100 && count > 50)).toBe(true)
  })

  it('holds a message until the next hour with an explanation, and gives back the place of one that was refused', async () => {
    const { mailer, inbox } = await mailerWithInbox(
      {},
      { faults: [{ at: 'rcpt', do: 'refuse', to: 'no@*' }] },
    )
    await mailer.reload({ transport: { url: inbox.url, quota: { perHour: 2 } } })
    for (let n = 0; n < 3; n++)
      expect((await mailer.sendAndWait({ ...MAIL, to: 'no@example.com' })).status).toBe('failed')
    const receipts = await mailer.sendMany(Array.from({ length: 5 }, () => MAIL))
    const ids = receipts.map((receipt) => (receipt as { id: string }).id)
    const count = async (status: string): Promise<number> =>
      (await Promise.all(ids.map((id) => mailer.find(id)))).filter((message) => message?.status === status)
        .length
    await expect.poll(() => count('held')).toBe(3)
    const held = (await mailer.list({ status: 'held' })).messages
    expect(held.map(({ heldReason }) => heldReason)).toEqual(['budget', 'budget', 'budget'])
    expect(held.every(({ nextAttemptAt = '' }) => Date.parse(nextAttemptAt) % HOUR === 0)).toBe(true)
    const { explain } = await import('threadpost')
    expect(explain(held[0]!)).toContain('quota of the transport "default"')
    expect((await mailer.stats()).transports[0]?.quota?.hour).toEqual({ limit: 2, used: 2 })
    await advance(mailer, HOUR)
    expect([await count('sent'), await count('held')]).toEqual([4, 1])
    await advance(mailer, HOUR)
    expect(await count('sent')).toBe(5)
  })

  it.each([
    [{ quota: {} }, /quota: needs perHour or perDay/],
    [{ quota: { perHour: 0 } }, /quota\.perHour/],
    [{ warmUp: { from: 50, to: 20, days: 30 } }, /warmUp\.to/],
    [{ warmUp: { from: 50, to: 200 } }, /warmUp\.days/],
  ])('is refused if it makes no sense: %j', async (limits, message) => {
    const transport = { url: 'smtp://127.0.0.1:9', ...limits } as never
    await expect(testMailer({ transport })).rejects.toMatchObject({
      code: 'INVALID_OPTIONS',
      message: expect.stringMatching(message) as string,
    })
  })
})

describeOnEveryQueue('a quota per day', (newQueue, durable) => {
  it('holds what exceeds it, also after a restart if the queue is durable', async () => {
    const inbox = await startInbox()
    onTestFinished(() => inbox.close())
    const queue = await newQueue()
    const open = () => testMailer({ transport: { url: inbox.url, quota: { perDay: 2 } }, queue })
    const first = await open()
    await first.sendMany(Array.from({ length: 4 }, () => MAIL))
    await expect.poll(() => first.stats(), { timeout: 20_000 }).toMatchObject({ sent: 2, held: 2 })
    if (!durable) return
    await first.close()
    const second = await open()
    const { id } = await second.send({ ...MAIL, priority: 9 })
    await expect.poll(async () => (await second.find(id))?.status, { timeout: 20_000 }).toBe('held')
    expect(inbox.count).toBe(2)
  })
})
