import { describe, expect, it } from 'vitest'
import { fromPrepared, toPrepared } from '../../src/message/prepare.js'
import { toJob } from '../../src/message/toJob.js'
import { MailApi, SECRET, SENDGRID, SES } from '../support/mailApi.js'
import { testMailer } from '../support/mailer.js'
import { job, NOW, refusal, rules } from '../support/messageRules.js'
import { ScriptedServer } from '../support/scriptedServer.js'

const MESSAGE =
  'From: =?utf-8?q?Ada?= <ada@acme.example>\r\nSubject:  Hi\r\nMessage-ID: <own@acme.example>\r\nX-Odd:  two  spaces \r\n\r\nBody\r\n.dot\r\n..two\r\n \t\r\n'
const envelope = { from: 'bounces@acme.example', to: ['bob@example.com', 'eve@example.com'] }
const octetsOf = (raw: string | Uint8Array) => {
  const { content } = job({ raw, envelope })
  return content.kind === 'raw' ? Buffer.from(content.octets).toString('latin1') : ''
}

describe('a finished message', () => {
  it('is sent unchanged over SMTP, to the recipients of its envelope', async () => {
    const server = await ScriptedServer.start()
    const mailer = await testMailer({ transport: `smtp://127.0.0.1:${server.port}` })
    const receipt = await mailer.send({ raw: MESSAGE, envelope })
    expect(receipt.messageId).toBe('<own@acme.example>')
    const message = await mailer.wait(receipt.id)
    expect(message).toMatchObject({ status: 'sent', from: { address: 'ada@acme.example' }, subject: 'Hi' })
    expect(server.messages).toEqual([{ ...envelope, data: MESSAGE }])
  })

  it('finds its author behind a quoted name or local part with angle brackets', () => {
    for (const [from, address] of [
      ['"Ada <b> L" <ada@acme.example>', 'ada@acme.example'],
      ['"a \\" <x>" <"john doe"@acme.example>', '"john doe"@acme.example'],
    ])
      expect(
        job({ raw: `From: ${from}\r\n\r\n`, envelope: { from: '', to: 'bob@example.com' } }).from,
      ).toEqual({ address })
  })

  it('keeps every octet, and only its line endings become CRLF', () => {
    const bytes = Buffer.concat([
      Buffer.from('From: a@b.example\r\n\r\n'),
      Buffer.from(
        Array.from({ length: 255 }, (_, index) => index + 1).filter((octet) => octet !== 10 && octet !== 13),
      ),
    ])
    expect(Buffer.from(octetsOf(bytes), 'latin1').equals(bytes)).toBe(true)
    expect(octetsOf('From: a@b.example\n\na\rb\n\r\n.\n')).toBe(
      'From: a@b.example\r\n\r\na\r\nb\r\n\r\n.\r\n',
    )
    expect(octetsOf('From: a@b.example\n\nü')).toBe('From: a@b.example\r\n\r\nÃ¼')
  })

  it('fails with a clear code where the server does not take its octets', async () => {
    const server = await ScriptedServer.start({ extensions: ['PIPELINING'] })
    const mailer = await testMailer({ transport: `smtp://127.0.0.1:${server.port}` })
    const eightBit = await mailer.sendAndWait({ raw: 'From: a@b.example\n\nGrüße', envelope })
    expect(eightBit.attempts[0]?.code).toBe('8BITMIME_UNSUPPORTED')
    const utf8 = await mailer.sendAndWait({ raw: 'From: a@b.example\nSubject: Grüße\n\nx', envelope })
    expect(utf8.attempts[0]?.code).toBe('SMTPUTF8_UNSUPPORTED')
    expect(server.messages).toEqual([])
  })

  it('is sent unchanged over Amazon SES', async () => {
    const api = await MailApi.start(SES)
    const mailer = await testMailer({
      transport: {
        url: 'ses://eu-central-1',
        credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: SECRET },
        endpoint: api.url,
      },
    })
    await mailer.sendAndWait({ raw: MESSAGE, envelope: { ...envelope, from: '' } })
    expect(api.taken[0]).toEqual({ to: envelope.to, text: MESSAGE })
  })

  it('is refused at acceptance for a service that builds its messages itself, even as a failover', async () => {
    const api = await MailApi.start(SENDGRID)
    const sendgrid = { url: 'sendgrid:', apiKey: SECRET, endpoint: api.url }
    const mailer = await testMailer({
      threads: 0,
      transports: {
        sendgrid,
        smtp: { url: 'smtp://127.0.0.1:1', failover: 'sendgrid' },
        plain: 'smtp://127.0.0.1:1',
      },
    })
    for (const transport of ['sendgrid', 'smtp'])
      await expect(mailer.send({ raw: MESSAGE, envelope, transport })).rejects.toMatchObject({
        code: 'UNSUPPORTED',
        path: 'raw',
      })
    await expect(mailer.send({ raw: MESSAGE, envelope, transport: 'plain' })).resolves.toBeDefined()
  })

  it('survives a queue on disk and prepare()', () => {
    for (const raw of [MESSAGE, Buffer.from('From: a@b.example\r\n\r\n\xff\xfe', 'latin1')]) {
      const first = job({ raw, envelope })
      const { mail, origin } = fromPrepared(JSON.parse(JSON.stringify(toPrepared({ raw, envelope }, first))))
      expect(toJob(mail, rules, NOW, origin).content).toEqual(first.content)
    }
  })

  it.each([
    ['=?utf-8?q?Gr=C3=BC=C3=9Fe?=', 'Grüße'],
    ['=?UTF-8?B?R3LDvA==?=\r\n =?utf-8*de?Q?=C3=9Fe_an?= Ada', 'Grüße an Ada'],
    ['=?iso-8859-1?q?=FC?= =?x-unknown?q?a?=', 'ü=?x-unknown?q?a?='],
    ['a =?b =?utf-8?q?=0D=0Ab?=', 'a =?b   b'],
  ])('has its subject decoded: %s', (encoded, subject) => {
    expect(job({ raw: MESSAGE.replace(' Hi', ` ${encoded}`), envelope }).subject).toBe(subject)
  })

  it('is the same request if only its trace, date, or identifier differs', () => {
    const print = (raw: string | Uint8Array) => job({ raw, envelope, idempotencyKey: 'a' }).fingerprint
    const traced = `Received: from a\r\n by b\r\nDate: now\r\n${MESSAGE.replace('own@', 'other@')}`
    expect(print(traced)).toBe(print(MESSAGE))
    expect(print(Buffer.from(traced))).toBe(print(MESSAGE))
    expect(print(MESSAGE.replace('Body', 'Received: x'))).not.toBe(print(MESSAGE))
    expect(print(MESSAGE.replace('Hi', 'Ho'))).not.toBe(print(MESSAGE))
  })

  it.each([
    ['no envelope', { raw: MESSAGE }, 'envelope.from'],
    ['no sender in its envelope', { raw: MESSAGE, envelope: { to: 'a@b.example' } }, 'envelope.from'],
    ['no recipient in its envelope', { raw: MESSAGE, envelope: { from: '' } }, 'envelope.to'],
    ['a subject beside it', { raw: MESSAGE, envelope, subject: 'x' }, 'subject'],
    ['a recipient beside it', { raw: MESSAGE, envelope, to: 'a@b.example' }, 'to'],
    ['an attachment beside it', { raw: MESSAGE, envelope, attachments: [] }, 'attachments'],
    ['no header', { raw: 'Hello', envelope }, 'raw'],
    ['no From', { raw: 'Subject: x\n\nx', envelope }, 'raw'],
    ['a NUL', { raw: `${MESSAGE}\0`, envelope }, 'raw'],
    ['a number', { raw: 5, envelope }, 'raw'],
  ])('is refused with %s', (_, mail, at) => {
    expect(refusal(mail).path).toBe(at)
  })
})
