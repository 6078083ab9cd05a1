import { createReadStream } from 'node:fs'
import { Transform } from 'node:stream'
import type { MailOptions, Plugin } from 'threadpost/nodemailer'

/** The values that the examples of nodemailer's documentation refer to. */
export interface ExampleWorld {
  /** Returns the path of a file of this name. */
  file: (name: string) => string
  /** Returns the URL of a file of this name. */
  url: (name: string) => string
  /** The inbox, as host and port. */
  server: { host: string; port: number }
  dkimKey: string
}

/** One example: options of the transport, defaults, plugins, and the message. All but the message may be missing. */
export interface Example {
  message?: MailOptions
  options?: object
  defaults?: object
  plugins?: readonly [step: string, plugin: Plugin][]
  /** Whether the transporter is created, and nothing is sent: its server is a service on the internet. */
  createOnly?: boolean
  /** Something else than `sendMail()`. */
  call?: 'verify' | 'callback' | 'createTestAccount' | 'set'
}

const hello = { from: 'sender@example.com', to: 'recipient@example.com', subject: 'Message' }
const text = { ...hello, text: 'I hope this message gets read!' }
const attached = (attachment: object): Example => ({ message: { ...text, attachments: [attachment] } })
const addressed = (address: MailOptions['to']): Example => ({ message: { ...text, to: address } })
const event = (icalEvent: object): Example => ({ message: { ...text, icalEvent } })

export const EVENT = (method: string): string =>
  [
    'BEGIN:VCALENDAR',
    'PRODID:-//ACME/DesktopCalendar//EN',
    'VERSION:2.0',
    `METHOD:${method}`,
    'BEGIN:VEVENT',
    'DTSTART:20270115T100000Z',
    'SUMMARY:Team Meeting',
    'UID:unique-event-id@example.com',
    'END:VEVENT',
    'END:VCALENDAR',
  ].join('\r\n')

const tabsToSpaces = new Transform({
  transform(chunk: Buffer, _, next) {
    next(null, Buffer.from(chunk.map((octet) => (octet === 9 ? 32 : octet))))
  },
})

/** The examples, by page and name. They are our own, and use what those of the documentation use. */
export function docsExamples({ file, url, server, dkimKey }: ExampleWorld): Record<string, Example> {
  const image = (name: string): object => ({
    filename: `${name}.png`,
    path: file(`${name}.png`),
    cid: `${name}@example.com`,
  })
  const dkim = { domainName: 'example.com', keySelector: '2027', privateKey: dkimKey }
  return {
    'Usage: a transporter with a host, sendMail() with a promise': { message: text },
    'Usage: sendMail() with a callback': { message: text, call: 'callback' },
    'Usage: verify()': { call: 'verify' },
    'Usage: defaults': {
      message: { to: 'recipient@example.com', text: 'Hi' },
      defaults: { from: 'sender@example.com' },
    },
    'Testing with Ethereal: createTestAccount()': { call: 'createTestAccount' },
    'SMTP transport: options as a URL': {
      options: { url: `smtp://${server.host}:${server.port}/?pool=true` },
      message: text,
    },
    'SMTP transport: a self-signed certificate': {
      options: { tls: { rejectUnauthorized: false } },
      message: text,
    },
    'SMTP transport: TLS from the start': {
      options: { host: 'smtp.example.com', port: 465, secure: true },
      createOnly: true,
    },
    'Pooled SMTP: pool: true': {
      options: { pool: true, maxConnections: 2, maxMessages: 100 },
      message: text,
    },
    'Well-known services: service': {
      options: { service: 'Gmail', auth: { user: 'a', pass: 'b' } },
      createOnly: true,
    },
    'OAuth2: an access token': {
      options: { auth: { type: 'OAuth2', user: 'a@example.com', accessToken: 't' } },
      createOnly: true,
    },
    'OAuth2: a refresh token': {
      options: {
        auth: {
          type: 'OAuth2',
          user: 'a@example.com',
          clientId: 'i',
          clientSecret: 's',
          refreshToken: 'r',
          accessToken: 't',
          expires: 1,
        },
      },
      createOnly: true,
    },
    'OAuth2: a token provider': { call: 'set' },
    'Custom authentication: auth.type': {
      options: { auth: { type: 'custom', method: 'X-LOGIN', user: 'a', pass: 'b' } },
      createOnly: true,
    },
    'Proxies: an HTTP proxy': { options: { proxy: 'http://127.0.0.1:3128' }, createOnly: true },
    'Proxies: a SOCKS module or a handler': { call: 'set' },
    'SMTP envelope: another return path and other recipients': {
      message: {
        ...text,
        envelope: {
          from: 'bounce+12345@example.com',
          to: ['recipient@example.com', 'Mailer <mailer@example.com>'],
        },
      },
    },
    'SMTP envelope: requireTLSExtensionEnabled': {
      message: {
        ...text,
        envelope: { from: 'a@example.com', to: 'recipient@example.com', requireTLSExtensionEnabled: true },
      },
    },
    'DSN: a notification of success': {
      message: {
        ...text,
        dsn: { id: 'msg-123', return: 'headers', notify: 'success', recipient: 'sender@example.com' },
      },
    },
    'DSN: notifications of failures and delays': {
      message: { ...text, dsn: { id: 'msg-124', notify: ['failure', 'delay'] } },
    },
    'DSN: never': { message: { ...text, dsn: { notify: 'never' } } },
    'Message: text and HTML': {
      message: { ...text, html: '<p>This is the <strong>HTML version</strong>.</p>' },
    },
    'Message: a custom header and a date': {
      message: {
        ...text,
        headers: { 'X-Custom-Header': 'my custom value' },
        date: new Date('2000-01-01T00:00:00Z'),
      },
    },
    'Message: HTML from a stream': { message: { ...hello, html: createReadStream(file('content.html')) } },
    'Message: HTML from a URL': { message: { ...hello, html: { path: url('content.html') } } },
    'Message: AMP': {
      message: { ...text, html: '<p>No AMP</p>', amp: '<!doctype html><html ⚡4email><body></body></html>' },
    },
    'Message: sender, replyTo, inReplyTo, references, and priority': {
      message: {
        ...text,
        sender: 'secretary@example.com',
        replyTo: 'support@example.com',
        inReplyTo: '<a@example.com>',
        references: ['<a@example.com>'],
        priority: 'high',
      },
    },
    'Message: encoding and textEncoding': {
      message: { ...text, encoding: 'base64', textEncoding: 'base64' },
    },
    'Message: requireTLSExtensionEnabled': { message: { ...text, requireTLSExtensionEnabled: true } },
    'Message: normalizeHeaderKey': { message: { ...text, normalizeHeaderKey: (key) => key.toUpperCase() } },
    'Address object: a plain address': addressed('foobar@example.com'),
    'Address object: a formatted address': addressed('Ноде Майлер <foobar@example.com>'),
    'Address object: a quoted name with a comma': addressed('"Майлер, Ноде" <foobar@example.com>'),
    'Address object: an object': addressed({ name: 'Майлер, Ноде', address: 'foobar@example.com' }),
    'Address object: lists, arrays, and mixed arrays': {
      message: {
        ...text,
        to: 'foobar@example.com, "Ноде Майлер" <bar@example.com>, "Name, User" <baz@example.com>',
        cc: ['first@example.com', '"Ноде Майлер" <second@example.com>', '"Name, User" <third@example.com>'],
        bcc: ['hidden@example.com', { name: 'Майлер, Ноде', address: 'another@example.com' }],
      },
    },
    'Address object: an internationalized domain': addressed('andris@уайлддак.орг'),
    'Address object: an internationalized local part': addressed('андрис@уайлддак.орг'),
    'Attachments: a string': attached({ filename: 'hello.txt', content: 'Hello world!' }),
    'Attachments: a buffer': attached({ filename: 'buffer.txt', content: Buffer.from('Hello world!') }),
    'Attachments: a file': attached({ filename: 'report.pdf', path: file('report.pdf') }),
    'Attachments: a file without a name': attached({ path: file('image.png') }),
    'Attachments: a stream': attached({
      filename: 'notes.txt',
      content: createReadStream(file('notes.txt')),
    }),
    'Attachments: a content type': attached({
      filename: 'data.bin',
      content: Buffer.from('deadbeef', 'hex'),
      contentType: 'application/octet-stream',
    }),
    'Attachments: a URL': attached({ filename: 'license.txt', href: url('license.txt') }),
    'Attachments: a URL with headers and TLS settings': attached({
      filename: 'report.pdf',
      href: url('report.pdf'),
      httpHeaders: { authorization: 'Bearer token123' },
      tls: { rejectUnauthorized: false },
    }),
    'Attachments: base64': attached({
      filename: 'photo.jpg',
      content: '/9j/4AAQSkZJRgABAQAAAQABAAD=',
      encoding: 'base64',
    }),
    'Attachments: a data URI': attached({ path: 'data:text/plain;base64,SGVsbG8gd29ybGQ=' }),
    'Attachments: a finished MIME part': attached({
      raw: 'Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: attachment; filename="greeting.txt"\r\n\r\nHello world!',
    }),
    'Alternatives: Markdown': {
      message: {
        ...hello,
        html: '<b>Hello world!</b>',
        alternatives: [{ contentType: 'text/x-web-markdown', content: '**Hello world!**' }],
      },
    },
    'Embedded images: a file': {
      message: { ...hello, html: '<img src="cid:logo@example.com"/>', attachments: [image('logo')] },
    },
    'Embedded images: several': {
      message: {
        ...hello,
        html: '<img src="cid:chart@example.com"/><img src="cid:badge@example.com"/>',
        attachments: [image('chart'), image('badge')],
      },
    },
    'Embedded images: attachDataUrls': {
      message: {
        ...hello,
        attachDataUrls: true,
        html: '<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">',
      },
    },
    'Calendar events: a request from a string': event({
      filename: 'invitation.ics',
      method: 'REQUEST',
      content: EVENT('REQUEST'),
    }),
    'Calendar events: an event from a file': event({ method: 'PUBLISH', path: file('invite.ics') }),
    'Calendar events: a cancellation from a URL': event({ method: 'CANCEL', href: url('cancel.ics') }),
    'Custom headers: simple': {
      message: { ...text, headers: { 'x-my-key': 'header value', 'x-another-key': 'another value' } },
    },
    'Custom headers: repeated': {
      message: { ...text, headers: { 'x-my-key': ['row 1', 'row 2', 'row 3'] } },
    },
    'Custom headers: prepared': {
      message: { ...text, headers: { 'x-unprocessed': { prepared: true, value: 'a long value' } } },
    },
    'Custom headers: of an attachment': attached({
      filename: 'report.csv',
      content: 'a,b',
      headers: { 'x-report-id': '2027-Q1' },
    }),
    'List headers: help, unsubscribe, subscribe, and post': {
      message: {
        ...text,
        list: {
          help: 'admin@example.com?subject=help',
          unsubscribe: { url: 'http://example.com', comment: 'Comment' },
          subscribe: [
            'admin@example.com?subject=subscribe',
            { url: 'http://example.com', comment: 'Subscribe' },
          ],
          post: [['http://example.com/post', { url: 'admin@example.com?subject=post', comment: 'Post' }]],
        },
      },
    },
    'List headers: id': {
      message: { ...text, list: { id: { url: 'list.example.com', comment: 'My List' } } },
    },
    'Custom source: a string': {
      message: {
        envelope: { from: 'sender@example.com', to: ['recipient@example.com'] },
        raw: 'From: sender@example.com\nTo: recipient@example.com\nSubject: Hello world\n\nHello world!',
      },
    },
    'Custom source: an EML file': {
      message: {
        envelope: { from: 'sender@example.com', to: ['recipient@example.com'] },
        raw: { path: file('message.eml') },
      },
    },
    'Custom source: a string as an attachment': attached({
      raw: 'Content-Type: text/plain\nContent-Disposition: attachment; filename="notes.txt"\n\nAttached text file',
    }),
    "Plugins: use('compile'), text from HTML": {
      message: { ...hello, html: '<p>Hello</p>' },
      plugins: [
        [
          'compile',
          (mail, done) => {
            mail.data.text ??= (mail.data.html as string).replace(/<[^>]*>/g, ' ')
            done()
          },
        ],
      ],
    },
    "Plugins: use('compile'), resolveContent()": {
      message: { ...hello, html: { path: file('content.html') } },
      plugins: [['compile', (mail, done) => mail.resolveContent(mail.data, 'html', (error) => done(error))]],
    },
    "Plugins: use('stream'), tabs become spaces": {
      message: { ...hello, text: 'a\tb' },
      plugins: [
        [
          'stream',
          (mail, done) => {
            mail.message.transform(tabsToSpaces)
            done()
          },
        ],
      ],
    },
    "Plugins: use('stream'), getAddresses()": {
      message: text,
      plugins: [
        [
          'stream',
          (mail, done) => {
            done(mail.message.getAddresses()['from'] === undefined ? new Error('no from') : null)
          },
        ],
      ],
    },
    'Plugins: a transport object': {
      options: { name: 'mine', version: '1', send: () => undefined },
      createOnly: true,
    },
    'Other transports: streamTransport': {
      options: { streamTransport: true, newline: 'windows' },
      message: text,
    },
    'Other transports: streamTransport with a buffer': {
      options: { streamTransport: true, buffer: true },
      message: text,
    },
    'Other transports: jsonTransport': { options: { jsonTransport: true }, message: text },
    'Other transports: sendmail': { options: { sendmail: true }, createOnly: true },
    'Other transports: SES': { options: { SES: {} }, createOnly: true },
    'DKIM: one key': { options: { dkim }, message: text },
    'DKIM: several keys': {
      options: { dkim: { keys: [dkim, { ...dkim, keySelector: 'other' }], cacheDir: false } },
      message: text,
    },
    'DKIM: a key of the message': { message: { ...text, dkim } },
    'DKIM: skipFields': { options: { dkim: { ...dkim, skipFields: 'message-id:date' } }, createOnly: true },
  }
}
