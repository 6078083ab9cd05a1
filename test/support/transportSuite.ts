/**
 * The duties of every transport that hands a message over by one call. A new one is done when it passes: its API is
 * spoken by a server of test/support/mailApi.ts.
 */
import type { TransportInput } from 'threadpost'
import { expect, it } from 'vitest'
import { type Dialect, MailApi } from './mailApi.js'
import { testMailer } from './mailer.js'
import { freePort } from './ports.js'

const mail = {
  to: ['ada@example.com', 'bob@example.com'],
  cc: 'cy@example.com',
  bcc: 'di@example.com',
  subject: 'Grüße',
  html: '<p>Hello <b>you</b></p>',
  text: 'Hello you',
  attachments: [{ filename: 'a.txt', content: 'attached', contentType: 'text/plain' }],
}
const everyone = ['ada@example.com', 'bob@example.com', 'cy@example.com', 'di@example.com']

export function transportSuite(
  dialect: Dialect,
  transportAt: (url: string) => TransportInput,
  { honoursRetryAfter = true, drops = 1 } = {},
): void {
  const start = async (options: Partial<Parameters<typeof testMailer>[0]> = {}) => {
    const api = await MailApi.start(dialect)
    const mailer = await testMailer({
      transport: transportAt(api.url),
      threads: 0,
      breaker: { probeDelay: 30, maxProbeDelay: 60 },
      ...options,
    })
    return { api, mailer }
  }

  it('sends to everybody, once', async () => {
    const { api, mailer } = await start({ threads: 2 })
    const message = await mailer.sendAndWait(mail)
    expect(message).toMatchObject({ status: 'sent', attempts: [{ outcome: 'sent', phase: 'replied' }] })
    expect(message.recipients.map(({ status }) => status)).toEqual(['sent', 'sent', 'sent', 'sent'])
    expect(api.taken).toHaveLength(1)
    expect(api.taken[0]?.to.toSorted()).toEqual(everyone)
    expect(api.taken[0]?.text).toContain(message.messageId)
    expect(await mailer.verify()).toMatchObject({ ok: true, transport: 'default' })
  })

  it.each(['refuse', 'tooLarge'] as const)('fails for good: %s', async (mood) => {
    const { api, mailer } = await start()
    api.mood = mood
    const message = await mailer.sendAndWait(mail)
    expect(message).toMatchObject({
      status: 'failed',
      attempts: [{ code: 'SMTP_REJECTED', phase: 'replied' }],
    })
    expect(message.attempts[0]?.reply?.code).toBe(mood === 'refuse' ? 400 : 413)
    expect(message.attempts[0]?.reply?.text).toContain('said ***')
    expect(JSON.stringify(message)).not.toContain('canary')
    expect(api.moods).toHaveLength(1)
  })

  it('holds the mail while it is not let in, and sends it later; no secret is told', async () => {
    const { api, mailer } = await start({ threads: 1, retry: { attempts: 1 } })
    api.mood = 'unauthorized'
    const told: unknown[] = []
    for (const name of ['held', 'sent', 'breaker-open', 'breaker-closed'] as const)
      mailer.on(name, (event) => told.push(event))
    const open = new Promise((resolve) => mailer.once('breaker-open', resolve))
    const { id } = await mailer.send(mail)
    expect(await open).toMatchObject({ code: 'AUTH_FAILED' })
    const report = await mailer.verify()
    expect(report).toMatchObject({ ok: false })
    told.push(report, await mailer.find(id), await mailer.stats())
    api.mood = 'ok'
    const message = await mailer.wait(id)
    expect(message.attempts.map(({ code, counted }) => [code, counted])).toEqual([
      ['AUTH_FAILED', false],
      ['OK', true],
    ])
    expect(api.taken).toHaveLength(1)
    expect(JSON.stringify([told, message])).toContain('said ***')
    expect(JSON.stringify([told, message])).not.toContain('canary')
  })

  it('waits as long as it is told to', async () => {
    const { api, mailer } = await start()
    api.mood = 'throttle'
    const deferred = new Promise<{ id: string }>((resolve) => mailer.once('deferred', resolve))
    const slowed = new Promise((resolve) => mailer.once('transport-slowed', resolve))
    const since = performance.now()
    const { id } = await mailer.send(mail)
    await deferred
    await slowed
    api.mood = 'ok'
    const message = await mailer.wait(id)
    expect(message.attempts.map(({ code }) => code)).toEqual(['SMTP_DEFERRED', 'OK'])
    if (honoursRetryAfter) expect(performance.now() - since).toBeGreaterThan(900)
  })

  it('tries again what is put off', async () => {
    const { api, mailer } = await start()
    api.mood = 'down'
    mailer.once('deferred', () => (api.mood = 'ok'))
    const message = await mailer.sendAndWait(mail)
    expect(message.status).toBe('sent')
    expect(message.attempts[0]).toMatchObject({ outcome: 'deferred', reply: { code: 503 }, counted: true })
    expect(api.taken).toHaveLength(1)
  })

  it.each([
    ['no answer comes before the deadline of the attempt', 'hang', { limits: { attempt: 2_000 } }],
    ['the connection breaks after the request', 'drop', {}],
    ['a gateway gives up on the service', 'gateway', {}],
  ] as const)('is uncertain when %s', async (_, mood, options) => {
    const { api, mailer } = await start({ ...options, onUncertain: 'hold' })
    api.mood = mood
    const held = new Promise((resolve) => mailer.once('held', resolve))
    await mailer.send(mail)
    const outcome = {
      result: 'uncertain',
      phase: 'body',
      ...(mood === 'hang' ? { code: 'REPLY_TIMEOUT' } : {}),
    }
    expect(await held).toMatchObject({ heldReason: 'uncertain', outcome })
    expect(api.moods).toEqual(Array.from({ length: mood === 'hang' ? 1 : drops }, () => mood))
  })

  it('is certain of nothing sent where nobody listens', async () => {
    const mailer = await testMailer({
      transport: transportAt(`http://127.0.0.1:${await freePort()}`),
      threads: 0,
    })
    const open = new Promise((resolve) => mailer.once('breaker-open', resolve))
    const { id } = await mailer.send(mail)
    expect(await open).toMatchObject({ code: 'CONNECTION_FAILED' })
    expect((await mailer.find(id))?.uncertain).toBe(false)
    expect((await mailer.verify()).ok).toBe(false)
  })
}
