import { describe, expect, test } from 'vitest'
import { type Condition, headlineOf } from '../../src/dashboard/app/headline.js'
import { RecentOutcomes } from '../../src/dashboard/recentOutcomes.js'
import type { MailerOptions, TransportStatus } from '../../src/index.js'
import { mailerWithInbox } from '../support/mailer.js'

const working: TransportStatus = { transport: 'main', breaker: 'closed' }
const broken: TransportStatus = { transport: 'other', breaker: 'open' }
const SUCCESS = ['All mail sent', 'Mail is going out']

type Change = Partial<Condition['stats']> & Partial<Condition['recent']>

/** @param change `sent` and `failed` are recent messages, which the queue also keeps */
function conditionOf({ sent = 0, failed = 0, ...stats }: Change): Condition {
  return {
    stats: {
      accepted: 100,
      queued: 0,
      sending: 0,
      deferred: 0,
      held: 0,
      sent,
      partial: 0,
      failed,
      expired: 0,
      oldest: 0,
      paused: false,
      settled: [],
      transports: [working],
      ...stats,
    },
    recent: { sent, failed },
  }
}

describe('the headline', () => {
  test.each<[title: string, change: Change]>([
    ['No mail yet', { accepted: 0 }],
    ['All mail sent', { sent: 40 }],
    ['Mail is going out', { queued: 3, oldest: 5, sent: 40 }],
    ['Mail is going out', { sending: 1 }],
    ['Mail is scheduled', { queued: 3 }],
    ['Mail is scheduled', { queued: 3, sent: 40 }],
    ['Mail is waiting', { queued: 3, oldest: 60_000 }],
    ['Mail is waiting', { queued: 3, sending: 1, oldest: 60_000 }],
    ['Mail is going out', { queued: 3, oldest: 60_000, sent: 1 }],
    ['Some mail is held', { held: 1, sent: 40 }],
    ['Some mail is held', { held: 1, queued: 3, oldest: 5, sent: 40 }],
    ['Some mail is deferred', { deferred: 1, held: 1, sent: 40 }],
    ['Mail is being deferred', { deferred: 1, queued: 3, oldest: 5 }],
    ['Some mail is failing', { failed: 1, sent: 39 }],
    ['Some mail is failing', { failed: 1, sent: 39, queued: 3, oldest: 5 }],
    ['A transport is down', { transports: [working, broken], sent: 40 }],
    ['A transport is down', { transports: [working, broken], failed: 1, sent: 39 }],
    ['Sending is paused', { paused: true, sent: 40 }],
    ['Sending is paused', { paused: true, transports: [working, broken], sent: 40 }],
    ['Mail is failing', { failed: 40 }],
    ['Mail is failing', { failed: 40, paused: true }],
    ['Mail is failing', { failed: 40, queued: 3, sending: 1, oldest: 5 }],
    ['Mail is not going out', { transports: [broken], held: 3 }],
    ['Mail is not going out', { transports: [broken], failed: 40, paused: true }],
  ])('is “%s” with %o', (title, change) => {
    expect(headlineOf(conditionOf(change)).title).toBe(title)
  })

  test('is “Idle” and counts earlier failures when nothing was sent recently', () => {
    const before = conditionOf({ sent: 10 })
    before.stats.failed = 40
    expect(headlineOf(before)).toMatchObject({
      title: 'Idle',
      detail: expect.stringContaining('40 failed.'),
    })
    const dropped = conditionOf({ sent: 10 })
    dropped.stats.settled = [{ status: 'expired', reason: 'TIMEOUT', count: 2 }]
    expect(headlineOf(dropped).title).toBe('Idle')
    expect(headlineOf(conditionOf({})).title).toBe('Idle')
  })

  test('never reports success while anything is wrong, in any combination', () => {
    const either = [0, 1]
    for (const failed of either)
      for (const deferred of either)
        for (const held of either)
          for (const queued of either)
            for (const sending of either)
              for (const sent of either)
                for (const paused of [false, true])
                  for (const transports of [[working], [broken], [working, broken]]) {
                    const change = {
                      failed,
                      deferred,
                      held,
                      queued,
                      sending,
                      sent,
                      paused,
                      transports,
                      oldest: queued,
                    }
                    const { title, tone } = headlineOf(conditionOf(change))
                    const trouble = failed + deferred + held > 0 || paused || transports.includes(broken)
                    if (trouble) expect(SUCCESS, JSON.stringify(change)).not.toContain(title)
                    if (trouble) expect(['bad', 'warn']).toContain(tone)
                  }
  })
})

describe('the headline of a real mailer', () => {
  const start = async (options: Partial<MailerOptions> = {}) => {
    const { mailer, inbox } = await mailerWithInbox({ threads: 0, ...options })
    const headline = async () => {
      const stats = await mailer.stats()
      return headlineOf({ stats, recent: await new RecentOutcomes(mailer).recent(stats) })
    }
    const send = (fields: object = {}) =>
      mailer.send({ to: 'ada@example.com', subject: 'Hi', text: 'x', ...fields })
    const titled = (title: string) => expect.poll(async () => (await headline()).title).toBe(title)
    return { mailer, inbox, send, titled, headline }
  }

  test('reports that all mail was sent', async () => {
    const { mailer, send, titled } = await start()
    await titled('No mail yet')
    await mailer.wait((await send()).id)
    await titled('All mail sent')
  })

  test('reports failing mail when 40 of 40 messages failed', async () => {
    const { mailer, inbox, send, titled, headline } = await start()
    inbox.faults.set([{ at: 'rcpt', do: 'refuse' }])
    const receipts = await Promise.all(Array.from({ length: 40 }, () => send()))
    await Promise.all(receipts.map(({ id }) => mailer.wait(id)))
    await titled('Mail is failing')
    expect((await headline()).detail).toContain('40 failed')
    inbox.faults.clear()
    await mailer.wait((await send()).id)
    await titled('Some mail is failing')
  })

  test('is “Idle” after a failure that the queue does not keep', async () => {
    const { mailer, inbox, send, titled } = await start({ retain: { count: 0 } })
    inbox.faults.set([{ at: 'rcpt', do: 'refuse' }])
    const failed = new Promise((resolve) => mailer.once('failed', resolve))
    await send()
    await failed
    await titled('Idle')
  })

  test('reports deferred mail while attempts fail', async () => {
    const { inbox, mailer, send, titled } = await start({ retry: { baseDelay: 600_000, jitter: 'none' } })
    inbox.faults.set([{ at: 'rcpt', do: 'defer' }])
    const deferred = new Promise((resolve) => mailer.once('deferred', resolve))
    await send()
    await deferred
    await titled('Mail is being deferred')
    inbox.faults.clear()
    await mailer.wait((await send()).id)
    await titled('Some mail is deferred')
  })

  test('reports scheduled, paused, and held mail', async () => {
    const { mailer, inbox, send, titled } = await start({ onUncertain: 'hold' })
    await send({ delay: 3_600_000 })
    await titled('Mail is scheduled')
    await mailer.pause()
    await titled('Sending is paused')
    await mailer.resume()
    await titled('Mail is scheduled')
    inbox.faults.set([{ at: 'dot', do: 'close-after', times: 1 }])
    await send()
    await titled('Some mail is held')
  })

  test('reports that mail is not going out while its transport can’t be reached', async () => {
    const { inbox, send, titled } = await start({ breaker: { probeDelay: 600_000, maxProbeDelay: 600_000 } })
    await inbox.close()
    await send()
    await titled('Mail is not going out')
  })
})
