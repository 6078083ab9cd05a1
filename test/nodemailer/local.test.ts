import { Readable } from 'node:stream'
import nodemailer from 'nodemailer'
import { createTransport, type MailOptions, type Plugin } from 'threadpost/nodemailer'
import { describe, expect, it, onTestFinished } from 'vitest'
import { testInbox } from '../support/mailer.js'
import { ScriptedServer } from '../support/scriptedServer.js'

const hello = { from: 'sender@server.example', to: 'ada@example.com', subject: 'Hello', text: 'Hi' }
const fixed = { messageId: '<a@b.example>', date: new Date('2026-01-01T00:00:00Z') }

describe('jsonTransport and streamTransport', () => {
  it.each<[string, object]>([
    ['jsonTransport', { jsonTransport: true }],
    ['jsonTransport with objects', { jsonTransport: true, skipEncoding: true }],
    ['streamTransport with a buffer', { streamTransport: true, buffer: true, newline: 'unix' }],
  ])("%s returns what nodemailer's returns, and sends nothing", async (_, options) => {
    const message: MailOptions = {
      ...hello,
      ...fixed,
      to: 'Ada <ada@example.com>',
      attachments: [{ filename: 'a.txt', content: 'a' }],
      baseBoundary: 'b',
    }
    const ours = await createTransport(options).sendMail(message)
    expect(ours).toEqual(await nodemailer.createTransport(options).sendMail(message as never))
  })

  it('streamTransport returns a stream', async () => {
    const info = await createTransport({ streamTransport: true }).sendMail({ ...hello, ...fixed })
    const chunks: Buffer[] = []
    for await (const chunk of info['message'] as Readable) chunks.push(chunk as Buffer)
    expect(Buffer.concat(chunks).toString()).toContain('Message-ID: <a@b.example>')
  })

  it('check messages and content as transports that send do', async () => {
    const transporter = createTransport({ jsonTransport: true, disableFileAccess: true })
    await expect(transporter.sendMail({ ...hello, html: { path: '/etc/hostname' } })).rejects.toMatchObject({
      code: 'EFILEACCESS',
    })
    await expect(
      transporter.sendMail({ ...hello, to: 'a@b.example\r\nBcc: c@d.example' }),
    ).rejects.toMatchObject({
      code: 'INVALID_MESSAGE',
      path: 'to',
    })
    await expect(transporter.sendMail({ ...hello, template: 'welcome', data: {} })).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      path: 'template',
    })
    expect(await transporter.verify()).toBe(true)
    await transporter.close()
  })
})

describe('use()', () => {
  it('compile: plugins see and change the message, in order', async () => {
    const inbox = await testInbox()
    const transporter = createTransport(inbox.url, { from: 'Acme <hello@acme.example>' })
    onTestFinished(() => transporter.close())
    const toUpperCase: Plugin = (mail, done) => {
      mail.resolveContent(mail.data, 'html', (error, html) => {
        if (!error) mail.data.html = String(html).toUpperCase()
        done(error)
      })
    }
    const sign: Plugin = (mail, done) => {
      mail.data.headers = { ...(mail.data.headers as object), 'X-Signed': mail.data.from as string }
      mail.data.attachments = [{ filename: 'added.txt', content: Readable.from(['added']) }]
      setImmediate(done)
    }
    transporter.use('compile', toUpperCase).use('compile', sign)
    await transporter.sendMail({
      to: 'ada@example.com',
      subject: 's',
      html: Readable.from(['<b>hi</b>']),
    })
    const mail = await inbox.waitFor()
    expect(mail.html?.trim()).toBe('<B>HI</B>')
    expect(mail.header('x-signed')).toBe('Acme <hello@acme.example>')
    expect(Buffer.from(mail.attachment('added.txt').content).toString()).toBe('added')
  })

  it("compile: a plugin with templates of its own uses the field 'template'", async () => {
    const inbox = await testInbox()
    const transporter = createTransport(inbox.url)
    onTestFinished(() => transporter.close())
    transporter.use('compile', (mail, done) => {
      const { template, context } = mail.data as unknown as { template: string; context: { name: string } }
      mail.data.html = `<p>${template}: ${context.name}</p>`
      done()
    })
    await transporter.sendMail({
      ...hello,
      text: undefined,
      template: 'greeting',
      context: { name: 'Ada' },
    } as never)
    expect((await inbox.waitFor()).html?.trim()).toBe('<p>greeting: Ada</p>')
  })

  it("compile: a plugin's error rejects the message", async () => {
    const transporter = createTransport('smtp://127.0.0.1:9')
    transporter.use('compile', (_, done) => done(new Error('not today')))
    await expect(transporter.sendMail(hello)).rejects.toThrow('not today')
    transporter.use('compile', () => {
      throw new Error('thrown')
    })
  })

  it.each(['other'])('refuses the step %s by name', (step) => {
    expect(() => createTransport('smtp://127.0.0.1:9').use(step, () => undefined)).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED', path: `use('${step}')` }) as Error,
    )
  })
})

describe('options of real transports', () => {
  it('attachDataUrls turns data: images into inline attachments, each image once', async () => {
    const inbox = await testInbox()
    const transporter = createTransport({ host: inbox.host, port: inbox.port, attachDataUrls: true })
    onTestFinished(() => transporter.close())
    const gif = 'data:image/gif;base64,R0lGODlhAQABAAAAACw='
    await transporter.sendMail({
      ...hello,
      html: `<img alt="a" src="${gif}"><img src='${gif}'><img src=data:image/svg+xml,%3Csvg/%3E><img src="https://a.example/b.png">`,
    })
    const mail = await inbox.waitFor()
    expect(mail.attachments.map(({ contentType, inline }) => [contentType, inline])).toEqual([
      ['image/gif', true],
      ['image/svg+xml', true],
    ])
    expect(mail.html).not.toContain('data:')
    expect(mail.html?.match(/cid:/g)).toHaveLength(3)
    expect(mail.html).toContain('https://a.example/b.png')
  })

  it('ignoreTLS sends without TLS although the server offers STARTTLS', async () => {
    const server = await ScriptedServer.start({ extensions: ['STARTTLS'] })
    const transporter = createTransport({ host: '127.0.0.1', port: server.port, ignoreTLS: true })
    onTestFinished(() => transporter.close())
    await transporter.sendMail(hello)
    expect(server.conversations[0]?.commands).not.toContain('STARTTLS')
  })

  it('ignoreTLS contradicts secure and requireTLS', async () => {
    for (const options of [{ secure: true }, { requireTLS: true }]) {
      const transporter = createTransport({ host: '127.0.0.1', ignoreTLS: true, ...options })
      await expect(transporter.sendMail(hello)).rejects.toMatchObject({
        code: 'INVALID_OPTIONS',
        path: 'transport.ignoreTLS',
      })
    }
  })

  it('maxMessages replaces the connections of a pool', async () => {
    const server = await ScriptedServer.start()
    const transporter = createTransport({
      host: '127.0.0.1',
      port: server.port,
      pool: true,
      maxConnections: 1,
      maxMessages: 2,
    })
    onTestFinished(() => transporter.close())
    await Promise.all(Array.from({ length: 5 }, () => transporter.sendMail(hello)))
    expect(server.conversations.map(({ messages }) => messages.length)).toEqual([2, 2, 1])
  })

  it('maxRecipients holds for every message', async () => {
    const transporter = createTransport({ host: '127.0.0.1', maxRecipients: 1 })
    await expect(transporter.sendMail({ ...hello, to: 'a@b.example, c@d.example' })).rejects.toMatchObject({
      path: 'to',
    })
  })

  it.each<[string, unknown]>([
    ['a string', 'Friends: Ada <ada@x.example>, bob@x.example;, eve@x.example'],
    ['a quoted name', '"Friends, all: of; them": Ada <ada@x.example>, bob@x.example;, eve@x.example'],
    ['strings and objects', ['Friends: ada@x.example, bob@x.example;', { address: 'eve@x.example' }]],
    [
      'a group object',
      [{ name: 'Friends', group: [{ address: 'ada@x.example' }, 'bob@x.example'] }, 'eve@x.example'],
    ],
    ['an empty group besides', ['ada@x.example, bob@x.example', 'nobody:;', 'eve@x.example']],
  ])('the members of a group are recipients: %s', async (_, to) => {
    const inbox = await testInbox()
    const transporter = createTransport(inbox.url)
    onTestFinished(() => transporter.close())
    const info = await transporter.sendMail({ ...hello, to: to as string })
    expect(info.accepted).toEqual(['ada@x.example', 'bob@x.example', 'eve@x.example'])
  })
})
