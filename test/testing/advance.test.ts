import { advance, startInbox } from 'threadpost/testing'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { folderOf } from '../support/folder.js'
import { mailerWithInbox, testMailer } from '../support/mailer.js'

const plain = { to: 'ada@example.com', subject: 'Hello', text: 'Hi' }
const HOUR = 3_600_000
const DAY = 24 * HOUR
const DEFAULT = { attempts: 10, baseDelay: 5_000, factor: 4, maxDelay: 6 * HOUR, jitter: 'none' } as const

describe('advance()', () => {
  it('runs retries one at a time', async () => {
    const { mailer, inbox } = await mailerWithInbox(
      { retry: DEFAULT },
      { faults: [{ at: 'rcpt', do: 'defer', times: 3 }] },
    )
    const { id } = await mailer.send(plain)
    for (const [ms, attempts] of [
      [0, 1],
      [1_000, 1],
      [4_000, 2],
      [20_000, 3],
    ] as const) {
      await advance(mailer, ms)
      expect(await mailer.find(id)).toMatchObject({ status: 'deferred', attempts: { length: attempts } })
    }
    expect(inbox.count).toBe(0)
    await advance(mailer, 80_000)
    const message = await mailer.wait(id)
    expect(message.status).toBe('sent')
    const starts = message.attempts.map(({ start }) => Date.parse(start))
    // The time of the attempts themselves adds to it.
    for (const [index, wait] of [5_000, 20_000, 80_000].entries())
      expect(starts[index + 1]! - starts[index]!).toBeGreaterThanOrEqual(wait)
  })

  it('runs several retries in one call, regardless of the length of the attempts', async () => {
    const { mailer } = await mailerWithInbox(
      { retry: DEFAULT },
      {
        faults: [
          { at: 'rcpt', do: 'defer', times: 3 },
          { at: 'mail', do: 'delay', ms: 20 },
        ],
      },
    )
    const { id } = await mailer.send(plain)
    await advance(mailer, 5_000 + 20_000 + 80_000)
    expect(await mailer.find(id)).toMatchObject({ status: 'sent', attempts: { length: 4 } })
  })

  it('runs all attempts up to the last in one call', async () => {
    const { mailer } = await mailerWithInbox({ retry: DEFAULT }, { faults: [{ at: 'rcpt', do: 'defer' }] })
    const { id } = await mailer.send(plain)
    await advance(mailer, 2 * DAY)
    expect(await mailer.find(id)).toMatchObject({ status: 'failed', attempts: { length: 10 } })
  })

  it('applies to delays, send times, expiry, and the retention of idempotency keys', async () => {
    const { mailer, inbox } = await mailerWithInbox()
    const later = await mailer.send({ ...plain, subject: 'later', delay: HOUR })
    const atNoon = await mailer.send({ ...plain, subject: 'noon', sendAt: new Date(Date.now() + 2 * HOUR) })
    const key = { ...plain, subject: 'key', idempotencyKey: 'k' }
    const { id } = await mailer.send(key)
    await mailer.pause()
    const late = await mailer.send({ ...plain, subject: 'late', expiresAt: Date.now() + HOUR })
    await advance(mailer, HOUR + 1_000)
    expect((await mailer.find(late.id))?.status).toBe('expired')
    await mailer.resume()
    await advance(mailer, 0)
    expect((await mailer.find(later.id))?.status).toBe('sent')
    expect((await mailer.find(atNoon.id))?.status).toBe('queued')
    await advance(mailer, HOUR)
    expect((await mailer.find(atNoon.id))?.status).toBe('sent')
    expect((await mailer.send(key)).id).toBe(id)
    await advance(mailer, 8 * DAY)
    expect((await mailer.send(key)).id).not.toBe(id)
    await advance(mailer, 0)
    expect(inbox.count).toBe(4)
  })

  it('delivers held mail once the server is back', async () => {
    const inbox = await startInbox()
    await inbox.close()
    const mailer = await testMailer({ transport: inbox.url, maxAge: 2 * HOUR })
    const { id } = await mailer.send(plain)
    await advance(mailer, HOUR)
    expect(await mailer.find(id)).toMatchObject({ status: 'held', heldReason: 'breaker' })
    const back = await startInbox({ port: inbox.port })
    try {
      await advance(mailer, 2 * 60_000)
      expect((await mailer.find(id))?.status).toBe('sent')
    } finally {
      await back.close()
    }
  })

  it('moves time in whole milliseconds, so that times and ids stay valid', async () => {
    const mailer = await testMailer({ transport: 'inbox:' })
    const { id } = await mailer.send({ ...plain, delay: 1_000.25 })
    await advance(mailer, 2_000.5)
    expect((await mailer.find(id))?.status).toBe('sent')
    expect((await mailer.send(plain)).id).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
  })

  it('refuses a queue that other processes share, and a negative time', async () => {
    const folder = await folderOf({})
    const mailer = await testMailer({ transport: 'inbox:', queue: `sqlite:${folder}/outbox.db` })
    await expect(advance(mailer, 1)).rejects.toMatchObject({ code: 'UNSUPPORTED', path: 'queue' })
    await expect(advance(mailer, -1)).rejects.toMatchObject({ code: 'INVALID_OPTIONS', path: 'ms' })
  })
})

describe("Vitest's fake timers", () => {
  afterEach(() => void vi.useRealTimers())

  it('advance the memory queue', async () => {
    const { mailer } = await mailerWithInbox(
      { retry: DEFAULT },
      { faults: [{ at: 'rcpt', do: 'defer', times: 2 }] },
    )
    vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'] })
    const { id } = await mailer.send(plain)
    for (const delay of [5_000, 20_000]) {
      await new Promise((resolve) => mailer.once('deferred', resolve))
      // The queue continues after its listeners.
      await new Promise((resolve) => setImmediate(resolve))
      await vi.advanceTimersByTimeAsync(delay)
    }
    const message = await mailer.wait(id)
    expect(message).toMatchObject({ status: 'sent', attempts: { length: 3 } })
    expect(Date.parse(message.settledAt!) - Date.parse(message.acceptedAt)).toBeGreaterThanOrEqual(25_000)
  })
})
