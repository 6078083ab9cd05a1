import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Readable, Transform } from 'node:stream'
import nodemailer from 'nodemailer'
import { createTransport, type MailOptions, type OffloadOptions, type Plugin } from 'threadpost/nodemailer'
import type { ReceivedMail } from 'threadpost/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { testInbox, testMailer } from '../support/mailer.js'
import { ScriptedServer } from '../support/scriptedServer.js'

const hello = { from: 'Sender <sender@server.example>', to: 'ada@example.com', subject: 'Hällo', text: 'Hi' }
const INVITE =
  'BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//a//b//EN\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nUID:1@x.example\r\nDTSTAMP:20260101T000000Z\r\nDTSTART:20260101T000000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n'

/** Sends messages through one transport, and returns what arrived. */
async function sent(
  message: MailOptions,
  options: OffloadOptions = {},
  ...plugins: Plugin[]
): Promise<ReceivedMail> {
  const inbox = await testInbox()
  const transporter = createTransport(inbox.url, {}, { threads: 0, ...options })
  onTestFinished(() => transporter.close())
  for (const plugin of plugins) transporter.use('stream', plugin)
  await transporter.sendMail(message)
  return inbox.waitFor()
}

const source = (mail: ReceivedMail): string => Buffer.from(mail.raw).toString()
/** The message without its trace field, which the inbox adds. */
const structure = (mail: ReceivedMail): string[] =>
  [...source(mail).matchAll(/^Content-Type: ([\w/.+-]+)/gm)].map(([, type = '']) => type)

describe('a message', () => {
  it.each<[string, object]>([
    ['null', { inReplyTo: null, references: null, messageId: null, date: null, priority: null, list: null }],
    ['false', { cc: false, html: false, attachments: false }],
    ['empty', { inReplyTo: '', messageId: '', date: '', priority: '' }],
    ['a null name', { to: { name: null, address: 'ada@example.com' } }],
    ['a null subject', { subject: null }],
    ['a number as its subject', { subject: 5 }],
    ['headers that are null or dates', { headers: { 'X-A': null, 'X-B': new Date(0) } }],
    [
      'attachments whose fields are null',
      { attachments: [{ content: 'x', contentType: null, cid: null, encoding: null }] },
    ],
    ['attachments whose type is empty', { attachments: [{ content: 'x', contentType: '' }] }],
  ])('may have fields that are not set: %s', async (_, fields) => {
    const mail = await sent({ ...hello, ...fields })
    expect(mail.envelope.to).toEqual(['ada@example.com'])
  })

  it('may name a recipient in another form in its envelope', async () => {
    const envelope = { from: 'b@x.example', to: ['ada@EXAMPLE.com', 'a@xn--bcher-kva.example'] }
    const mail = await sent({ ...hello, to: ['ada@example.com', 'a@bücher.example'], envelope })
    expect(mail.envelope.to).toHaveLength(2)
  })

  it('keeps an image whose data URL has markup', async () => {
    const html = '<img src="data:image/svg+xml;utf8,<svg/>">'
    expect((await sent({ ...hello, html, attachDataUrls: true })).html).toContain(html)
  })
})

describe('raw', () => {
  const raw =
    'From: sender@example.com\r\nTo: recipient@example.com\r\nSubject: test message\r\n\r\nHello world!\r\n'
  const envelope = { from: 'bounce@example.com', to: ['recipient@example.com', 'Other <other@example.com>'] }

  it.each<[string, () => MailOptions['raw'] | Promise<unknown>]>([
    ['a string', () => raw],
    ['a string with line feeds', () => raw.replaceAll('\r\n', '\n')],
    ['a buffer', () => Buffer.from(raw)],
    ['a stream', () => Readable.from([Buffer.from(raw)])],
    [
      'a file',
      async () => {
        const file = path.join(await mkdtemp(path.join(tmpdir(), 'raw-')), 'message.eml')
        await writeFile(file, raw)
        return { path: file }
      },
    ],
  ])('is sent unchanged, as %s', async (_, form) => {
    const server = await ScriptedServer.start()
    const transporter = createTransport(`smtp://127.0.0.1:${server.port}`, {}, { threads: 0 })
    onTestFinished(() => transporter.close())
    const info = await transporter.sendMail({ envelope, raw: (await form()) as string, subject: 'not used' })
    expect(info.envelope).toEqual({
      from: 'bounce@example.com',
      to: ['recipient@example.com', 'other@example.com'],
    })
    expect(server.messages).toEqual([{ ...info.envelope, data: raw }])
  })

  it('goes to the addresses of the message if it has no envelope', async () => {
    const mail = await sent({ raw, from: 'a@x.example', to: 'b@x.example, c@x.example', bcc: 'd@x.example' })
    expect(mail.envelope).toEqual({ from: 'a@x.example', to: ['b@x.example', 'c@x.example', 'd@x.example'] })
  })

  it('may have a null reverse-path', async () => {
    expect((await sent({ raw, envelope: { from: '', to: 'b@x.example' } })).envelope.from).toBe('')
    expect((await sent({ ...hello, envelope: { from: '', to: 'ada@example.com' } })).envelope.from).toBe('')
  })
})

describe('sender', () => {
  it('becomes the Sender field, and the envelope is still from the author', async () => {
    const mail = await sent({ ...hello, sender: 'Secretary <sec@server.example>' })
    expect(mail.header('sender')).toBe('Secretary <sec@server.example>')
    expect(mail.envelope.from).toBe('sender@server.example')
  })
})

describe('icalEvent', () => {
  it.each<[string, unknown, string]>([
    ['text with a method', { filename: 'invitation.ics', method: 'request', content: INVITE }, 'REQUEST'],
    ['a plain string, whose METHOD counts', INVITE, 'REQUEST'],
    ['a buffer', Buffer.from(INVITE), 'REQUEST'],
    ['base64', { content: Buffer.from(INVITE).toString('base64'), encoding: 'base64' }, 'REQUEST'],
    ['a stream', { content: Readable.from([INVITE]) }, 'REQUEST'],
    ['no method at all', INVITE.replace('METHOD:REQUEST\r\n', ''), 'PUBLISH'],
    ['a method that only nodemailer knows', INVITE.replace('REQUEST', 'COUNTER'), 'COUNTER'],
    ['an event without a UID', { content: INVITE.replace(/UID.*\r\n/, '') }, 'REQUEST'],
    ['headers of its own', { content: INVITE, headers: { 'X-A': 'b' } }, 'REQUEST'],
  ])('is the last alternative and a file: %s', async (_, icalEvent, method) => {
    const mail = await sent({ ...hello, html: '<p>Hi</p>', icalEvent: icalEvent as string })
    expect(structure(mail)).toEqual([
      ...[
        'multipart/mixed',
        'multipart/alternative',
        'text/plain',
        'text/html',
        'text/calendar',
        'application/ics',
      ],
    ])
    expect(source(mail)).toMatch(new RegExp(`text/calendar; charset=utf-8; method=${method}`))
    expect(source(mail)).toMatch(/name="?(?:invite|invitation)\.ics"?/)
  })

  it('is refused if its method is not that of its content', async () => {
    await expect(sent({ ...hello, icalEvent: { method: 'CANCEL', content: INVITE } })).rejects.toMatchObject({
      code: 'INVALID_MESSAGE',
      path: 'icalEvent.method',
    })
  })
})

describe('what only nodemailer can build', () => {
  it('is built as nodemailer builds it', async () => {
    const message: MailOptions = {
      ...hello,
      to: ['Ada <ada@example.com>', 'bob@example.com'],
      cc: 'Zoë <zoe@example.com>',
      replyTo: 'help@server.example',
      html: '<p>Grüße</p>',
      watchHtml: '<b>watch</b>',
      amp: '<!doctype html><html ⚡4email></html>',
      alternatives: [{ contentType: 'text/x-web-markdown', content: '**Hi**' }],
      attachments: [
        { filename: 'a.txt', content: 'text', headers: { 'X-Attachment-Id': '17' } },
        { filename: 'b.txt', content: 'plain', contentTransferEncoding: '7bit' },
        { filename: 'c.pdf', content: 'pdf', contentDisposition: 'inline' },
        {
          raw: 'Content-Type: text/plain\r\nContent-Disposition: attachment; filename=d.txt\r\n\r\nraw part',
        },
      ],
      headers: { 'X-Order': '42' },
      references: ['<r@x.example>'],
      inReplyTo: '<r@x.example>',
      messageId: '<own@server.example>',
      date: new Date('2026-01-01T00:00:00Z'),
      baseBoundary: 'b',
    }
    const theirs = await nodemailer
      .createTransport({ streamTransport: true, buffer: true, newline: 'windows' })
      .sendMail(structuredClone(message))
    const server = await ScriptedServer.start()
    const transporter = createTransport(`smtp://127.0.0.1:${server.port}`, {}, { threads: 0 })
    onTestFinished(() => transporter.close())
    await transporter.sendMail({ ...message, bcc: 'hidden@example.com' })
    const lines = (text: string | undefined): string[] => (text ?? '').split('\r\n').sort()
    expect(lines(server.messages[0]?.data)).toEqual(lines((theirs.message as Buffer).toString()))
    expect(server.messages[0]?.to).toEqual([
      ...['ada@example.com', 'bob@example.com', 'zoe@example.com', 'hidden@example.com'],
    ])
  })

  it('keeps the rules of the core for addresses, headers, and limits', async () => {
    const alternatives = [{ contentType: 'text/x-a', content: 'a' }]
    const refused = (message: MailOptions, options: OffloadOptions = {}) =>
      expect(sent({ ...hello, alternatives, ...message }, options)).rejects
    await refused({ to: 'a@b.example\r\nBcc: c@d.example' }).toMatchObject({ path: 'to' })
    await refused({ headers: { Received: 'x' } }).toMatchObject({ path: 'headers.Received' })
    await refused({ headers: { 'X-Long': 'x'.repeat(1_500) } }).toMatchObject({
      code: 'INVALID_MESSAGE',
      path: 'alternatives',
    })
    await refused({}, { limits: { message: 500 } }).toMatchObject({ code: 'INVALID_MESSAGE' })
    await refused({ attachments: [{ content: 'a', headers: { Bcc: 'x@y.example' } }] }).toMatchObject({
      code: 'UNSUPPORTED',
      path: 'attachments[0].headers.Bcc',
    })
    await refused({ template: 'welcome', text: undefined }).toMatchObject({
      code: 'UNSUPPORTED',
      path: 'alternatives',
    })
    await refused({ from: undefined }).toMatchObject({ code: 'UNSUPPORTED', path: 'alternatives' })
    await refused({ idempotencyKey: 'k' }).toMatchObject({ code: 'UNSUPPORTED', path: 'alternatives' })
  })

  it('has structured headers whose phrases alone are encoded, and no To with blind copies only', async () => {
    const mail = await sent({
      ...hello,
      to: undefined,
      bcc: 'ada@example.com',
      amp: '<html></html>',
      list: { id: { url: 'l.acme.example', comment: 'Größe' }, unsubscribe: 'https://acme.example/leave' },
      headers: { Keywords: 'Größe, plain', 'X-Word': 'Grüße' },
    })
    expect(source(mail)).toMatch(/^List-Id: =\?UTF-8\?Q\?Gr=C3=B6=C3=9Fe\?= <l\.acme\.example>\r$/im)
    expect(source(mail)).toMatch(/^Keywords: =\?UTF-8\?Q\?Gr=C3=B6=C3=9Fe\?=, plain\r$/m)
    expect(source(mail)).toMatch(/^List-Unsubscribe: <https:\/\/acme\.example\/leave>\r$/m)
    expect(source(mail)).toMatch(/^To: "?undisclosed-recipients"?:;\r$/m)
    expect(source(mail)).not.toMatch(/^Bcc/m)
    expect(mail.envelope.to).toEqual(['ada@example.com'])
  })

  it('is the same message for the same idempotency key, Message-ID, and date', async () => {
    const inbox = await testInbox()
    const transporter = createTransport(inbox.url, {}, { threads: 0 })
    onTestFinished(() => transporter.close())
    const message = {
      ...hello,
      alternatives: [{ contentType: 'text/x-a', content: 'a' }],
      ...{ idempotencyKey: 'k', messageId: '<k@server.example>', date: new Date('2026-01-01T00:00:00Z') },
    }
    const [first, second] = [await transporter.sendMail(message), await transporter.sendMail(message)]
    expect(second.id).toBe(first.id)
    expect(inbox.count).toBe(1)
  })

  it('is refused by its own name over a transport that builds its messages itself', async () => {
    const mailer = await testMailer({ transport: { url: 'sendgrid:', apiKey: 'k' } })
    await expect(createTransport(mailer).sendMail({ ...hello, amp: '<html></html>' })).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      path: 'amp',
      message: expect.stringMatching(/^amp: /) as string,
    })
  })

  it('is signed by the transport', async () => {
    const { generateKeyPairSync } = await import('node:crypto')
    const { privateKey } = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    })
    const inbox = await testInbox()
    const dkim = { domainName: 'server.example', keySelector: 's', privateKey }
    const transporter = createTransport({ host: inbox.host, port: inbox.port, dkim }, {}, { threads: 0 })
    onTestFinished(() => transporter.close())
    await transporter.sendMail({ ...hello, amp: '<html></html>' })
    expect((await inbox.waitFor()).header('dkim-signature')).toMatch(/d=server\.example/)
  })
})

describe("use('stream')", () => {
  const upper: Plugin = (mail, done) => {
    mail.message?.transform(
      new Transform({
        transform(chunk: Buffer, _, next) {
          next(null, chunk.toString().replace('plain text', 'PLAIN TEXT'))
        },
      }),
    )
    done()
  }

  it('works on the built message, whose blind copies stay hidden', async () => {
    const mail = await sent(
      { ...hello, text: 'plain text', bcc: 'hidden@example.com' },
      {},
      upper,
      (mail, done) => {
        mail.message?.setHeader('X-Envelope', mail.message.getEnvelope().to.join(' '))
        done()
      },
    )
    expect(mail.text?.trim()).toBe('PLAIN TEXT')
    expect(mail.header('x-envelope')).toBe('ada@example.com hidden@example.com')
    expect(source(mail)).not.toMatch(/^Bcc/im)
    expect(mail.envelope.to).toEqual(['ada@example.com', 'hidden@example.com'])
  })

  it('has the fields of the message that only the plugin knows', async () => {
    const mail = await sent({ ...hello, encryptionKeys: ['k1'] } as MailOptions, {}, (mail, done) => {
      const { encryptionKeys } = mail.data as unknown as { encryptionKeys: string[] }
      mail.message?.setHeader('X-Keys', encryptionKeys.join())
      done()
    })
    expect(mail.header('x-keys')).toBe('k1')
  })

  it('works on raw, and in streamTransport, which keeps Bcc as nodemailer does', async () => {
    const raw = 'From: a@x.example\r\nSubject: s\r\n\r\nplain text\r\n'
    expect((await sent({ raw, from: 'a@x.example', to: 'b@x.example' }, {}, upper)).text?.trim()).toBe(
      'PLAIN TEXT',
    )
    const message = { ...hello, text: 'plain text', bcc: 'hidden@example.com' }
    const local = createTransport({ streamTransport: true, buffer: true }).use('stream', upper)
    const { message: bytes } = (await local.sendMail(message)) as unknown as { message: Buffer }
    expect(bytes.toString()).toContain('PLAIN TEXT')
    expect(bytes.toString()).toMatch(/^Bcc: hidden@example\.com/m)
  })

  it("rejects the message with a plugin's error, and reads nothing on its behalf", async () => {
    await expect(sent(hello, {}, (_, done) => done(new Error('not today')))).rejects.toThrow('not today')
    await expect(
      sent({ ...hello, html: '<p>x</p>' }, {}, (mail, done) => {
        mail.message?.createChild('text/plain').setContent({ path: '/etc/hostname' })
        done()
      }),
    ).rejects.toMatchObject({ code: 'EFILEACCESS' })
  })
})
