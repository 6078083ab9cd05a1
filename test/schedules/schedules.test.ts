import path from 'node:path'
import type { Mailer, ScheduleInput } from 'threadpost'
import { advance } from 'threadpost/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Clock } from '../../src/clock.js'
import { SILENT } from '../../src/logging/logger.js'
import { RecordStore } from '../../src/queue/memory/recordStore.js'
import { Recurrence } from '../../src/schedules/recurrence.js'
import { changeOf } from '../../src/schedules/schedule.js'
import { Scheduler } from '../../src/schedules/scheduler.js'
import { Validator } from '../../src/validation.js'
import { folderOf } from '../support/folder.js'
import { mailerWithInbox, testInbox, testMailer } from '../support/mailer.js'

const HOUR = 3_600_000
const mail = { to: 'ada@example.com', subject: 'Report', text: 'x' }
const hourly: ScheduleInput = { cron: '0 * * * *', mail }

async function keysOf(mailer: Mailer): Promise<unknown[]> {
  const { messages } = await mailer.list({ limit: 500 })
  return messages.map(({ metadata }) => metadata?.['scheduledFor'])
}

/** Returns the times of an expression in Berlin from one day to another. */
function times(cron: string, from: string, to: string): string[] {
  const recurrence = Recurrence.of(cron, 'Europe/Berlin', new Validator('INVALID_OPTIONS'))
  const found: string[] = []
  for (
    let at = recurrence.next(Date.parse(from));
    at !== undefined && at < Date.parse(to);
    at = recurrence.next(at)
  )
    found.push(new Date(at).toISOString())
  return found
}

describe('A schedule', () => {
  test('sends its mail at each of its times', async () => {
    const { mailer, inbox } = await mailerWithInbox()
    const made = await mailer.schedule('report', hourly)
    expect(made).toMatchObject({ name: 'report', cron: '0 * * * *', timeZone: 'UTC', catchUp: 'one', mail })
    await advance(mailer, 3 * HOUR)
    const keys = await keysOf(mailer)
    expect(keys).toHaveLength(3)
    expect(new Set(keys).size).toBe(3)
    expect(keys.every((key) => String(key).endsWith(':00:00.000Z'))).toBe(true)
    expect(inbox.stored()).toHaveLength(3)
    const [after] = await mailer.schedules()
    expect(after?.lastAt).toBe(keys[0])
    expect(await mailer.find(after?.lastId ?? '')).toMatchObject({ metadata: { scheduledFor: keys[0] } })
    expect(Date.parse(after?.nextAt ?? '') - Date.parse(after?.lastAt ?? '')).toBe(HOUR)
  })

  test('can be changed and removed', async () => {
    const { mailer } = await mailerWithInbox()
    await mailer.schedule('a', hourly)
    await mailer.schedule('b', { ...hourly, cron: '0 0 1 1 *', timeZone: 'America/New_York' })
    expect((await mailer.schedules()).map(({ name }) => name)).toEqual(['a', 'b'])
    await mailer.schedule('a', { ...hourly, mail: { ...mail, subject: 'Other' } })
    await advance(mailer, HOUR)
    expect((await mailer.list()).messages.map(({ subject }) => subject)).toEqual(['Other'])
    expect(await mailer.unschedule('a')).toBe(true)
    expect(await mailer.unschedule('a')).toBe(false)
    await advance(mailer, 2 * HOUR)
    expect(await keysOf(mailer)).toHaveLength(1)
    expect((await mailer.schedules()).map(({ name }) => name)).toEqual(['b'])
  })

  test('sends one mail for each time from several processes, and survives a restart', async () => {
    const folder = await folderOf({})
    const inbox = await testInbox()
    const options = { transport: inbox.url, queue: `sqlite:${path.join(folder, 'outbox.db')}` }
    const first = await testMailer(options)
    await first.schedule('tick', { cron: '* * * * * *', mail })
    const others = await Promise.all([
      testMailer({ ...options, role: 'send' }),
      testMailer({ ...options, role: 'send' }),
    ])
    await expect.poll(() => inbox.stored().length, { timeout: 60_000 }).toBeGreaterThan(2)
    expect((await others[0].schedules()).map(({ name }) => name)).toEqual(['tick'])
    await first.close()
    const second = await testMailer(options)
    const before = inbox.stored().length
    await expect.poll(() => inbox.stored().length, { timeout: 60_000 }).toBeGreaterThan(before + 1)
    await second.unschedule('tick')
    const keys = await keysOf(second)
    expect(new Set(keys).size).toBe(keys.length)
  })

  test.each([
    ['one', 1],
    ['none', 0],
  ] as const)('handles missed times with catchUp %s by sending %i mail', async (catchUp, sent) => {
    const { mailer } = await mailerWithInbox()
    const clock = new Clock()
    const acceptance = { prepare: mailer.prepare.bind(mailer), take: mailer.send.bind(mailer) }
    const parts = { queue: { records: new RecordStore() }, clock, logger: SILENT, accepts: true, acceptance }
    const move = async (ms: number): Promise<void> => clock.advance(ms)
    const first = new Scheduler(parts)
    await first.add('report', { ...hourly, catchUp })
    await first.close()
    // No process runs for five times, and half an hour.
    clock.advance(5 * HOUR + HOUR / 2 + (HOUR - (clock.now() % HOUR)))
    const second = new Scheduler(parts)
    onTestFinished(() => second.close())
    await second.advance(0, move)
    expect(await keysOf(mailer)).toHaveLength(sent)
    await second.advance(HOUR, move)
    expect(await keysOf(mailer)).toHaveLength(sent + 1)
  })

  test('is stopped by no other that has ended or that this process cannot read', async () => {
    const { mailer } = await mailerWithInbox()
    const clock = new Clock()
    const records = new RecordStore()
    const acceptance = { prepare: mailer.prepare.bind(mailer), take: mailer.send.bind(mailer) }
    const parts = { queue: { records }, clock, logger: SILENT, accepts: true, acceptance }
    const stored = { name: 'a', handled: clock.now(), sent: 0 }
    const definition = { timeZone: 'UTC', catchUp: 'one', mail } as const
    await records.write([
      changeOf({ ...stored, definition: { ...definition, cron: '2020-01-01T00:00:00' } }),
      changeOf({
        ...stored,
        name: 'b',
        definition: { ...definition, cron: '0 * * * *', timeZone: 'Europe/Atlantis' },
      }),
    ])
    const scheduler = new Scheduler(parts)
    onTestFinished(() => scheduler.close())
    await scheduler.add('report', hourly)
    await scheduler.advance(HOUR, async (ms) => clock.advance(ms))
    expect(await keysOf(mailer)).toHaveLength(1)
    expect((await scheduler.list()).map(({ name, nextAt }) => [name, nextAt !== undefined])).toEqual([
      ['a', false],
      ['b', false],
      ['report', true],
    ])
  })

  test('sends once at a date, and is still listed after it', async () => {
    const { mailer } = await mailerWithInbox()
    const cron = new Date(Date.now() + HOUR).toISOString().slice(0, 19)
    await mailer.schedule('once', { cron, mail })
    await advance(mailer, 2 * HOUR)
    await advance(mailer, HOUR)
    expect(await keysOf(mailer)).toEqual([`${cron}.000Z`])
    const [once] = await mailer.schedules()
    expect(once?.lastAt).toBe(`${cron}.000Z`)
    expect(once).not.toHaveProperty('nextAt')
  })

  test('is not cancelled by a mail of a caller who knows its name and its time', async () => {
    const { mailer } = await mailerWithInbox()
    const { nextAt } = await mailer.schedule('report', hourly)
    const key = `schedule:report:${nextAt}`
    await mailer.send({ ...mail, subject: 'Decoy', idempotencyKey: key })
    await expect(mailer.send({ ...mail, idempotencyKey: `\u0001${key}` })).rejects.toMatchObject({
      path: 'idempotencyKey',
    })
    await advance(mailer, HOUR)
    const { messages } = await mailer.list()
    expect(messages.map(({ subject }) => subject).toSorted()).toEqual(['Decoy', 'Report'])
  })

  test('keeps its local time when the clocks change', () => {
    expect(times('30 8 * * *', '2026-03-28T00:00Z', '2026-03-31T00:00Z')).toEqual([
      '2026-03-28T07:30:00.000Z',
      '2026-03-29T06:30:00.000Z',
      '2026-03-30T06:30:00.000Z',
    ])
    // 02:30 doesn't exist on the 29th of March, and exists twice on the 25th of October.
    expect(times('30 2 * * *', '2026-03-28T12:00Z', '2026-03-30T12:00Z')).toHaveLength(2)
    expect(times('30 2 * * *', '2026-10-24T12:00Z', '2026-10-26T12:00Z')).toHaveLength(2)
  })

  test.each<[string, string, unknown]>([
    ['no cron expression', 'cron', { cron: 'often', mail }],
    ['a date that has passed', 'cron', { cron: '2020-01-01T00:00:00', mail }],
    ['a time that never comes', 'cron', { cron: '0 0 30 2 *', mail }],
    ['an unknown time zone', 'timeZone', { ...hourly, timeZone: 'Europe/Atlantis' }],
    ['another way to catch up', 'catchUp', { ...hourly, catchUp: 'all' }],
    ['no mail', 'mail', { cron: '0 8 * * 1' }],
    ['a mail without recipients', 'to', { ...hourly, mail: { subject: 'x', text: 'x' } }],
    [
      'bytes',
      'mail.attachments[0].content',
      { ...hourly, mail: { ...mail, attachments: [{ content: new Uint8Array(1) }] } },
    ],
    ['a prepared mail', 'mail', { ...hourly, mail: { prepared: 1, id: 'x', messageId: '<x@y>', mail } }],
    ['an idempotency key', 'mail.idempotencyKey', { ...hourly, mail: { ...mail, idempotencyKey: 'k' } }],
  ])('is refused with %s', async (_, field, input) => {
    const { mailer } = await mailerWithInbox({ threads: 0 })
    await expect(mailer.schedule('x', input as ScheduleInput)).rejects.toMatchObject({ path: field })
    await expect(mailer.schedule('a b', hourly)).rejects.toMatchObject({ path: 'name' })
    expect(await mailer.schedules()).toEqual([])
  })

  test.each([
    ['0 8 * *', /it has 4 fields instead of five, or six with the seconds first$/],
    ['0 99 * * *', /'0 8 \* \* 1': Invalid value for hour: 99$/],
  ])('says what is wrong with the cron expression %s', async (cron, message) => {
    const { mailer } = await mailerWithInbox({ threads: 0 })
    await expect(mailer.schedule('x', { cron, mail })).rejects.toThrow(message)
  })
})
