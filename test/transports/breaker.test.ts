import { describe, expect, it, vi } from 'vitest'
import type { Outcome } from '../../src/protocol/outcome.js'
import { Breaker, type BreakerListener } from '../../src/transports/breaker.js'
import { testMailer } from '../support/mailer.js'
import { freePort } from '../support/ports.js'
import { ScriptedServer } from '../support/scriptedServer.js'
import { stopClock } from '../support/stoppedClock.js'

const mail = { to: 'ada@example.com', subject: 'Hi', text: 'Hello' }

function outcome(
  code: Outcome['code'],
  phase: Outcome['phase'],
  result: Outcome['result'] = 'deferred',
): Outcome {
  return { result, code, phase, message: code, recipients: [], timings: {}, thread: 1 } as Outcome
}
const refused = outcome('CONNECTION_FAILED', 'connecting')
const sent = outcome('OK', 'replied', 'sent')

/** Milliseconds after which the breaker of these tests lets a probe pass, whatever its jitter. */
const LONGEST = 8

function breaker(options = { probeDelay: 1, maxProbeDelay: 4 }) {
  const told: string[] = []
  const listener: BreakerListener = {
    opened: (transport, { code }) => told.push(`${transport} ${code}`),
    closed: (transport) => told.push(`${transport} works`),
  }
  return { told, breaker: new Breaker('main', options, listener) }
}

describe('a circuit breaker', () => {
  it('admits every delivery while the transport works', () => {
    const { breaker: it, told } = breaker()
    expect(it.admit()).toEqual({ result: 'pass', probe: false })
    it.record(sent, false)
    it.record(outcome('SMTP_DEFERRED', 'replied'), false)
    it.record(outcome('CONNECTION_CLOSED', 'envelope'), false)
    expect(it.status).toEqual({ transport: 'main', breaker: 'closed' })
    expect(told).toEqual([])
  })

  it('opens at a failure, reports it once, and holds messages', () => {
    stopClock()
    const { breaker: it, told } = breaker({ probeDelay: 10_000, maxProbeDelay: 60_000 })
    it.record(refused, false)
    it.record(outcome('AUTH_FAILED', 'connecting'), false)
    expect(told).toEqual(['main CONNECTION_FAILED'])
    expect(it.status).toMatchObject({ breaker: 'open', trouble: { code: 'AUTH_FAILED' } })
    const admission = it.admit()
    expect(admission.result).toBe('hold')
    expect('delay' in admission && admission.delay).toBeGreaterThanOrEqual(10_000)
    expect('delay' in admission && admission.delay).toBeLessThanOrEqual(15_000)
  })

  it('admits one probe at a time, and closes when it reaches the server', () => {
    stopClock()
    const { breaker: it, told } = breaker()
    it.record(refused, false)
    expect(it.admit().result).toBe('hold')
    vi.advanceTimersByTime(LONGEST)
    expect(it.admit()).toEqual({ result: 'pass', probe: true })
    expect(it.admit().result).toBe('hold')
    it.record(refused, true)
    expect(it.admit().result).toBe('hold')
    vi.advanceTimersByTime(LONGEST)
    expect(it.admit()).toEqual({ result: 'pass', probe: true })
    it.record(outcome('SMTP_REJECTED', 'replied', 'rejected'), true)
    expect(it.admit()).toEqual({ result: 'pass', probe: false })
    expect(told).toEqual(['main CONNECTION_FAILED', 'main works'])
  })

  it('admits the next message as a probe if the first never reached the transport', () => {
    stopClock()
    const { breaker: it } = breaker()
    it.record(refused, false)
    vi.advanceTimersByTime(LONGEST)
    expect(it.admit()).toEqual({ result: 'pass', probe: true })
    it.record(outcome('TEMPLATE_ERROR', 'rendering', 'rejected'), true)
    expect(it.admit()).toEqual({ result: 'pass', probe: true })
  })
})

describe('messages for a server that can’t be reached', () => {
  it('are held without an attempt, and sent when it is back', async () => {
    const port = await freePort()
    const other = await ScriptedServer.start()
    const mailer = await testMailer({
      transports: { main: `smtp://127.0.0.1:${port}`, other: `smtp://127.0.0.1:${other.port}` },
      breaker: { probeDelay: 20, maxProbeDelay: 40 },
      retry: { attempts: 1 },
    })
    const opened: unknown[] = []
    mailer.on('breaker-open', (event) => opened.push(event))
    const works = new Promise((resolve) => mailer.once('breaker-closed', resolve))
    const held = new Promise<void>((resolve) => {
      let count = 0
      mailer.on('held', () => {
        if (++count === 60) resolve()
      })
    })
    const receipts = await Promise.all(Array.from({ length: 30 }, () => mailer.send(mail)))
    expect((await mailer.sendAndWait({ ...mail, transport: 'other' })).status).toBe('sent')
    await held
    expect(opened).toMatchObject([{ transport: 'main', code: 'CONNECTION_FAILED' }])
    expect((await mailer.stats()).transports).toMatchObject([{ breaker: 'open' }, { breaker: 'closed' }])

    const server = await ScriptedServer.start({}, port)
    const messages = await Promise.all(receipts.map(({ id }) => mailer.wait(id)))
    expect(messages.every(({ status }) => status === 'sent')).toBe(true)
    expect(messages.every(({ attempts }) => attempts.filter(({ counted }) => counted).length === 1)).toBe(
      true,
    )
    expect(await works).toMatchObject({ transport: 'main' })
    expect(server.messages).toHaveLength(30)
  })

  it('are held when the password is refused, with the reply', async () => {
    let right = false
    const server = await ScriptedServer.start({
      extensions: ['PIPELINING', 'AUTH PLAIN'],
      auth: () => (right ? '235 2.7.0 welcome' : '535 5.7.8 bad credentials'),
    })
    const mailer = await testMailer({
      transport: `smtp://ada:wrong@127.0.0.1:${server.port}`,
      breaker: { probeDelay: 10, maxProbeDelay: 20 },
    })
    const opened = new Promise((resolve) => mailer.once('breaker-open', resolve))
    const { id } = await mailer.send(mail)
    expect(await opened).toMatchObject({ code: 'AUTH_FAILED', reply: { code: 535 } })
    right = true
    const message = await mailer.wait(id)
    expect(message.status).toBe('sent')
    expect(message.attempts.map(({ code, counted }) => [code, counted])).toEqual([
      ['AUTH_FAILED', false],
      ['OK', true],
    ])
  })

  it.each([530, 535, 538])(
    'are held when MAIL is answered with %i, as for a refused password',
    async (code) => {
      let right = false
      const server = await ScriptedServer.start({
        mail: () => (right ? '250 ok' : `${code} 5.7.0 log in first`),
        rcpt: () => (right ? '250 ok' : '503 5.5.1 MAIL first'),
      })
      const mailer = await testMailer({
        transport: `smtp://127.0.0.1:${server.port}`,
        breaker: { probeDelay: 10, maxProbeDelay: 20 },
        retry: { attempts: 1 },
      })
      const opened = new Promise((resolve) => mailer.once('breaker-open', resolve))
      const receipts = await Promise.all(Array.from({ length: 20 }, () => mailer.send(mail)))
      expect(await opened).toMatchObject({ code: 'AUTH_FAILED', reply: { code } })
      right = true
      const messages = await Promise.all(receipts.map(({ id }) => mailer.wait(id)))
      expect(messages.map(({ status }) => status)).toEqual(messages.map(() => 'sent'))
      expect(messages.map(({ attempts }) => attempts.filter(({ counted }) => counted).length)).toEqual(
        messages.map(() => 1),
      )
    },
  )
})
