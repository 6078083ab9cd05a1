import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'
import { createMailer } from 'threadpost'
import {
  createTestAccount,
  createTransport,
  type MailOptions,
  type OffloadOptions,
  type Transporter,
} from 'threadpost/nodemailer'
import { type Fault, type Inbox, startInbox } from 'threadpost/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { testInbox } from '../support/mailer.js'

const run = promisify(execFile)
const hello = { from: 'sender@server.example', to: 'ada@example.com', subject: 'Hello', text: 'Hi' }

async function inboxWith(
  faults: Fault[],
  options: OffloadOptions = {},
): Promise<{ inbox: Inbox; transporter: Transporter }> {
  const inbox = await startInbox({ faults })
  const transporter = createTransport(inbox.url, {}, options)
  onTestFinished(async () => {
    await transporter.close()
    await inbox.close()
  })
  return { inbox, transporter }
}

describe('sendMail() of threadpost/nodemailer', () => {
  it('rejects with EENVELOPE if all recipients are refused', async () => {
    const { transporter } = await inboxWith([{ at: 'rcpt', do: 'refuse' }])
    await expect(transporter.sendMail({ ...hello, to: 'a@x.example, b@x.example' })).rejects.toMatchObject({
      code: 'EENVELOPE',
      command: 'RCPT TO',
      responseCode: 550,
      response: expect.stringMatching(/^550 /),
      rejected: ['a@x.example', 'b@x.example'],
      rejectedErrors: [{ recipient: 'a@x.example', responseCode: 550 }, { recipient: 'b@x.example' }],
    })
  })

  it('resolves if one of two recipients is refused', async () => {
    const { transporter } = await inboxWith([{ at: 'rcpt', do: 'refuse', to: 'b@x.example' }])
    const info = await transporter.sendMail({ ...hello, to: ['a@x.example', 'b@x.example'] })
    expect(info).toMatchObject({ accepted: ['a@x.example'], rejected: ['b@x.example'] })
    expect(info.rejectedErrors[0]).toMatchObject({ recipient: 'b@x.example', code: 'EENVELOPE' })
  })

  it('rejects with EMESSAGE if the body is refused', async () => {
    const { transporter } = await inboxWith([{ at: 'dot', do: 'refuse' }])
    await expect(transporter.sendMail(hello)).rejects.toMatchObject({
      code: 'EMESSAGE',
      responseCode: expect.any(Number),
      messageId: expect.stringContaining('@server.example>'),
    })
  })

  it('rejects after a deferral without retries', async () => {
    const { transporter } = await inboxWith([{ at: 'rcpt', do: 'defer' }], { retry: { attempts: 1 } })
    await expect(transporter.sendMail(hello)).rejects.toMatchObject({ code: 'EENVELOPE', responseCode: 450 })
  })

  it('rejects with WAIT_TIMEOUT during a long deferral, and delivery continues', async () => {
    const { inbox, transporter } = await inboxWith([{ at: 'rcpt', do: 'defer', times: 1 }], {
      timeout: 50,
      retry: { baseDelay: 2_000, jitter: 'none' },
    })
    await expect(transporter.sendMail(hello)).rejects.toMatchObject({ code: 'WAIT_TIMEOUT' })
    expect((await inbox.waitFor()).subject).toBe('Hello')
  })

  it('rejects with ECONNECTION, ETIMEDOUT, or EAUTH if the server is down or refuses the password', async () => {
    const inbox = await testInbox({ auth: { user: 'ada', pass: 'right' } })
    const wrong = createTransport({
      host: inbox.host,
      port: inbox.port,
      auth: { user: 'ada', pass: 'wrong' },
    })
    onTestFinished(() => wrong.close())
    await expect(wrong.verify()).rejects.toMatchObject({ code: 'EAUTH', responseCode: 535 })
    const stopped = await startInbox()
    await stopped.close()
    const unreachable = createTransport(stopped.url, {}, { maxAge: 300 })
    onTestFinished(() => unreachable.close())
    await expect(unreachable.verify()).rejects.toMatchObject({ code: 'ECONNECTION' })
    await expect(unreachable.sendMail(hello)).rejects.toMatchObject({ code: 'ETIMEDOUT' })
  })

  it('rejects with the reason of an abort signal', async () => {
    const inbox = await testInbox({ faults: [{ at: 'rcpt', do: 'defer' }] })
    const mailer = await createMailer({
      transport: inbox.url,
      retry: { baseDelay: 3_600_000, jitter: 'none' },
    })
    onTestFinished(() => mailer.close())
    const aborter = new AbortController()
    const deferred = new Promise((resolve) => mailer.once('deferred', resolve))
    const sending = createTransport(mailer).sendMail({ ...hello, signal: aborter.signal })
    await deferred
    aborter.abort(new Error('enough'))
    await expect(sending).rejects.toThrow('enough')
    await expect(createTransport(mailer).sendMail({ ...hello, signal: aborter.signal })).rejects.toThrow(
      'enough',
    )
  })
})

const REFUSED: [field: string, message: MailOptions][] = [
  ['attachments[0].headers.Bcc', { attachments: [{ content: 'x', headers: { Bcc: 'b@x.example' } }] }],
  [
    'attachments[0].headers.X-A',
    {
      attachments: [
        { content: 'x', headers: { 'X-A': { prepared: true, value: 'a\r\nBcc: evil@x.example' } } },
      ],
    },
  ],
  ['headers.X-A', { headers: { 'X-A': { prepared: true, value: 'a\r\nBcc: evil@x.example' } } }],
  ['dkim', { dkim: { domainName: 'x.example', keySelector: 'a', privateKey: 'b' } }],
  ['dsn', { dsn: { id: '1', return: 'headers', notify: 'success' } }],
  [
    'envelope.requireTLSExtensionEnabled',
    { envelope: { to: 'receiver@example.com', requireTLSExtensionEnabled: true } },
  ],
]

const HIJACKS: [path: string, message: object][] = [
  ['to', { to: 'b@x.example\r\nBcc: evil@y.example' }],
  ['to', { to: 'user@good.example(x)evil.example' }],
  ['to', { to: 'a@x.example; evil@y.example' }],
  ['to', { to: 'friends: a@x.example, evil@y.example' }],
  ['to', { to: 'a@x.example: evil@y.example;' }],
  ['to', { to: 'friends: others: a@x.example;;' }],
  ['to', { to: '"a@x.example, evil@y.example' }],
  ['to', { to: '"a@x.example"@evil.example' }],
  ['to', { to: 'a@x.example <evil@y.example> b@z.example' }],
  ['to.address', { to: { name: '', address: 'a@x.example, evil@y.example' } }],
  ['to[1].address', { to: ['a@x.example', { address: 'x@y.example>\r\nRCPT TO:<evil@y.example' }] }],
  ['from', { from: 'a@x.example, b@x.example' }],
  ['headers.Bcc', { headers: { Bcc: 'evil@y.example' } }],
  ['headers.X-A', { headers: { 'X-A': 'b\r\nBcc: evil@y.example' } }],
  ['envelope.to', { envelope: { from: 'a@x.example', to: 'a@x.example>\r\nRCPT TO:<evil@y.example' } }],
  ['envelope.to', { envelope: { to: 'somebody@else.example' } }],
  ['subject', { subject: 'x\r\nBcc: evil@y.example' }],
  ['messageId', { messageId: 'a@b\r\nBcc: evil@y.example' }],
  ['list.help.url', { list: { help: 'a@b.example>\r\nBcc: <evil@y.example' } }],
  ['headers.List-Help', { list: { help: { url: 'a@b.example', comment: 'x\r\nBcc: evil@y.example' } } }],
  ['colour', { colour: 'red' }],
]

function dkim(more: object): object {
  return { dkim: { domainName: 'a.example', keySelector: 's', privateKey: 'k', ...more } }
}

describe('threadpost/nodemailer refuses', () => {
  const transporter = createTransport('smtp://127.0.0.1:9')

  it.each(REFUSED)('the unsupported field %s by name', async (field, message) => {
    await expect(transporter.sendMail({ ...hello, ...message })).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      path: field,
      message: expect.stringContaining(`${field}: `),
    })
  })

  it.each(HIJACKS)('injected recipients and headers: %s %o', async (path, message) => {
    const { inbox, transporter: own } = await inboxWith([])
    await expect(own.sendMail({ ...hello, ...message })).rejects.toMatchObject({
      code: 'INVALID_MESSAGE',
      path: expect.stringContaining(path),
    })
    expect(inbox.count).toBe(0)
  })

  it.each([
    ['sendmail', { sendmail: true }],
    ['transporter', { name: 'mine', version: '1', send: () => undefined }],
    ['dkim.skipFields', dkim({ skipFields: 'message-id:date' })],
    ['dkim.headerFieldNames', dkim({ headerFieldNames: 'from:to' })],
    ['dkim.hashAlgo', dkim({ hashAlgo: 'sha1' })],
    ['auth.type', { host: 'a.example', auth: { type: 'custom', user: 'a' } }],
  ])('the unsupported transport option %s by name', (field, options) => {
    expect(() => createTransport(options as never)).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED', path: field }) as Error,
    )
  })

  it('plugins, test accounts, and unknown services and options', () => {
    const refused = expect.objectContaining({ code: 'UNSUPPORTED' }) as Error
    for (const call of [
      () => transporter.use('transport', () => undefined),
      () => transporter.set(),
      () => transporter.get(),
    ])
      expect(call).toThrow(refused)
    expect(() => createTestAccount()).toThrow(refused)
    expect(() => createTransport({ service: 'no such service' })).toThrow(/service: is not known/)
    expect(() => createTransport({ hots: 'a.example' } as never)).toThrow(/did you mean "host"/)
    createTransport({ service: 'gmail', auth: { type: 'OAuth2', user: 'a@gmail.com', accessToken: 'x' } })
  })
})

/** The example of nodemailer's README, which doesn't close the transporter. */
const SCRIPT = `
import nodemailer from 'threadpost/nodemailer'
const transporter = nodemailer.createTransport(process.argv[2])
const info = await transporter.sendMail({ from: 'a@b.example', to: 'c@d.example', subject: 'x', text: 'y' })
console.log('Message sent: %s', info.messageId)
`

it('a script exits on its own once its mail is sent', async () => {
  const { inbox } = await inboxWith([])
  const cwd = path.resolve(import.meta.dirname, '../..')
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', SCRIPT, 'x', inbox.url], {
    cwd,
  })
  expect(stdout).toMatch(/^Message sent: <.+@b\.example>\n$/)
  expect(inbox.count).toBe(1)
})
