import { once } from 'node:events'
import { request } from 'node:http'
import type { SmtpIntakeLimits } from 'threadpost/intake'
import { describe, expect, it } from 'vitest'
import { createAuthority } from '../support/certificate.js'
import {
  ACME,
  ADA,
  clientOf,
  MESSAGE,
  plainToken,
  quietIntake,
  submit,
  testIntake,
} from '../support/intake.js'
import { mailerWithInbox } from '../support/mailer.js'
import { RawClient } from '../support/rawClient.js'

const users = [{ user: 'shop', pass: 'secret' }]
const BEGIN = [`MAIL FROM:<${ACME}>`, `RCPT TO:<${ADA}>`, 'DATA']

async function begun(client: RawClient): Promise<void> {
  for (const command of BEGIN) await client.ask(command)
}

describe('a hostile client of the SMTP intake', () => {
  it('relays nothing without a password', async () => {
    const intake = await quietIntake({ auth: { users } })
    for (const commands of [
      [`MAIL FROM:<${ACME}>`, `RCPT TO:<${ADA}>`, 'DATA'],
      ['MAIL FROM:<>', `RCPT TO:<${ADA}>`],
      [`RCPT TO:<${ADA}>`, 'DATA'],
      [`AUTH PLAIN ${plainToken('shop', '')}`, ...BEGIN],
      [`AUTH PLAIN ${Buffer.from('shop').toString('base64')}`, ...BEGIN],
      ['AUTH PLAIN ====', ...BEGIN],
      ['AUTH CRAM-MD5', ...BEGIN],
      ['AUTH XCLIENT', ...BEGIN],
      ['XCLIENT ADDR=127.0.0.1 LOGIN=shop', ...BEGIN],
      ['WIZ', 'SHELL', 'KILL', ...BEGIN.slice(0, 1)],
    ]) {
      const client = await clientOf(intake)
      for (const command of commands) expect(await client.ask(command)).toMatch(/^5/)
    }
    const client = new RawClient(intake.port)
    await client.reply()
    expect(await client.ask(`MAIL FROM:<${ACME}>`)).toMatch(/^503 /)
  })

  it('may send reports without a password, and nothing else', async () => {
    const intake = await quietIntake({ auth: { users }, bounces: 'bounces@acme.example' })
    const client = await clientOf(intake)
    expect(await client.ask('MAIL FROM:<>')).toMatch(/^250 /)
    for (const to of [ADA, 'bounces@example.com', 'bounces2@acme.example', 'x+bounces@acme.example'])
      expect(await client.ask(`RCPT TO:<${to}>`)).toMatch(/^530 5\.7\.0 /)
    expect(await client.ask('DATA')).toMatch(/^503 /)
    expect(await client.ask('RCPT TO:<Bounces+token@ACME.example>')).toMatch(/^250 /)
    expect(await client.ask(`RCPT TO:<${ADA}>`)).toMatch(/^452 4\.5\.3 /)
    await client.ask('RSET')
    await client.ask(`AUTH PLAIN ${plainToken('shop', 'secret')}`)
    await client.ask(`MAIL FROM:<${ACME}>`)
    expect(await client.ask(`RCPT TO:<${ADA}>`)).toMatch(/^250 /)
    expect(await client.ask('RCPT TO:<bounces@acme.example>')).toMatch(/^452 4\.5\.3 /)
  })

  it('has three attempts at a password, and its address a limited number', async () => {
    const intake = await quietIntake({ auth: { users }, limits: { failedLogins: 4 } })
    const known = await clientOf(intake)
    expect(await known.ask(`AUTH PLAIN ${plainToken('shop', 'secret')}`)).toMatch(/^235 /)
    const wrong = `AUTH PLAIN ${plainToken('eve', 'guess')}`
    const client = await clientOf(intake)
    expect(await client.ask(wrong)).toMatch(/^535 /)
    expect(await client.ask(wrong)).toMatch(/^535 /)
    expect(await client.ask(wrong)).toMatch(/^421 4\.7\.0 /)
    await client.closed()
    const second = await clientOf(intake)
    expect(await second.ask(wrong)).toMatch(/^535 /)
    expect(await second.ask(wrong)).toMatch(/^454 4\.7\.0 /)
    const returning = await clientOf(intake)
    expect(await returning.ask(`AUTH PLAIN ${plainToken('shop', 'secret')}`)).toMatch(/^235 /)
  })

  it.each([
    ['a bare LF in a command', 'NOOP\nNOOP\r\n'],
    ['a bare CR in a command', 'NOOP\rNOOP\r\n'],
    ['a bare LF after a CRLF', 'NOOP\r\n\nNOOP\r\n'],
  ])('is disconnected after %s', async (_, bytes) => {
    const client = await clientOf(await quietIntake())
    client.socket.write(bytes)
    const replies = []
    try {
      for (;;) replies.push(await client.reply())
    } catch {
      expect(replies.at(-1)).toMatch(/^500 5\.5\.2 Commands must end with CRLF/)
    }
    await client.closed()
  })

  it.each([
    ['LF . LF', '\n.\n'],
    ['LF . CRLF', '\n.\r\n'],
    ['CRLF . LF', '\r\n.\n'],
    ['CR . CRLF', '\r.\r\n'],
    ['CRLF . CR', '\r\n.\r'],
    ['CR LF . CR LF in a UTF-8 disguise', '\u0d0a.\u0d0a\r'],
    ['NUL', '\r\n\0.\r\n'],
  ])('smuggles no second message with %s', async (_, end) => {
    const { mailer, inbox } = await mailerWithInbox()
    const client = await clientOf(await testIntake(mailer))
    await begun(client)
    client.socket.write(
      `${MESSAGE.join('\r\n')}${end}MAIL FROM:<${ACME}>\r\nRCPT TO:<eve@example.com>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\n`,
    )
    expect(await client.reply()).toMatch(/^554 5\.6\.0 The message contains a (bare (CR|LF)|NUL)/)
    expect(await submit(client)).toMatch(/^250 /)
    await inbox.waitFor()
    expect(inbox.count).toBe(1)
  })

  it('ends its message only with the whole terminator, however it cuts the octets', async () => {
    const { mailer, inbox } = await mailerWithInbox()
    const client = await clientOf(await testIntake(mailer))
    await begun(client)
    client.socket.setNoDelay(true)
    for (const octet of `..\r\n${MESSAGE.join('\r\n')}\r\n..\r\n...\r\n.\r\n`.replace('..\r\n', '')) {
      client.socket.write(octet)
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(await client.reply()).toMatch(/^250 /)
    const { raw } = await inbox.waitFor()
    expect(Buffer.from(raw).toString()).toMatch(/Hello\.\r\n\.\r\n\.\.\r\n$/)
  })

  it('is told that a message is too large, before and after it was sent, and is cut off if it goes on', async () => {
    const client = await clientOf(await quietIntake({ size: 2_000 }))
    expect(await client.ask(`MAIL FROM:<${ACME}> SIZE=2001`)).toMatch(/^552 5\.3\.4 /)
    expect(await submit(client, [...MESSAGE, 'x'.repeat(2_000)])).toMatch(/^552 5\.3\.4 /)
    expect(await submit(client)).toMatch(/^250 /)
    await begun(client)
    client.say('x'.repeat(20_000))
    expect(await client.reply()).toMatch(/^421 5\.3\.4 /)
    await client.closed()
  })

  it.each([
    ['a header larger than allowed', [`X-A: ${'a'.repeat(1_000)}`], '552 5.3.4 The header is larger'],
    ['more fields than allowed', Array<string>(60).fill('X-A: a'), '552 5.3.4 The header has more than'],
    ['a line that is no field', ['From somebody'], '554 5.6.0 Line 1 of the header is not a field'],
    [
      '31 Received fields',
      Array<string>(31).fill('Received: x'),
      '554 5.4.6 The message has 31 Received fields',
    ],
    ['no From', ['Subject: x', ''], '554 5.6.0 raw: has no From field'],
  ])('is refused with %s', async (_, lines, reply) => {
    const client = await clientOf(await quietIntake({ limits: { header: 900, fields: 50 } }))
    expect(await submit(client, [...lines, ...MESSAGE])).toContain(reply)
    expect(await submit(client)).toMatch(/^250 /)
  })

  it('is refused more recipients than allowed, one by one, and recipients without SMTPUTF8', async () => {
    const client = await clientOf(await quietIntake({ limits: { recipients: 2 } }))
    await client.ask(`MAIL FROM:<${ACME}>`)
    expect(await client.ask('RCPT TO:<grüße@example.com>')).toMatch(/^553 5\.6\.7 /)
    expect(await client.ask('RCPT TO:<"a@b"@example.com>')).toMatch(/^5/)
    for (const to of ['a@example.com', 'b@example.com'])
      expect(await client.ask(`RCPT TO:<${to}>`)).toMatch(/^250 /)
    expect(await client.ask('RCPT TO:<c@example.com>')).toMatch(/^452 4\.5\.3 /)
    await client.ask('DATA')
    expect(await client.ask(...MESSAGE, '.')).toMatch(/^250 /)
  })

  it.each<[string, SmtpIntakeLimits, (client: RawClient) => Promise<void>]>([
    ['commands', { command: 50 }, async (client) => void client.socket.write('NOO')],
    ['messages', { transfer: 50 }, (client) => begun(client)],
  ])('has a limited time for its %s, even if it sends an octet now and then', async (_, limits, start) => {
    const client = await clientOf(await quietIntake({ limits }))
    await start(client)
    const trickle = setInterval(() => client.socket.write('x'), 5)
    try {
      expect(await client.reply()).toMatch(/^421 4\.4\.2 /)
    } finally {
      clearInterval(trickle)
    }
  })

  it('is disconnected after too many commands, known or not, and after too long a line', async () => {
    const intake = await quietIntake()
    for (const [lines, reply] of [
      [Array<string>(200).fill('NOOP'), /^421 4\.7\.0 Too many commands/m],
      [Array<string>(200).fill('RSET'), /^421 4\.7\.0 Too many commands/m],
      [Array<string>(200).fill('\u0000\u0001garbage'), /^421 .*too many unrecognized commands/m],
      [[`AUTH PLAIN ${'A'.repeat(1_000_000)}`], /^421 .*Command line too long/m],
    ] as const) {
      const client = await clientOf(intake)
      client.say(...lines)
      await client.closed()
      expect(client.heard).toMatch(reply)
    }
  })

  it('leaves room for others: connections and memory are limited by client', async () => {
    const intake = await quietIntake({
      size: 5_000,
      auth: { users: [...users, { user: 'other', pass: 'secret' }] },
      limits: { memory: 10_000, connectionsPerClient: 4 },
    })
    const login = async (user: string) => {
      const client = await clientOf(intake)
      await client.ask(`AUTH PLAIN ${plainToken(user, 'secret')}`)
      await begun(client)
      return client
    }
    const [slow, second, other] = [await login('shop'), await login('shop'), await login('other')]
    const long = 'x'.repeat(3_000)
    slow.say(...MESSAGE, long)
    const last = await clientOf(intake)
    await last.ask('NOOP')
    expect(await second.ask(...MESSAGE, long, '.')).toMatch(/^452 4\.3\.1 /)
    expect(await other.ask(...MESSAGE, long, '.')).toMatch(/^250 /)
    const refused = new RawClient(intake.port)
    expect(await refused.reply()).toMatch(/^421 4\.7\.0 Too many connections/)
    expect(await slow.ask('.')).toMatch(/^250 /)
    expect(await submit(second, [...MESSAGE, long])).toMatch(/^250 /)
  })

  it('can open no more connections by not beginning TLS', async () => {
    const { key, cert } = createAuthority().issue('127.0.0.1')
    const tls = { key, cert, implicit: true }
    const intake = await quietIntake({ tls, limits: { connectionsPerClient: 2 } })
    const silent = [new RawClient(intake.port), new RawClient(intake.port)]
    for (const client of silent) await once(client.socket, 'connect')
    const third = new RawClient(intake.port)
    await third.closed()
    expect(silent.map(({ ended }) => ended)).toEqual([undefined, undefined])
    await intake.close({ deadline: 60_000 })
    for (const client of silent) await client.closed()
  })

  it('injects no command before TLS, and no line break into a reply or a Received field', async () => {
    const { key, cert } = createAuthority().issue('127.0.0.1')
    const secure = await clientOf(await quietIntake({ auth: { users }, tls: { key, cert } }))
    secure.socket.write('STARTTLS\r\nNOOP\r\nNOOP\r\n')
    expect(await secure.reply()).toMatch(/^220 /)
    expect(await secure.hearsNothing()).toBe(true)

    const { mailer, inbox } = await mailerWithInbox()
    const client = new RawClient((await testIntake(mailer)).port)
    await client.reply()
    expect(await client.ask('EHLO a\u0085b')).toMatch(/^501 /)
    await client.ask('EHLO (a);by:evil.example')
    expect(await submit(client)).toMatch(/^250 /)
    const { headers } = await inbox.waitFor()
    expect(headers[0]?.value).toMatch(/^from unknown \(\[127\.0\.0\.1\]\)\s+by mx\.acme\.example/)
  })

  it('is disconnected if it is a browser', async () => {
    const { port } = await quietIntake()
    const error = await new Promise((resolve) => {
      request({ port, method: 'POST' }).on('error', resolve).end('EHLO a\r\n')
    })
    expect(error).toBeInstanceOf(Error)
  })
})
