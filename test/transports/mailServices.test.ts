import type { TransportOptions } from 'threadpost'
import { describe, expect, it } from 'vitest'
import { type Dialect, MailApi, SECRET } from '../support/mailApi.js'
import { BREVO, MAILGUN, MAILJET, MSGRAPH, POSTMARK, RESEND } from '../support/mailServiceApis.js'
import { testMailer } from '../support/mailer.js'
import { transportSuite } from '../support/transportSuite.js'

const services: Record<string, { dialect: Dialect; at: (endpoint: string) => TransportOptions }> = {
  Postmark: { dialect: POSTMARK, at: (endpoint) => ({ url: 'postmark:', token: SECRET, endpoint }) },
  Mailgun: {
    dialect: MAILGUN,
    at: (endpoint) => ({ url: 'mailgun:', apiKey: SECRET, domain: 'mg.acme.example', endpoint }),
  },
  Resend: { dialect: RESEND, at: (endpoint) => ({ url: 'resend:', apiKey: SECRET, endpoint }) },
  Brevo: { dialect: BREVO, at: (endpoint) => ({ url: 'brevo:', apiKey: SECRET, endpoint }) },
  Mailjet: {
    dialect: MAILJET,
    at: (endpoint) => ({ url: 'mailjet:', apiKey: 'key', secretKey: SECRET, endpoint }),
  },
  'Microsoft Graph': {
    dialect: MSGRAPH,
    at: (endpoint) => ({
      url: 'msgraph:',
      tenantId: 'tenant',
      clientId: 'client',
      clientSecret: SECRET,
      user: 'shop@acme.example',
      endpoint,
      tokenEndpoint: `${endpoint}/tenant/oauth2/v2.0/token`,
    }),
  },
}

const whole = {
  from: 'Acme <hello@acme.example>',
  to: 'Ada <ada@example.com>',
  bcc: 'di@example.com',
  replyTo: 'help@acme.example',
  subject: 'Grüße',
  text: 'Hello',
  html: '<img src="cid:logo">',
  headers: { 'X-Kind': 'test' },
  tags: ['welcome'],
  metadata: { order: 7, tenant: 'acme' },
  calendar: {
    content: 'BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:1\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n',
    method: 'REQUEST' as const,
  },
  attachments: [
    { filename: 'logo.png', content: Buffer.from([1, 2, 3]), contentType: 'image/png', cid: 'logo' },
  ],
}

async function send(
  name: string,
  mail: Parameters<Awaited<ReturnType<typeof testMailer>>['sendAndWait']>[0],
) {
  const { dialect, at } = services[name]!
  const api = await MailApi.start(dialect)
  const mailer = await testMailer({ transport: at(api.url), threads: 0 })
  const message = await mailer.sendAndWait(mail)
  return { api, message, text: api.taken[0]?.text ?? '' }
}

describe.each(Object.entries(services))('%s', (name, { dialect, at }) => {
  transportSuite(dialect, at, { drops: name === 'Resend' ? 3 : 1 })

  it('sends to hidden recipients without revealing one to another', async () => {
    const { api, message } = await send(name, {
      bcc: ['di@example.com', 'ed@example.com'],
      subject: 'Hi',
      text: 'Hi',
    })
    expect(message.status).toBe('sent')
    expect(api.taken.flatMap(({ to }) => to).toSorted()).toEqual(['di@example.com', 'ed@example.com'])
    if (name !== 'Mailgun') expect(api.taken).toHaveLength(2)
  })

  it('refuses more recipients, or a larger message, than the service accepts, before it sends anything', async () => {
    const { at: transportAt } = services[name]!
    const api = await MailApi.start(dialect)
    const mailer = await testMailer({
      transport: transportAt(api.url),
      threads: 0,
      limits: { recipients: 1_100, message: 100_000_000 },
    })
    const to = Array.from({ length: 1_001 }, (_, index) => `a${index}@example.com`)
    expect(await mailer.sendAndWait({ to, subject: 'Hi', text: 'Hi' })).toMatchObject({
      status: 'failed',
      attempts: [{ code: 'INVALID_MESSAGE' }],
    })
    const attachments = [{ filename: 'large.bin', content: Buffer.alloc(32_000_000) }]
    expect(
      await mailer.sendAndWait({ to: 'ada@example.com', subject: 'Hi', text: 'Hi', attachments }),
    ).toMatchObject({ status: 'failed', attempts: [{ code: 'SIZE_EXCEEDED' }] })
    expect(api.moods).toEqual([])
  })

  it('is not asked to send from an address that it does not support', async () => {
    const { message, api } = await send(name, {
      from: 'büro@acme.example',
      to: 'ada@example.com',
      subject: 'Hi',
      text: 'Hi',
    })
    expect(message).toMatchObject({ status: 'failed', attempts: [{ code: 'SMTPUTF8_UNSUPPORTED' }] })
    expect(api.moods).toEqual([])
  })

  it('keeps the id that the service gave the message', async () => {
    const { message } = await send(name, { to: 'ada@example.com', subject: 'Hi', text: 'Hi' })
    expect(message.recipients[0]?.reply?.text).toMatch(/^<?(?:pm|mg|rs|bv)-1>?$|^123$|^accepted$/)
  })
})

describe('the format of each API', () => {
  const file = { content: 'AQID', name: 'logo.png' }

  it('Postmark', async () => {
    const { text } = await send('Postmark', whole)
    expect(JSON.parse(text)).toMatchObject({
      From: '"Acme" <hello@acme.example>',
      To: '"Ada" <ada@example.com>',
      Bcc: 'di@example.com',
      ReplyTo: 'help@acme.example',
      Subject: 'Grüße',
      TextBody: 'Hello',
      HtmlBody: whole.html,
      Tag: 'welcome',
      Metadata: { order: '7', tenant: 'acme' },
      Headers: expect.arrayContaining([{ Name: 'X-Kind', Value: 'test' }]),
      Attachments: [
        { Name: file.name, Content: file.content, ContentType: 'image/png', ContentID: 'cid:logo' },
        { Name: 'invite.ics', ContentType: 'text/calendar; charset=utf-8; method=REQUEST' },
      ],
    })
  })

  it('Mailgun', async () => {
    const { text } = await send('Mailgun', whole)
    for (const part of [
      'name="o:tag"\r\n\r\nwelcome\r\n',
      'name="v:order"\r\n\r\n7\r\n',
      'name="v:tenant"\r\n\r\nacme\r\n',
      'name="message"; filename="message.eml"\r\n',
      'X-Kind: test\r\n',
      'AQID\r\n',
    ])
      expect(text).toContain(part)
    expect(text).not.toContain('Bcc')
  })

  it('Mailgun, Brevo, and Mailjet only check the mail in sandbox mode', async () => {
    const marks = {
      Mailgun: 'name="o:testmode"\r\n\r\nyes',
      Brevo: '"X-Sib-Sandbox":"drop"',
      Mailjet: '"SandboxMode":true',
    }
    for (const [name, mark] of Object.entries(marks)) {
      const { dialect, at } = services[name]!
      const api = await MailApi.start(dialect)
      const mailer = await testMailer({ transport: { ...at(api.url), sandbox: true }, threads: 0 })
      await mailer.sendAndWait({ to: 'ada@example.com', subject: 'Hi', text: 'Hi' })
      expect(api.taken[0]?.text).toContain(mark)
    }
  })

  it('Mailgun takes a finished message unchanged', async () => {
    const raw = 'From: a@acme.example\r\nTo: list@acme.example\r\nSubject: Hi\r\n\r\nHello\r\n'
    const { text, api } = await send('Mailgun', {
      raw,
      envelope: { from: 'a@acme.example', to: ['ada@example.com'] },
    })
    expect(text).toContain(raw)
    expect(api.taken[0]?.to).toEqual(['ada@example.com'])
  })

  it('Resend', async () => {
    const { text } = await send('Resend', whole)
    expect(JSON.parse(text)).toMatchObject({
      from: '"Acme" <hello@acme.example>',
      to: ['"Ada" <ada@example.com>'],
      bcc: ['di@example.com'],
      reply_to: ['help@acme.example'],
      tags: [
        { name: 'welcome', value: 'true' },
        { name: 'order', value: '7' },
        { name: 'tenant', value: 'acme' },
      ],
      headers: { 'X-Kind': 'test' },
      attachments: [
        { filename: file.name, content: file.content, content_type: 'image/png', content_id: 'logo' },
        { filename: 'invite.ics' },
      ],
    })
  })

  it('Brevo', async () => {
    const { text } = await send('Brevo', whole)
    expect(JSON.parse(text)).toMatchObject({
      sender: { name: 'Acme', email: 'hello@acme.example' },
      to: [{ name: 'Ada', email: 'ada@example.com' }],
      replyTo: { email: 'help@acme.example' },
      htmlContent: whole.html,
      textContent: 'Hello',
      tags: ['welcome'],
      headers: { 'X-Kind': 'test', 'X-Mailin-custom': '{"order":"7","tenant":"acme"}' },
      attachment: [file, { name: 'invite.ics' }],
    })
  })

  it('Mailjet', async () => {
    const { text, message } = await send('Mailjet', whole)
    expect((JSON.parse(text) as { Messages: unknown[] }).Messages[0]).toMatchObject({
      From: { Name: 'Acme', Email: 'hello@acme.example' },
      To: [{ Name: 'Ada', Email: 'ada@example.com' }],
      Bcc: [{ Email: 'di@example.com' }],
      HTMLPart: whole.html,
      TextPart: 'Hello',
      CustomID: message.id,
      CustomCampaign: 'welcome',
      EventPayload: '{"order":"7","tenant":"acme"}',
      InlinedAttachments: [{ Filename: file.name, Base64Content: file.content, ContentID: 'logo' }],
      Attachments: [{ Filename: 'invite.ics' }],
    })
  })

  it('Microsoft Graph', async () => {
    const { text, message } = await send('Microsoft Graph', whole)
    expect(JSON.parse(text)).toMatchObject({
      saveToSentItems: false,
      message: {
        subject: 'Grüße',
        body: { contentType: 'HTML', content: whole.html },
        from: { emailAddress: { name: 'Acme', address: 'hello@acme.example' } },
        toRecipients: [{ emailAddress: { name: 'Ada', address: 'ada@example.com' } }],
        bccRecipients: [{ emailAddress: { address: 'di@example.com' } }],
        internetMessageId: message.messageId,
        internetMessageHeaders: [{ name: 'X-Kind', value: 'test' }],
        categories: ['welcome'],
        attachments: [
          { name: file.name, contentBytes: file.content, contentId: 'logo', isInline: true },
          { name: 'invite.ics' },
        ],
      },
    })
  })
})

describe('Resend', () => {
  it('is asked again under the same key if its response is lost, and the message is sent once', async () => {
    const api = await MailApi.start(RESEND)
    const mailer = await testMailer({
      transport: { url: 'resend:', apiKey: SECRET, endpoint: api.url },
      threads: 0,
      onUncertain: 'hold',
    })
    api.mood = 'drop'
    api.onRequest = () => {
      if (api.moods.length === 1) api.mood = 'ok'
    }
    const message = await mailer.sendAndWait({ to: 'ada@example.com', subject: 'Hi', text: 'Hi' })
    expect(message).toMatchObject({ status: 'sent', uncertain: false, attempts: [{ code: 'OK' }] })
    expect(api.moods).toEqual(['drop', 'ok'])
    expect(new Set(api.keys).size).toBe(1)
  })
})

describe('the settings of a mail service', () => {
  it.each([
    [{ url: 'postmark:' }, 'transport.token'],
    [{ url: 'mailgun:', apiKey: SECRET }, 'transport.domain'],
    [{ url: 'mailgun:', apiKey: SECRET, domain: 'a/b' }, 'transport.domain'],
    [{ url: 'mailjet:', apiKey: 'key' }, 'transport.secretKey'],
    [{ url: 'resend:', apiKey: `${SECRET}\n` }, 'transport.apiKey'],
    [{ url: 'resend:', apiKey: SECRET, domain: 'acme.example' }, 'transport.domain'],
    [{ url: 'brevo:', apiKey: SECRET, endpoint: 'http://api.brevo.com' }, 'transport.endpoint'],
    [{ url: 'msgraph:', clientSecret: SECRET, tenantId: 't', clientId: 'c' }, 'transport.user'],
    [
      {
        url: 'msgraph:',
        clientSecret: SECRET,
        tenantId: 't',
        clientId: 'c',
        user: 'u',
        tokenEndpoint: 'http://login.example/token',
      },
      'transport.tokenEndpoint',
    ],
    [`postmark://${SECRET}@api.postmarkapp.com/path`, 'transport'],
  ] as const)('are refused without naming a secret: %j', async (transport, path) => {
    const error = await testMailer({ transport }).then(
      () => undefined,
      (reason: unknown) => reason as Error,
    )
    expect(error).toMatchObject({ code: 'INVALID_OPTIONS', path })
    expect(error?.message).not.toContain(SECRET)
  })
})
