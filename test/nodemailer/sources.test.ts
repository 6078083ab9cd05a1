import { symlink } from 'node:fs/promises'
import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import {
  createTransport,
  type MailOptions,
  type OffloadOptions,
  type Transporter,
} from 'threadpost/nodemailer'
import type { ReceivedMail } from 'threadpost/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { folderOf } from '../support/folder.js'
import { testInbox } from '../support/mailer.js'

const hello = { from: 'sender@server.example', to: 'ada@example.com', subject: 'Hello', text: 'Hi' }

async function transporterWith(
  options: OffloadOptions = {},
  transport: object = {},
): Promise<{ transporter: Transporter; received: () => Promise<ReceivedMail>; count: () => number }> {
  const inbox = await testInbox()
  const transporter = createTransport({ host: inbox.host, port: inbox.port, ...transport }, {}, options)
  onTestFinished(() => transporter.close())
  return { transporter, received: () => inbox.waitFor(), count: () => inbox.count }
}

async function received(message: MailOptions, options: OffloadOptions = {}): Promise<ReceivedMail> {
  const { transporter, received: next } = await transporterWith(options)
  await transporter.sendMail({ ...hello, ...message })
  return next()
}

/** An HTTP server on loopback; returns its origin. */
async function site(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const textOf = (mail: ReceivedMail, name: string): string =>
  Buffer.from(mail.attachment(name).content).toString()

describe('content that a message names', () => {
  it('is read from files, which give attachments their name and type', async () => {
    const folder = await folderOf({
      'body.html': '<b>from a file</b><img src="cid:logo@example.com">',
      'notes.txt': 'notes',
      'logo.png': 'png',
    })
    const mail = await received({
      html: { path: path.join(folder, 'body.html') },
      attachments: [
        { path: path.join(folder, 'notes.txt') },
        { path: path.join(folder, 'logo.png'), cid: 'logo@example.com' },
        { filename: 'other.csv', path: path.join(folder, 'notes.txt') },
      ],
    })
    expect(mail.html).toContain('<b>from a file</b>')
    expect(textOf(mail, 'notes.txt')).toBe('notes')
    expect(mail.attachment('notes.txt').contentType).toBe('text/plain')
    expect(mail.attachment('logo.png')).toMatchObject({ inline: true, contentType: 'image/png' })
    expect(mail.attachment('other.csv').contentType).toBe('text/csv')
  })

  it('is read from streams, of Node and of the web', async () => {
    const mail = await received({
      text: Readable.from(['from ', 'a stream']),
      attachments: [
        { filename: 'node.txt', content: Readable.from([Buffer.from('one'), Buffer.from('two')]) },
        { filename: 'web.txt', content: new Response('web').body as never },
      ],
    })
    expect(mail.text?.trim()).toBe('from a stream')
    expect([textOf(mail, 'node.txt'), textOf(mail, 'web.txt')]).toEqual(['onetwo', 'web'])
  })

  it('is decoded from data: URLs', async () => {
    const mail = await received({
      attachments: [
        { filename: 'a.txt', path: 'data:text/plain;base64,aGVsbG8gd29ybGQ=' },
        { filename: 'b.txt', href: 'data:text/plain,100%25%20sure%' },
        { path: 'data:image/png;base64,iVBORw0KGgo=' },
      ],
    })
    expect([textOf(mail, 'a.txt'), textOf(mail, 'b.txt')]).toEqual(['hello world', '100% sure%'])
    expect(mail.attachment('attachment-3.png').contentType).toBe('image/png')
  })

  it('is fetched from URLs, through redirects, with its headers only for the first origin', async () => {
    const seen: (string | undefined)[] = []
    const record = ({ headers }: IncomingMessage) => seen.push(headers['x-token'] as string | undefined)
    const target = await site((request, response) => {
      record(request)
      response.setHeader('content-type', 'application/pdf; charset=binary')
      response.end('fetched')
    })
    const first = await site((request, response) => {
      record(request)
      response.writeHead(302, { location: `${target}/files/report` }).end()
    })
    const mail = await received(
      {
        attachments: [
          { href: `${first}/invoice.pdf?year=2026`, httpHeaders: { 'X-Token': 't' } },
          { path: `${target}/report` },
        ],
      },
      { allowPrivateHosts: true },
    )
    expect(seen).toEqual(['t', undefined, undefined])
    expect(textOf(mail, 'invoice.pdf')).toBe('fetched')
    expect(mail.attachment('report').contentType).toBe('application/pdf')
  })

  it('is read once: a retry sends the same bytes', async () => {
    const inbox = await testInbox({ faults: [{ at: 'dot', do: 'defer', times: 1 }] })
    const transporter = createTransport(inbox.url, {}, { retry: { baseDelay: 0 } })
    onTestFinished(() => transporter.close())
    await transporter.sendMail({
      ...hello,
      attachments: [{ filename: 'a.txt', content: Readable.from(['once']) }],
    })
    expect(textOf(await inbox.waitFor(), 'a.txt')).toBe('once')
  })
})

describe('content that may not be read', () => {
  async function refusal(
    message: MailOptions,
    options: OffloadOptions = {},
    transport: object = {},
  ): Promise<{ code: string; message: string }> {
    const { transporter, count } = await transporterWith(options, transport)
    const error: unknown = await transporter
      .sendMail({ ...hello, ...message })
      .catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(Error)
    expect(count()).toBe(0)
    return error as { code: string; message: string }
  }

  it.each<[string, object, object, object]>([
    ['the transport', { disableFileAccess: true, disableUrlAccess: true }, {}, {}],
    ['the message', {}, {}, { disableFileAccess: true, disableUrlAccess: true }],
  ])('is refused where %s disables files and URLs', async (_, transport, options, message) => {
    expect(await refusal({ ...message, html: { path: '/etc/hostname' } }, options, transport)).toMatchObject({
      code: 'EFILEACCESS',
      message: 'html.path: the access to files is disabled (disableFileAccess)',
    })
    expect(
      await refusal({ ...message, attachments: [{ href: 'https://a.example/' }] }, options, transport),
    ).toMatchObject({ code: 'EURLACCESS' })
  })

  it('is refused where the defaults disable files, whatever the message says', async () => {
    const transporter = createTransport('smtp://127.0.0.1:9', { disableFileAccess: true })
    await expect(
      transporter.sendMail({ ...hello, disableFileAccess: false, attachments: [{ path: '/etc/hostname' }] }),
    ).rejects.toMatchObject({ code: 'EFILEACCESS' })
  })

  it('is refused outside the folders of the option files, also through links and ..', async () => {
    const secret = await folderOf({ 'secret.txt': 'secret' })
    const folder = await folderOf({ 'ok.txt': 'ok' })
    await symlink(path.join(secret, 'secret.txt'), path.join(folder, 'link.txt'))
    await symlink(secret, path.join(folder, 'linked'))
    const options = { files: [folder] }
    expect(
      textOf(await received({ attachments: [{ path: path.join(folder, 'ok.txt') }] }, options), 'ok.txt'),
    ).toBe('ok')
    const outside = [
      path.join(secret, 'secret.txt'),
      path.join(folder, '..', path.basename(secret), 'secret.txt'),
      path.join(folder, 'link.txt'),
      path.join(folder, 'linked', 'secret.txt'),
      '/etc/passwd',
    ]
    for (const file of outside)
      expect(await refusal({ attachments: [{ path: file }] }, options)).toMatchObject({
        code: 'EFILEACCESS',
        message: 'attachments[0].path: the file is outside the folders of the option files',
      })
  })

  it('says which field, and no path', async () => {
    expect(await refusal({ attachments: [{ path: '/no/such/file' }] })).toMatchObject({
      code: 'ENOENT',
      message: "attachments[0].path: can't read the file: ENOENT",
    })
    expect(await refusal({ attachments: [{ path: '/etc' }] })).toMatchObject({
      message: 'attachments[0].path: is not a file',
    })
    expect(await refusal({ attachments: [{ path: '/dev/zero' }] })).toMatchObject({
      message: 'attachments[0].path: is not a file',
    })
  })

  it('is refused from private addresses, also behind a name and a redirect', async () => {
    const origin = await site((_, response) => response.end('secret'))
    const { port } = new URL(origin)
    for (const host of [
      '127.0.0.1',
      'localhost',
      '[::1]',
      '[::ffff:127.0.0.1]',
      '2130706433',
      '0x7f.1',
      '0.0.0.0',
    ])
      expect(await refusal({ html: { href: `http://${host}:${port}/` } })).toMatchObject({
        code: 'EFETCH',
        message: expect.stringContaining('is a private address') as string,
      })
  })

  it('is refused above limits.message, all sources together', async () => {
    const folder = await folderOf({ 'big.bin': 'x'.repeat(600) })
    const file = { path: path.join(folder, 'big.bin') }
    const endless = new PassThrough()
    const write = (): void => {
      while (endless.write(Buffer.alloc(100)));
      endless.once('drain', write)
    }
    write()
    const limits = { limits: { message: 1_000 } }
    const sentence = expect.stringContaining('larger than limits.message, 1000 bytes') as string
    expect(await refusal({ attachments: [file, file] }, limits)).toMatchObject({ message: sentence })
    expect(await refusal({ attachments: [{ content: endless }] }, limits)).toMatchObject({
      message: sentence,
    })
    expect(endless.destroyed).toBe(true)
    const origin = await site((_, response) => response.end('y'.repeat(2_000)))
    expect(
      await refusal({ attachments: [{ href: origin }] }, { ...limits, allowPrivateHosts: true }),
    ).toMatchObject({ message: sentence })
  })

  it.each<[string, RequestListener, string]>([
    ['404', (_, response) => response.writeHead(404).end(), 'status 404'],
    [
      'an endless redirect',
      (_, response) => response.writeHead(301, { location: '/' }).end(),
      'more than 5 times',
    ],
    [
      'a redirect to a file',
      (_, response) => response.writeHead(301, { location: 'file:///etc/passwd' }).end(),
      'not http',
    ],
    [
      'an unexpected compression',
      (_, response) => response.writeHead(200, { 'content-encoding': 'br' }).end(),
      'compressed',
    ],
  ])('is refused if the server answers with %s', async (_name, listener, expected) => {
    const href = await site(listener)
    expect(await refusal({ attachments: [{ href }] }, { allowPrivateHosts: true })).toMatchObject({
      code: 'EFETCH',
      message: expect.stringContaining(expected) as string,
    })
  })

  it('is refused if a stream fails', async () => {
    const failing = new Readable({
      read() {
        this.destroy(new Error('broken pipe'))
      },
    })
    expect(await refusal({ attachments: [{ content: failing }] })).toMatchObject({
      code: 'ESTREAM',
      message: "attachments[0].content: can't read the stream: broken pipe",
    })
  })
})
