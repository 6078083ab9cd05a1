import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Condition, headlineOf } from '../../src/dashboard/app/headline.js'
import type {
  Alert,
  AttemptCount,
  MailerOptions,
  PeriodFigures,
  ProcessActivity,
  QueueStats,
  SettledCount,
  TransportStatus,
} from '../../src/index.js'
import { folderOf } from '../support/folder.js'
import { mailerWithInbox, testSender } from '../support/mailer.js'

const working: TransportStatus = { transport: 'main', breaker: 'closed' }
const broken: TransportStatus = { transport: 'other', breaker: 'open' }
const SUCCESS = ['All mail sent', 'Mail is going out']

interface Change extends Partial<QueueStats> {
  transports?: TransportStatus[]
  alert?: Alert['rule']
  /** Attempts of the last minutes that were deferred. */
  refused?: number
  role?: ProcessActivity['role']
  gone?: boolean
  setup?: boolean
}

/** @param change `sent` and `failed` are recent messages, which the queue also keeps */
function conditionOf({
  sent = 0,
  failed = 0,
  transports = [working],
  alert,
  refused = 0,
  role = 'both',
  gone = false,
  setup = false,
  ...queue
}: Change): Condition {
  const settled: SettledCount[] = [
    { status: 'sent', reason: 'OK', count: sent },
    { status: 'failed', reason: 'SMTP_REJECTED', count: failed },
  ]
  const latency = { bounds: [1], counts: [0, 0], sum: 0, count: 0 }
  const attempts: AttemptCount[] = [{ result: 'deferred', code: 'SMTP_DEFERRED', count: refused }]
  const reported = { delivered: 0, delayed: 0, bounced: 0, complained: 0, unsubscribed: 0 }
  const counts = { accepted: 0, sentRecipients: sent, reported }
  const figures: PeriodFigures = { since: '2026-01-01', ...counts, settled, attempts, latency }
  const now = new Date().toISOString()
  return {
    queue: {
      accepted: 100,
      queued: 0,
      sending: 0,
      deferred: 0,
      held: 0,
      sent,
      partial: 0,
      failed,
      expired: 0,
      cancelled: 0,
      oldest: 0,
      paused: false,
      ...queue,
    },
    processes: [
      {
        id: 'a',
        host: 'web-1',
        pid: 1,
        version: '1.0.0',
        node: 'v24',
        role,
        startedAt: now,
        threads: [],
        phases: {
          waiting: 0,
          loading: 0,
          rendering: 0,
          composing: 0,
          connecting: 0,
          envelope: 0,
          body: 0,
          replied: 0,
        },
        transports,
        threadRestarts: 0,
        safeMode: false,
        alerts: [],
        silentFor: 0,
        gone,
        ...(setup ? { setup: { since: now, message: 'no memory', deaths: 3, retryAt: now } } : {}),
      },
    ],
    alerts:
      alert === undefined ? [] : [{ rule: alert, value: 2, limit: 1, message: 'A problem.', since: now }],
    recent: figures,
    day: figures,
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
    [
      'A transport is paused',
      { transports: [working, { ...working, transport: 'b', paused: true }], sent: 40 },
    ],
    ['An alert is raised', { alert: 'bounces', queued: 3, oldest: 5, sent: 40 }],
    ['Sending is paused', { paused: true, sent: 40 }],
    ['Sending is paused', { paused: true, transports: [working, broken], sent: 40 }],
    ['Mail is failing', { failed: 40 }],
    ['Mail is failing', { failed: 40, paused: true }],
    ['Mail is failing', { failed: 40, queued: 3, sending: 1, oldest: 5 }],
    ['Mail is not going out', { transports: [broken], held: 3 }],
    ['Mail is not going out', { transports: [broken], failed: 40, paused: true }],
    ['Mail is not going out', { setup: true, sent: 40 }],
    ['Mail is being deferred', { refused: 3, sending: 1 }],
    ['Some mail is deferred', { refused: 3, sending: 1, sent: 40 }],
    ['No worker is running', { role: 'send', queued: 3, oldest: 5 }],
    ['No worker is running', { gone: true, transports: [broken], sending: 1, sent: 40 }],
    ['Mail is failing', { alert: 'failures', sent: 40 }],
    ['Worker threads are dying', { alert: 'threads', sent: 40 }],
    ['Worker threads are dying', { alert: 'setup', sent: 40 }],
    ['The queue is nearly full', { alert: 'queue', queued: 3, oldest: 5, sent: 40 }],
    ['A transport is down', { alert: 'breaker', sent: 40 }],
    ['Mail is waiting', { alert: 'oldest', queued: 3, sent: 40 }],
  ])('is “%s” with %o', (title, change) => {
    expect(headlineOf(conditionOf(change)).title).toBe(title)
  })

  test('is “Idle” and counts earlier failures when nothing was sent recently', () => {
    const before = conditionOf({})
    before.day = conditionOf({ sent: 10, failed: 40 }).day
    expect(headlineOf(before)).toMatchObject({
      title: 'Idle',
      detail: expect.stringContaining('40 failed in the last 24 hours.'),
    })
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
    const headline = async () => headlineOf(await mailer.monitoring.activity())
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

  test('reports a failure that the queue does not keep', async () => {
    const { mailer, inbox, send, titled } = await start({ retain: { count: 0 } })
    inbox.faults.set([{ at: 'rcpt', do: 'refuse' }])
    const failed = new Promise((resolve) => mailer.once('failed', resolve))
    await send()
    await failed
    await titled('Mail is failing')
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

  test('reports that no worker is running when a process only accepts mail', async () => {
    const folder = await folderOf({})
    const sender = await testSender({ queue: `sqlite:${path.join(folder, 'outbox.db')}` })
    await sender.send({ to: 'ada@example.com', subject: 'Hi', text: 'x' })
    const { title } = headlineOf(await sender.monitoring.activity())
    expect(title).toBe('No worker is running')
  })

  test('reports that attempts are failing while a message is tried again and again', async () => {
    const { inbox, send, titled } = await start({ retry: { attempts: 1_000, baseDelay: 1, jitter: 'none' } })
    inbox.faults.set([{ at: 'rcpt', do: 'defer' }])
    await send()
    await titled('Mail is being deferred')
  })

  test('reports an alert that is raised', async () => {
    const { send, titled, mailer } = await start({ alerts: { oldest: { age: 1 }, interval: 10 } })
    await mailer.pause()
    await send()
    await mailer.resume()
    await titled('All mail sent')
    await mailer.pause()
    await send()
    // A pause that an operator made comes before the alert that it causes.
    await titled('Sending is paused')
    await expect
      .poll(async () => (await mailer.monitoring.activity()).alerts.map(({ rule }) => rule))
      .toEqual(['oldest'])
  })
})
