import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { Writable } from 'node:stream'
import { pino } from 'pino'
import type { AttemptReport, Logger, MessageEvent } from 'threadpost'
import { describe, expect, it } from 'vitest'
import { mailerWithInbox } from '../support/mailer.js'

const MAIL = { to: 'ada@example.com', subject: 's', text: 't' }

/** pino, and the lines it wrote. */
function written(level = 'debug') {
  const lines: Record<string, unknown>[] = []
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(JSON.parse(chunk.toString()))
      done()
    },
  })
  return { lines, logger: pino({ level }, stream) as Logger }
}

const LEVELS: Record<number, string> = { 20: 'debug', 30: 'info', 40: 'warn', 50: 'error' }

describe('the log', () => {
  it('has a line for each step, with the request that caused it, in order', async () => {
    const { lines, logger } = written()
    const { mailer } = await mailerWithInbox({ logger }, { faults: [{ at: 'rcpt', do: 'defer', times: 1 }] })
    const { id } = await mailer.runWithContext({ requestId: 'req-1' }, () => mailer.send(MAIL))
    await mailer.wait(id)
    const about = lines.filter((line) => line['id'] === id)
    expect(about.map(({ step, level }) => [step, LEVELS[level as number]])).toEqual([
      ['accepted', 'debug'],
      ['attempt', 'warn'],
      ['attempt', 'debug'],
      ['settled', 'info'],
    ])
    for (const line of about)
      expect(line).toMatchObject({
        module: 'threadpost',
        transport: 'default',
        context: { requestId: 'req-1' },
      })
    expect(about[1]).toMatchObject({
      attempt: 1,
      outcome: 'deferred',
      code: 'SMTP_DEFERRED',
      status: 'deferred',
      ms: expect.any(Number),
      thread: expect.any(Number),
      nextAttemptAt: expect.any(String),
    })
    expect(about[3]).toMatchObject({
      attempt: 2,
      status: 'sent',
      to: ['ada@example.com'],
      ms: expect.any(Number),
    })
  })

  it('skips lines below the level of the logger, and accepts any logger that resembles the console', async () => {
    const { lines, logger } = written('warn')
    const { mailer } = await mailerWithInbox({ logger, threads: 0 })
    await mailer.sendAndWait(MAIL)
    expect(lines).toEqual([])
    const { mailer: other } = await mailerWithInbox({
      logger: { ...console, debug() {}, info() {} },
      threads: 0,
    })
    expect(await other.sendAndWait(MAIL)).toMatchObject({ status: 'sent' })
  })

  it('needs only info: warnings and errors go there, and lines of debug are dropped', async () => {
    const lines: { fields: object; message: string }[] = []
    class OneLevel {
      readonly bindings: object = {}
      info(fields: object, message: string) {
        lines.push({ fields: { ...this.bindings, ...fields }, message })
      }
      child(bindings: object) {
        return Object.assign(new OneLevel(), { bindings })
      }
    }
    const { mailer } = await mailerWithInbox(
      { logger: new OneLevel(), threads: 0 },
      { faults: [{ at: 'rcpt', do: 'defer', times: 1 }] },
    )
    const { id } = await mailer.sendAndWait(MAIL)
    const steps = lines.map(({ fields }) => fields).filter((fields) => 'id' in fields && fields.id === id)
    expect(steps).toMatchObject([
      { module: 'threadpost', step: 'attempt', outcome: 'deferred' },
      { module: 'threadpost', step: 'settled' },
    ])
  })

  it('masks addresses with redact, even in the replies of servers', async () => {
    const { lines, logger } = written()
    const { mailer } = await mailerWithInbox(
      { logger, redact: { recipients: true } },
      { faults: [{ at: 'rcpt', do: 'refuse', reply: '550 5.1.1 <ada@example.com> is unknown' }] },
    )
    await mailer.sendAndWait(MAIL)
    const text = JSON.stringify(lines.map(({ messageId: _, ...line }) => line))
    expect(text).toContain('a…@example.com')
    expect(text).not.toContain('ada@')
  })

  it('never contains the secrets of a URL or of AUTH, no matter which part writes it', async () => {
    const { lines, logger } = written()
    const { mailer } = await mailerWithInbox({ logger, threads: 0 })
    mailer.on('sent', () => {
      throw Object.assign(new Error('connect smtp://user:c@canary@host:25 failed'), {
        input: {
          url: 'redis://:canary@host',
          said: ['AUTH PLAIN Y2FuYXJ5', 'Authorization: Bearer canary-token'],
        },
      })
    })
    const warned = new Promise((resolve) => process.once('warning', resolve))
    await mailer.sendAndWait(MAIL)
    await warned
    const failed = lines.find(({ msg }) => msg === 'An event listener failed')
    expect(failed).toMatchObject({ err: { type: 'Error', message: 'connect smtp://***@host:25 failed' } })
    expect(JSON.stringify(lines)).not.toMatch(/canary|Y2FuYXJ5/)
  })
})

it('diagnostics channels publish messages and attempts without their content', async () => {
  const events: MessageEvent[] = []
  const reports: AttemptReport[] = []
  const onMessage = (event: unknown) => void events.push(event as MessageEvent)
  const onAttempt = (report: unknown) => void reports.push(report as AttemptReport)
  subscribe('threadpost:message', onMessage)
  subscribe('threadpost:attempt', onAttempt)
  try {
    const { mailer } = await mailerWithInbox({ threads: 0 })
    const { id } = await mailer.sendAndWait({ ...MAIL, text: 'canary' })
    expect(events.filter((event) => event.id === id).map(({ status }) => status)).toEqual([
      'queued',
      'sending',
      'sent',
    ])
    expect(reports).toMatchObject([
      { message: { id }, attempt: { outcome: { result: 'sent' } }, verdict: { status: 'sent' } },
    ])
    expect(JSON.stringify([events, reports])).not.toContain('canary')
  } finally {
    unsubscribe('threadpost:message', onMessage)
    unsubscribe('threadpost:attempt', onAttempt)
  }
})
