import { describe, expect, test } from 'vitest'
import { type Condition, headlineOf } from '../../src/dashboard/app/headline.js'
import type {
  Alert,
  AttemptCount,
  PeriodFigures,
  ProcessActivity,
  QueueStats,
  SettledCount,
  TransportStatus,
} from '../../src/index.js'

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
    ['No worker is running', { role: 'send', deferred: 1, sent: 40 }],
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
