import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { AttemptReport, MessageEvent } from 'threadpost'
import { describe, expect, onTestFinished, test } from 'vitest'
import { api, MAIL } from '../support/api.js'
import { mailerWithInbox } from '../support/mailer.js'

const SECRET = 'the-secret-code-4711'

describe('redaction', () => {
  test('keeps data, bodies, and attachments out of lists, responses, events, and logs', async () => {
    const logged: unknown[] = []
    const log = (...said: unknown[]) => void logged.push(said)
    const { mailer, call, inbox } = await api(
      {},
      { logger: { debug: log, info: log, warn: log, error: log }, retain: { data: 'kept' } },
    )
    const events: MessageEvent[] = []
    for (const name of ['queued', 'sending', 'deferred', 'sent', 'failed'] as const)
      mailer.on(name, (event) => events.push(event))
    inbox.faults.set([{ at: 'rcpt', do: 'refuse', reply: '550 5.1.1 No such user', times: 1 }])
    const attachments = [{ filename: 'a.txt', content: SECRET }]
    const mjml = `<mjml><mj-body><mj-section><mj-column><mj-text>{{code}} ${SECRET}</mj-text></mj-column></mj-section></mj-body></mjml>`
    await mailer.sendAndWait({ ...MAIL, text: SECRET, html: `<p>${SECRET}</p>`, attachments })
    const { to, subject } = MAIL
    const { id } = await mailer.sendAndWait({ to, subject, mjml, data: { code: SECRET } })
    expect((await inbox.messages()).length).toBe(1)
    expect((await inbox.messages())[0]?.html).toContain(SECRET)

    const shown = [
      await mailer.list(),
      await mailer.find(id),
      (await call('/messages')).body,
      (await call(`/messages/${id}`)).body,
      (await call('/stats')).body,
      (await call('/metrics')).body,
      events,
      logged,
    ]
    expect(events.map(({ status }) => status)).toContain('failed')
    expect(logged.length).toBeGreaterThan(0)
    for (const place of shown) expect(JSON.stringify(place)).not.toContain(SECRET)
  })

  test('hides recipients in diagnostics channels, no matter what precedes them', async () => {
    const reports: AttemptReport[] = []
    const onAttempt = (report: unknown) => void reports.push(report as AttemptReport)
    subscribe('threadpost:attempt', onAttempt)
    onTestFinished(() => void unsubscribe('threadpost:attempt', onAttempt))
    const { mailer } = await mailerWithInbox({ redact: { recipients: true } })
    const mjml =
      '<mjml><mj-body>\n\t<mj-nothing>ada.lovelace@example.com</mj-nothing>\n\t{{#if}}ada.lovelace@example.com</mj-body></mjml>'
    const { status } = await mailer.sendAndWait({ to: 'ada.lovelace@example.com', subject: 'Hi', mjml })
    expect(status).toBe('failed')
    expect(reports).toMatchObject([{ attempt: { outcome: { code: 'TEMPLATE_ERROR' } } }])
    expect(JSON.stringify(reports)).not.toContain('ada.lovelace')
  })

  test('hides recipients everywhere with redact, even in the replies of servers', async () => {
    const logged: unknown[] = []
    const log = (...said: unknown[]) => void logged.push(said)
    const { mailer, call, inbox } = await api(
      {},
      { redact: { recipients: true }, logger: { debug: log, info: log, warn: log, error: log } },
    )
    const events: unknown[] = []
    for (const name of ['queued', 'sending', 'sent', 'failed', 'partial'] as const)
      mailer.on(name, (event) => events.push(event))
    const reply = '550 5.1.1 <grace.hopper@navy.example>: "odd one"@navy.example is not here'
    inbox.faults.set([{ at: 'rcpt', to: 'grace.hopper@navy.example', do: 'refuse', reply }])
    const mail = {
      ...MAIL,
      to: 'Ada Lovelace <ada.lovelace@example.com>',
      cc: 'grace.hopper@navy.example',
      bcc: 'edsger@example.com',
    }
    const message = await mailer.sendAndWait(mail)
    expect(message).toMatchObject({
      status: 'partial',
      to: [{ address: 'a…@example.com' }],
      cc: [{ address: 'g…@navy.example' }],
      from: { address: 'hello@acme.example' },
    })
    expect(message.recipients[1]).toMatchObject({
      address: 'g…@navy.example',
      reply: { text: expect.stringContaining('<g…@navy.example>') },
    })
    // The mail itself goes to the whole address, and is found by it.
    expect((await inbox.waitFor()).to).toMatchObject([{ address: 'ada.lovelace@example.com' }])
    const found = await call('/messages?recipient=ada.lovelace@example.com')
    expect(found.body.messages).toHaveLength(1)
    expect((await mailer.list({ q: 'hopper' })).messages).toHaveLength(1)
    const { id } = await mailer.send({ ...mail, delay: 60_000 })
    const shown = [
      message,
      events,
      logged,
      await mailer.find(id),
      await mailer.list(),
      await mailer.cancel(id),
      found.body,
      (await call(`/messages/${id}`)).body,
    ]
    for (const place of shown) expect(JSON.stringify(place)).not.toMatch(/lovelace|hopper|edsger|odd one/i)
    expect(events.length).toBeGreaterThan(2)
    expect(logged.length).toBeGreaterThan(0)
  })

  test('rejects unknown options', async () => {
    await expect(mailerWithInbox({ redact: { senders: true } as never })).rejects.toMatchObject({
      code: 'INVALID_OPTIONS',
      path: 'redact.senders',
    })
  })
})
