import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Webhook } from 'standardwebhooks'
import type { Alert, AlertOptions } from 'threadpost'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { QueueStats } from '../../src/queue/driver.js'
import { AlertEvaluator } from '../../src/telemetry/alertEvaluator.js'
import { AlertMonitor } from '../../src/telemetry/alertMonitor.js'
import { type AlertReading, resolveAlerts } from '../../src/telemetry/alerts.js'
import { Metrics } from '../../src/telemetry/metrics.js'
import { Validator } from '../../src/validation.js'
import { testMailer } from '../support/mailer.js'
import { freePort } from '../support/ports.js'
import { ScriptedServer } from '../support/scriptedServer.js'

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
const mail = { to: 'ada@example.com', subject: 'Hi', text: 'Hello' }
const QUIET: AlertReading = {
  at: 0,
  settled: 0,
  failed: 0,
  threadDeaths: 0,
  oldest: 0,
  waiting: 0,
  capacity: 100,
  open: [],
}

/** Returns the alarms that the rules raise or end at one reading after the other. */
function told(options: AlertOptions, readings: Partial<AlertReading>[]): string[][] {
  const plan = resolveAlerts(new Validator('INVALID_OPTIONS'), options)
  if (plan === undefined) throw new Error('no plan')
  const alarms = new AlertEvaluator(plan)
  return readings.map((reading, index) => {
    const { raised, cleared } = alarms.evaluate({ ...QUIET, at: index * 1_000, ...reading })
    const name = ({ rule, transport = '' }: Alert) => `${rule}${transport}`
    return [...raised.map((alert) => `+${name(alert)}`), ...cleared.map((alert) => `-${name(alert)}`)]
  })
}

describe('alerts', () => {
  it('are raised once and cleared once, at different values', () => {
    const waits = (oldest: number) => ({ oldest })
    expect(
      told({ oldest: { age: 100 } }, [
        waits(99),
        waits(100),
        waits(300),
        waits(90),
        waits(110),
        waits(80),
        waits(99),
      ]),
    ).toEqual([[], ['+oldest'], [], [], [], ['-oldest'], []])
    expect(
      told({ queue: { share: 0.5 } }, [{ waiting: 49 }, { waiting: 50 }, { waiting: 45 }, { waiting: 39 }]),
    ).toEqual([[], ['+queue'], [], ['-queue']])
  })

  it('count failures within a window, and only above a minimum number of messages', () => {
    const options = { failures: { share: 0.5, window: 2_000, least: 10 } }
    const counts = (settled: number, failed: number) => ({ settled, failed })
    expect(
      told(options, [
        counts(0, 0),
        counts(9, 9),
        counts(20, 20),
        counts(22, 22),
        counts(24, 24),
        counts(44, 24),
        counts(64, 24),
      ]),
    ).toEqual([[], [], ['+failures'], [], [], ['-failures'], []])
  })

  it('count bounces and complaints of a transport against what it sent', () => {
    const share = (transport: string, sent: number, bounced: number, complained = 0) => ({
      transport,
      ...{ sent, bounced, complained },
    })
    expect(
      told({}, [
        { reported: [share('a', 0, 0), share('b', 99, 99)] },
        { reported: [share('a', 100, 5), share('b', 200, 1)] },
        { reported: [share('a', 1_000, 50, 3), share('b', 999, 0, 9)] },
        { reported: [share('a', 2_000, 50, 3)] },
      ]),
    ).toEqual([[], ['+bouncesa'], ['+complaintsa'], ['-bouncesa', '-complaintsa']])
    expect(
      told({ bounces: false, complaints: false }, [{ reported: [share('a', 9_000, 9_000, 9_000)] }]),
    ).toEqual([[]])
  })

  it('are raised per transport, and for threads that die repeatedly', () => {
    const open = (...transports: string[]) => ({
      open: transports.map((transport) => ({ transport, since: 0 })),
    })
    expect(told({}, [open('a'), open('a', 'b'), open('b'), open()])).toEqual([
      ['+breakera'],
      ['+breakerb'],
      ['-breakera'],
      ['-breakerb'],
    ])
    const deaths = (threadDeaths: number) => ({ threadDeaths })
    expect(
      told({ threads: { deaths: 2, window: 1_500 } }, [
        deaths(0),
        deaths(1),
        deaths(2),
        deaths(2),
        deaths(2),
        deaths(2),
      ]),
    ).toEqual([[], [], ['+threads'], ['-threads'], [], []])
    expect(told({ breaker: false }, [open('a')])).toEqual([[]])
    const held = { setup: { since: 0, reason: 'no price list' } }
    expect(told({}, [{}, held, held, {}])).toEqual([[], ['+setup'], [], ['-setup']])
    expect(told({ setup: { heldFor: 2_000 } }, [held, held, held])).toEqual([[], [], ['+setup']])
    expect(told({ setup: false }, [held])).toEqual([[]])
    const unarchived = { archive: { since: 0, failed: 1 } }
    expect(told({}, [{}, unarchived, unarchived, {}])).toEqual([[], ['+archive'], [], ['-archive']])
    expect(told({ archive: { failingFor: 1_000 } }, [unarchived, unarchived])).toEqual([[], ['+archive']])
    expect(told({ archive: false }, [unarchived])).toEqual([[]])
  })

  it('are emitted, logged, and posted to a signed webhook with retries, without personal data', async () => {
    const bodies: unknown[] = []
    let answer = 500
    const ids: (string | undefined)[] = []
    const webhook = createServer((request, response) => {
      let body = ''
      request.on('data', (chunk) => (body += String(chunk)))
      request.on('end', () => {
        ids.push(request.headers['webhook-id'] as string)
        // Throws where the signature is not right.
        const payload = new Webhook(SECRET).verify(body, request.headers as Record<string, string>)
        if (answer === 200) bodies.push(payload)
        response.writeHead(answer).end()
        answer = 200
      })
    })
    await new Promise<void>((resolve) => webhook.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => {
      webhook.closeAllConnections()
      return new Promise<void>((resolve) => webhook.close(() => resolve()))
    })
    const lines: string[] = []
    const log = (fields: object, message: string) => lines.push(JSON.stringify([fields, message]))
    const port = await freePort()
    const mailer = await testMailer({
      transport: `smtp://ada:canary@127.0.0.1:${port}`,
      breaker: { probeDelay: 30, maxProbeDelay: 60 },
      alerts: {
        interval: 20,
        webhook: {
          url: `http://127.0.0.1:${(webhook.address() as AddressInfo).port}/hook?token=canary`,
          secret: SECRET,
        },
      },
      logger: { debug: log, info: log, warn: log, error: log },
    })
    const raised = new Promise<Alert>((resolve) => mailer.once('alert', resolve))
    const cleared = new Promise((resolve) => mailer.once('alert-cleared', resolve))
    const { id } = await mailer.send(mail)
    expect(await raised).toMatchObject({ rule: 'breaker', transport: 'default', limit: 0 })
    await ScriptedServer.start({ extensions: ['AUTH PLAIN'] }, port)
    await mailer.wait(id)
    expect(await cleared).toMatchObject({ rule: 'breaker', raisedFor: expect.any(Number) })
    await expect.poll(() => bodies).toHaveLength(2)
    expect(bodies).toMatchObject([
      {
        type: 'threadpost.alert',
        timestamp: expect.any(String),
        data: { rule: 'breaker', transport: 'default' },
      },
      { type: 'threadpost.alert-cleared', data: { rule: 'breaker' } },
    ])
    expect(ids[0]).toBe(ids[1])
    expect(ids[2]).not.toBe(ids[1])
    expect(JSON.stringify(bodies)).not.toMatch(/canary|example\.com|Hello/)
    expect(lines.filter((line) => line.includes('lert')).join()).not.toMatch(/canary|example\.com|whsec/)
    expect(lines.filter((line) => line.includes('Alert: '))).toHaveLength(1)
  })

  it('are not reported if their evaluation was in progress when the mailer closed', async () => {
    let answer: (stats: QueueStats) => void = () => undefined
    const queue = { stats: () => new Promise<QueueStats>((resolve) => (answer = resolve)) }
    const told: unknown[] = []
    const tell = (alert: unknown) => void told.push(alert)
    const monitor = new AlertMonitor(
      { interval: 1_000, oldest: { age: 1 } },
      {
        queue,
        metrics: new Metrics(),
        transports: () => [],
        setup: () => undefined,
        reported: () => Promise.resolve([]),
        capacity: 10,
      },
      { raised: tell, cleared: tell },
      { debug: tell, info: tell, warn: tell, error: tell },
    )
    await monitor.close()
    answer({ queued: 1, sending: 0, deferred: 0, held: 0, oldest: 5_000 } as QueueStats)
    await new Promise((resolve) => setImmediate(resolve))
    expect(told).toEqual([])
  })

  it('do not keep a mailer from closing, even if the webhook never answers', async () => {
    const silent = createServer(() => undefined)
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => {
      silent.closeAllConnections()
      return new Promise<void>((resolve) => silent.close(() => resolve()))
    })
    const asked = new Promise((resolve) => silent.once('request', resolve))
    const mailer = await testMailer({
      transport: `smtp://127.0.0.1:${await freePort()}`,
      alerts: {
        interval: 20,
        webhook: { url: `http://127.0.0.1:${(silent.address() as AddressInfo).port}`, secret: SECRET },
      },
    })
    // The time that the webhook has to answer never passes.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    await mailer.send(mail)
    await asked
    vi.useRealTimers()
    await mailer.close({ deadline: 0 })
  })

  it.each([
    [{ webhook: { url: 'http://alerts.example', secret: SECRET } }, 'alerts.webhook.url'],
    [{ webhook: { url: 'https://alerts.example', secret: 'short' } }, 'alerts.webhook.secret'],
    [{ failures: { share: 2 } }, 'alerts.failures.share'],
    [{ failures: { window: Infinity } }, 'alerts.failures.window'],
    [{ threads: { deaths: 0 } }, 'alerts.threads.deaths'],
    [{ queue: true }, 'alerts.queue'],
    [{ oldest: { hours: 1 } }, 'alerts.oldest.hours'],
    ['yes', 'alerts'],
  ])('make sense or are refused: %j', async (alerts, path) => {
    const refused = testMailer({ transport: 'inbox:', alerts: alerts as never })
    await expect(refused).rejects.toMatchObject({ code: 'INVALID_OPTIONS', path })
  })
})
