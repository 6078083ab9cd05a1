import { readFileSync } from 'node:fs'
import path from 'node:path'
import { createTransport, type MailOptions, type OffloadOptions } from 'threadpost/nodemailer'
import { describe, expect, it, onTestFinished } from 'vitest'
import { testInbox } from '../support/mailer.js'

/** The tables of the chapter: what each row says is tried. */
const chapter = readFileSync(path.resolve(import.meta.dirname, '../../src/nodemailer/README.md'), 'utf8')

function rowsOf(heading: string): [name: string, verdict: string][] {
  const section = chapter.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? ''
  return [...section.matchAll(/^\| (`[^|]+`) \| (works|no effect|refused)\*? \|/gm)].flatMap(
    ([, names = '', verdict = '']) =>
      [...names.matchAll(/`([^`]+)`/g)].map(([, name = '']): [string, string] => [name, verdict]),
  )
}

/** Values of transport options; the others are `true`. */
const OPTIONS: Record<string, unknown> = {
  host: '127.0.0.1',
  port: 2525,
  secure: false,
  service: 'gmail',
  auth: { user: 'a', pass: 'b' },
  name: 'mail.acme.example',
  tls: { rejectUnauthorized: false },
  servername: 'mail.acme.example',
  proxy: 'http://127.0.0.1:3128',
  localAddress: '127.0.0.1',
  ...Object.fromEntries(
    [
      'connectionTimeout',
      'greetingTimeout',
      'socketTimeout',
      'maxConnections',
      'maxMessages',
      'rateLimit',
    ].map((name) => [name, 1_000]),
  ),
  rateDelta: 1_000,
  maxRecipients: 10,
  dkim: undefined,
}

/** Values of message fields. */
const FIELDS: Record<string, unknown> = {
  from: 'a@x.example',
  to: 'b@x.example',
  cc: 'c@x.example',
  bcc: 'd@x.example',
  replyTo: 'e@x.example',
  inReplyTo: '<a@b.example>',
  references: ['<a@b.example>'],
  subject: 's',
  messageId: '<own@b.example>',
  date: new Date('2026-01-01T00:00:00Z'),
  envelope: { from: 'bounce@x.example', to: ['ada@example.com'] },
  text: 't',
  html: '<p>h</p>',
  attachments: [{ filename: 'a.txt', content: 'a' }],
  headers: { 'X-A': 'b' },
  list: { help: 'https://a.example/help' },
  priority: 'high',
  xMailer: 'Acme',
  attachDataUrls: true,
  maxRecipients: 5,
  signal: new AbortController().signal,
  encoding: 'base64',
  textEncoding: 'base64',
  newline: 'unix',
  alternatives: [{ contentType: 'text/x-a', content: 'a' }],
  icalEvent: { content: 'BEGIN:VCALENDAR' },
  amp: '<html></html>',
  watchHtml: '<p>h</p>',
  otp: { code: '123456', origin: 'https://acme.example' },
  raw: 'From: a@x.example\r\nSubject: x\r\n\r\nx',
  sender: 'f@x.example',
  dsn: { id: '1', notify: 'success' },
}

const hello = { from: 'sender@server.example', to: 'ada@example.com', subject: 'Hello', text: 'Hi' }

describe('the table of transport options', () => {
  const rows = rowsOf('Options of transports')

  it('has every option of nodemailer', () => {
    expect(rows.length).toBeGreaterThan(40)
    expect(() => createTransport({ unheardOf: true } as never)).toThrow(/unheardOf: unknown field/)
  })

  it.each(rows)('%s: %s', (name, verdict) => {
    const value = name in OPTIONS ? OPTIONS[name] : true
    const create = () =>
      createTransport({ ...(verdict === 'refused' ? {} : { host: '127.0.0.1' }), [name]: value })
    if (verdict !== 'refused') create()
    else
      expect(create).toThrow(
        expect.objectContaining({
          code: 'UNSUPPORTED',
          path: name,
          message: expect.stringContaining(`${name}: `) as string,
        }) as Error,
      )
  })
})

describe('the table of message fields', () => {
  it.each(rowsOf('Fields of messages'))('%s: %s', async (name, verdict) => {
    const message = { ...hello, [name]: name in FIELDS ? FIELDS[name] : 'x' } as MailOptions
    if (verdict === 'refused') {
      await expect(createTransport('smtp://127.0.0.1:9').sendMail(message)).rejects.toMatchObject({
        code: 'UNSUPPORTED',
        path: name,
      })
      return
    }
    const inbox = await testInbox()
    const options: OffloadOptions = { threads: 0 }
    const transporter = createTransport(inbox.url, {}, options)
    onTestFinished(() => transporter.close())
    const info = await transporter.sendMail(message)
    expect(info.accepted).not.toEqual([])
  })
})
