import { describe, expect, it, onTestFinished } from 'vitest'
import { Clock } from '../../../src/clock.js'
import { SILENT } from '../../../src/logging/logger.js'
import type { Mail, Receipt } from '../../../src/message/mail.js'
import type { QueueDriver } from '../../../src/queue/driver.js'
import { Scheduler } from '../../../src/schedules/scheduler.js'
import type { Fixture } from './fixture.js'

const HOUR = 3_600_000
const mail: Mail = { to: 'ada@example.com', subject: 'Report', text: 'x' }

/** Processes that watch the schedules of one queue, and the mail that they hand over, by its idempotency key. */
class Watchers {
  readonly clock = new Clock()
  readonly sent = new Map<string, string>()
  handedOver = 0
  readonly #queue: QueueDriver

  constructor(queue: QueueDriver) {
    this.#queue = queue
  }

  /** A process is only what reads and writes the queue's records here. */
  start(): Scheduler {
    const take = (given: Mail, _context: object, key = ''): Promise<Receipt> => {
      this.handedOver++
      this.sent.set(key, JSON.stringify(given.metadata?.['scheduledFor']))
      return Promise.resolve({
        id: `id-of-${key}`,
        messageId: '<a@b.example>',
        status: 'queued',
        durable: true,
        duplicate: false,
      })
    }
    const acceptance = { take, prepare: () => undefined } as never
    const scheduler = new Scheduler({
      queue: this.#queue,
      clock: this.clock,
      logger: SILENT,
      accepts: true,
      acceptance,
    })
    onTestFinished(() => scheduler.close())
    return scheduler
  }

  readonly move = (ms: number): Promise<void> => {
    this.clock.advance(ms)
    return Promise.resolve()
  }

  /** The times for which mail was sent, in their order. */
  get times(): string[] {
    return [...this.sent.values()].map((time) => JSON.parse(time) as string).sort()
  }
}

export function testSchedules({ open }: Fixture): void {
  describe('schedules', () => {
    it('come due once for each time, however many processes watch them', async () => {
      const watchers = new Watchers((await open()).queue)
      const [first, second] = [watchers.start(), watchers.start()]
      await first.add('hourly', { cron: '0 * * * *', mail })
      await Promise.all([first.advance(0, watchers.move), second.advance(0, watchers.move)])
      for (let hour = 0; hour < 3; hour++) {
        await first.advance(HOUR, watchers.move)
        await second.advance(0, watchers.move)
      }
      expect(watchers.times).toHaveLength(3)
      const [listed] = await second.list()
      expect(listed).toMatchObject({ name: 'hourly', lastAt: watchers.times[2] })
      expect(await second.remove('hourly')).toBe(true)
      await first.advance(2 * HOUR, watchers.move)
      expect(watchers.times).toHaveLength(3)
    })

    it.each([
      ['one', 1],
      ['none', 0],
    ] as const)('that were missed are caught up on by %s with %i mail', async (catchUp, count) => {
      const watchers = new Watchers((await open()).queue)
      const before = watchers.start()
      await before.add('hourly', { cron: '0 * * * *', mail, catchUp })
      await before.close()
      // No process runs for five times, and half an hour.
      watchers.clock.advance(5 * HOUR + HOUR / 2 + (HOUR - (watchers.clock.now() % HOUR)))
      const after = watchers.start()
      await after.advance(0, watchers.move)
      expect(watchers.times).toHaveLength(count)
      await after.advance(HOUR, watchers.move)
      expect(watchers.times).toHaveLength(count + 1)
      expect(watchers.handedOver).toBe(count + 1)
    })

    it('keep their local time when the clocks change', async () => {
      const watchers = new Watchers((await open()).queue)
      const year = new Date().getUTCFullYear() + 1
      // The clocks of Berlin change on the last Sunday of March, at 1:00 UTC.
      const change = new Date(Date.UTC(year, 2, 31))
      change.setUTCDate(31 - change.getUTCDay())
      watchers.clock.advance(change.getTime() - 24 * HOUR - watchers.clock.now())
      const scheduler = watchers.start()
      await scheduler.add('morning', { cron: '30 8 * * *', timeZone: 'Europe/Berlin', mail })
      await scheduler.advance(72 * HOUR, watchers.move)
      expect(watchers.times.map((time) => time.slice(11, 16))).toEqual(['07:30', '06:30', '06:30'])
    })
  })
}
