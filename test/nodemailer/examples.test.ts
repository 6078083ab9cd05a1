import { createMailer, type Mailer } from 'threadpost'
import nodemailer, { createTransport, type MailOptions, type Transporter } from 'threadpost/nodemailer'
import type { ReceivedMail } from 'threadpost/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { testInbox } from '../support/mailer.js'

/** The examples of nodemailer's documentation, with the inbox instead of its servers. */

const hello = {
  from: 'sender@server.example',
  to: 'receiver@example.com',
  subject: 'Hello World',
  text: 'Hi',
}

function closed(transporter: Transporter): Transporter {
  onTestFinished(() => transporter.close())
  return transporter
}

/** Sends a message through a new transport and returns the received mail. */
async function received(message: MailOptions): Promise<ReceivedMail> {
  const inbox = await testInbox()
  const transporter = closed(createTransport(inbox.url))
  await transporter.sendMail({ ...hello, ...message })
  return inbox.waitFor()
}

function headerLines(mail: ReceivedMail, name: string): string[] {
  return mail.headers.filter((header) => header.name === name).map(({ value }) => value)
}

describe('a nodemailer transporter', () => {
  it('accepts host, port, secure, and auth', async () => {
    const inbox = await testInbox({ auth: { user: 'username', pass: 'p@ss word' } })
    const transporter = closed(
      nodemailer.createTransport({
        host: inbox.host,
        port: inbox.port,
        secure: false,
        auth: { user: 'username', pass: 'p@ss word' },
      }),
    )
    expect(await transporter.verify()).toBe(true)
    const info = await transporter.sendMail({
      from: '"Example Team" <team@example.com>',
      to: 'alice@example.com, bob@example.com',
      subject: 'Hello',
      text: 'Hello world?',
      html: '<b>Hello world?</b>',
    })
    expect(info).toEqual({
      id: expect.any(String),
      messageId: expect.stringMatching(/^<.+@example\.com>$/),
      envelope: { from: 'team@example.com', to: ['alice@example.com', 'bob@example.com'] },
      accepted: ['alice@example.com', 'bob@example.com'],
      rejected: [],
      pending: [],
      rejectedErrors: [],
      response: expect.stringMatching(/^250 /),
    })
    expect(nodemailer.getTestMessageUrl()).toBe(false)
    const mail = await inbox.waitFor({ to: 'bob@example.com' })
    expect(mail).toMatchObject({
      messageId: info.messageId,
      subject: 'Hello',
      from: { name: 'Example Team', address: 'team@example.com' },
    })
    expect(mail.text?.trim()).toBe('Hello world?')
    expect(mail.html?.trim()).toBe('<b>Hello world?</b>')
  })

  it('accepts a URL with options in its query', async () => {
    const inbox = await testInbox({ auth: { user: 'user', pass: 'p@ss' } })
    const url = `smtp://user:p%40ss@${inbox.host}:${inbox.port}/?pool=true&maxConnections=3&tls.rejectUnauthorized=false`
    const transporter = closed(
      createTransport(url, { from: 'Acme <hello@acme.example>', headers: { 'X-A': '1' } }),
    )
    await transporter.sendMail({ to: 'ada@example.com', subject: 'x', text: 'y', headers: { 'X-B': '2' } })
    const mail = await inbox.waitFor()
    expect(mail.from).toEqual({ name: 'Acme', address: 'hello@acme.example' })
    expect([mail.header('x-a'), mail.header('x-b')]).toEqual(['1', '2'])
  })

  it('accepts callbacks', async () => {
    const inbox = await testInbox()
    const transporter = closed(createTransport(inbox.url))
    const result = await new Promise((resolve) =>
      transporter.sendMail(hello, (error, info) => resolve([error, info.accepted])),
    )
    expect(result).toEqual([null, ['receiver@example.com']])
    expect(await new Promise((resolve) => transporter.verify((error, ok) => resolve([error, ok])))).toEqual([
      null,
      true,
    ])
    const failure = await new Promise((resolve) =>
      transporter.sendMail({ ...hello, to: 'not an address' }, (error) => resolve(error)),
    )
    expect(failure).toMatchObject({ code: 'INVALID_MESSAGE', path: 'to' })
  })

  it('emits idle while it has capacity', async () => {
    const inbox = await testInbox()
    const transporter = closed(
      createTransport({ pool: true, host: inbox.host, port: inbox.port, maxConnections: 2 }),
    )
    const messages = Array.from({ length: 20 }, (_, index) => ({ ...hello, subject: `n${index}` }))
    const sent: Promise<unknown>[] = []
    let most = 0
    await new Promise<void>((resolve) => {
      transporter.on('idle', () => {
        let message: MailOptions | undefined
        while (transporter.isIdle() && (message = messages.shift()) !== undefined)
          sent.push(transporter.sendMail(message))
        most = Math.max(most, 20 - messages.length - inbox.count)
        if (messages.length === 0) resolve()
      })
    })
    await Promise.all(sent)
    expect(inbox.count).toBe(20)
    expect(most).toBeLessThanOrEqual(4)
    await transporter.close()
    expect(transporter.isIdle()).toBe(false)
    await expect(transporter.sendMail(hello)).rejects.toMatchObject({ code: 'CLOSED' })
  })

  it('sends the messages that it accepted before it was closed', async () => {
    const inbox = await testInbox()
    const transporter = createTransport(inbox.url)
    const sending = transporter.sendMail(hello)
    await transporter.close()
    expect((await sending).accepted).toEqual(['receiver@example.com'])
    expect(inbox.count).toBe(1)
  })

  it('uses an existing mailer, which stays open', async () => {
    const mailer: Mailer = await createMailer({ transport: 'inbox:', from: 'Acme <hello@acme.example>' })
    onTestFinished(() => mailer.close())
    const transporter = createTransport(mailer)
    const info = await transporter.sendMail({ to: 'ada@example.com', subject: 'x', text: 'y' })
    expect((await mailer.find(info.id))?.status).toBe('sent')
    await transporter.close()
    expect((await mailer.send({ to: 'ada@example.com', subject: 'x', text: 'y' })).status).toBe('queued')
  })

  it('resolves once the message is queued, with answer: queued', async () => {
    const inbox = await testInbox({ faults: [{ at: 'rcpt', do: 'defer', times: 1 }] })
    const transporter = closed(createTransport(inbox.url, {}, { answer: 'queued', retry: { baseDelay: 0 } }))
    const info = await transporter.sendMail(hello)
    expect(info).toMatchObject({ accepted: [], pending: ['receiver@example.com'], response: '' })
    expect((await inbox.waitFor()).messageId).toBe(info.messageId)
  })
})

describe('a nodemailer message', () => {
  it('accepts addresses in every form', async () => {
    const mail = await received({
      from: '"Example Sender" <sender@example.com>',
      to: 'foobar@example.com, "Ноде Майлер" <bar@example.com>, "Name, User" <baz@example.com>',
      cc: ['first@example.com', '"Ноде Майлер" <second@example.com>, "Name, User" <third@example.com>'],
      bcc: ['hidden@example.com', { name: 'Майлер, Ноде', address: 'another@example.com' }],
      replyTo: 'Ask <ask@example.com>, Us <us@example.com>',
    })
    expect(mail.to).toEqual([
      { name: '', address: 'foobar@example.com' },
      { name: 'Ноде Майлер', address: 'bar@example.com' },
      { name: 'Name, User', address: 'baz@example.com' },
    ])
    expect(mail.cc.map(({ address }) => address)).toEqual(
      ['first', 'second', 'third'].map((name) => `${name}@example.com`),
    )
    expect(mail.replyTo.map(({ address }) => address)).toEqual(['ask@example.com', 'us@example.com'])
    expect(mail.envelope.to).toHaveLength(8)
    expect(mail.header('bcc')).toBeUndefined()
  })

  it('keeps its headers, including repeated ones', async () => {
    const object = await received({
      headers: { 'x-my-key': ['value for row 1', 'value for row 2'], 'x-another-key': 'another value' },
      priority: 'high',
      xMailer: 'Acme 1',
      inReplyTo: 'before@example.com',
      references: ['<first@example.com>', 'before@example.com'],
      messageId: 'own-1@example.com',
      date: new Date('2000-01-01T00:00:00Z'),
    })
    expect(headerLines(object, 'X-My-Key')).toEqual(['value for row 1', 'value for row 2'])
    expect(object.header('X-Another-Key')).toBe('another value')
    expect(object.header('X-Priority')).toBe('1 (Highest)')
    expect(object.header('Importance')).toBe('High')
    expect(object.header('X-Mailer')).toBe('Acme 1')
    expect(object.header('In-Reply-To')).toBe('<before@example.com>')
    expect(object.header('References')).toBe('<first@example.com> <before@example.com>')
    expect(object.messageId).toBe('<own-1@example.com>')
    expect(object.header('Date')).toBe('Sat, 01 Jan 2000 00:00:00 +0000')
    const array = await received({
      headers: [
        { key: 'X-Key-Name', value: 'val1' },
        { key: 'X-Key-Name', value: 'val2' },
      ],
    })
    expect(headerLines(array, 'X-Key-Name')).toEqual(['val1', 'val2'])
  })

  it('has List headers', async () => {
    const mail = await received({
      list: {
        help: 'admin@example.com?subject=help',
        unsubscribe: { url: 'http://example.com', comment: 'Comment' },
        subscribe: [
          'admin@example.com?subject=subscribe',
          { url: 'http://example.com', comment: 'Subscribe' },
        ],
        post: [['http://example.com/post', { url: 'admin@example.com?subject=post', comment: 'Post' }]],
        id: { url: 'list.example.com', comment: 'My List' },
      },
    })
    expect(headerLines(mail, 'List-Help')).toEqual(['<mailto:admin@example.com?subject=help>'])
    expect(headerLines(mail, 'List-Unsubscribe')).toEqual(['<http://example.com/>'])
    expect(headerLines(mail, 'List-Subscribe')).toEqual([
      '<mailto:admin@example.com?subject=subscribe>',
      '<http://example.com> (Subscribe)',
    ])
    expect(headerLines(mail, 'List-Post')).toEqual([
      '<http://example.com/post>, <mailto:admin@example.com?subject=post> (Post)',
    ])
    expect(headerLines(mail, 'List-Id')).toEqual(['"My List" <list.example.com>'])
    const fromHeaders = await received({
      headers: {
        'List-Unsubscribe': '<https://a.example/leave?u=1>, <mailto:leave@a.example?subject=leave%20now>',
        'List-Unsubscribe-Post': 'List-Unsubscribe=One-Click',
      },
    })
    expect(fromHeaders.header('List-Unsubscribe')).toBe(
      '<https://a.example/leave?u=1>, <mailto:leave@a.example?subject=leave%20now>',
    )
    expect(fromHeaders.header('List-Unsubscribe-Post')).toBe('List-Unsubscribe=One-Click')
  })

  it('has attachments and inline images', async () => {
    const png =
      'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
    const mail = await received({
      html: '<img src="cid:logo@example.com" alt="Company logo"/>',
      attachments: [
        { filename: 'hello.txt', content: 'Hello world!' },
        { filename: 'buffer.txt', content: Buffer.from('Hello world!', 'utf8') },
        {
          filename: 'data.bin',
          content: Buffer.from('deadbeef', 'hex'),
          contentType: 'application/octet-stream',
        },
        { filename: 'hex.bin', content: 'deadbeef', encoding: 'hex' },
        { content: 'c29tZQ==', encoding: 'base64' },
        { content: 'a,b', contentType: 'text/csv' },
        { filename: 'logo.png', content: png, encoding: 'base64', cid: 'logo@example.com' },
      ],
    })
    const text = (name: string) => Buffer.from(mail.attachment(name).content).toString()
    expect([
      text('hello.txt'),
      text('buffer.txt'),
      text('attachment-5.bin'),
      text('attachment-6.csv'),
    ]).toEqual(['Hello world!', 'Hello world!', 'some', 'a,b'])
    expect(mail.attachment('data.bin').content).toEqual(new Uint8Array([0xde, 0xad, 0xbe, 0xef]))
    expect(mail.attachment('hex.bin').content).toEqual(mail.attachment('data.bin').content)
    expect(mail.attachment('logo.png')).toMatchObject({ inline: true, contentType: 'image/png' })
  })

  it('reaches the recipients of its envelope', async () => {
    const inbox = await testInbox()
    const info = await closed(createTransport(inbox.url)).sendMail({
      ...hello,
      from: 'Mailer <mailer@example.com>',
      to: 'Daemon <daemon@example.com>',
      bcc: 'nobody@example.com',
      envelope: {
        from: 'bounce+12345@example.com',
        to: ['daemon@example.com', 'Mailer <mailer@example.com>'],
      },
    })
    expect(info.envelope).toEqual({
      from: 'bounce+12345@example.com',
      to: ['daemon@example.com', 'mailer@example.com'],
    })
    const mail = await inbox.waitFor()
    expect(mail.envelope).toEqual({
      from: 'bounce+12345@example.com',
      to: ['daemon@example.com', 'mailer@example.com'],
    })
    expect(mail.to).toEqual([{ name: 'Daemon', address: 'daemon@example.com' }])
  })

  it('may have no subject and no body', async () => {
    const inbox = await testInbox()
    await closed(createTransport(inbox.url)).sendMail({
      from: 'a@b.example',
      to: 'c@d.example',
      attachments: [{ filename: 'a.txt', content: 'a' }],
    })
    expect((await inbox.waitFor()).attachment('a.txt').inline).toBe(false)
  })

  it('may use a template', async () => {
    const mailer = await createMailer({ transport: 'inbox:', templates: './templates' })
    onTestFinished(() => mailer.close())
    const transporter = createTransport(mailer, { from: 'Acme <hello@acme.example>' })
    await transporter.sendMail({ to: 'ada@example.com', template: 'welcome', data: { name: 'Ada' } })
    expect((await mailer.inbox!.waitFor()).html).toContain('Ada')
  })
})
