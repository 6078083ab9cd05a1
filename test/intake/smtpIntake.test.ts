import { smtpIntake } from 'threadpost/intake'
import { describe, expect, it } from 'vitest'
import { createAuthority } from '../support/certificate.js'
import { folderOf } from '../support/folder.js'
import {
  ACME,
  ADA,
  clientOf,
  idIn,
  MESSAGE,
  plainToken,
  quietIntake,
  submit,
  testIntake,
} from '../support/intake.js'
import { MailApi, SECRET, SENDGRID } from '../support/mailApi.js'
import { mailerWithInbox, testMailer } from '../support/mailer.js'
import { dsn } from '../support/reportMails.js'
import { type Answer, ScriptedServer, SILENCE } from '../support/scriptedServer.js'

describe('the SMTP intake', () => {
  it('replies with the id of a message that the queue has stored, and relays its octets', async () => {
    const server = await ScriptedServer.start()
    const queue = `sqlite:${await folderOf({})}/outbox.db`
    const mailer = await testMailer({ transport: `smtp://127.0.0.1:${server.port}`, queue })
    const client = await clientOf(await testIntake(mailer))
    const reply = await submit(client, [...MESSAGE, '..a dot', 'café', '  spaces  '])
    expect(reply).toMatch(/^250 2\.6\.0 Queued as [0-9a-f-]{36}$/)
    await mailer.wait(idIn(reply))
    expect(server.messages[0]).toMatchObject({ from: ACME, to: [ADA] })
    const [, trace = '', rest = ''] =
      /^(Received: [^]*?)(From: [^]*)$/.exec(server.messages[0]?.data ?? '') ?? []
    expect(trace).toMatch(
      /^Received: from app\.acme\.example \(\[127\.0\.0\.1\]\)\r\n\tby mx\.acme\.example with ESMTP id \w+\.1;\r\n\t\w{3}, \d\d \w{3} \d{4} [\d:]{8} \+0000\r\n$/,
    )
    expect(Buffer.from(rest, 'latin1').toString()).toBe(
      [...MESSAGE, '.a dot', 'café', '  spaces  ', ''].join('\r\n'),
    )
  })

  it.each([20_000, 200_000, 2_000_000])(
    'relays %i octets unchanged, whether or not the client states the size',
    async (size) => {
      const server = await ScriptedServer.start()
      const queue = `sqlite:${await folderOf({})}/outbox.db`
      const mailer = await testMailer({ transport: `smtp://127.0.0.1:${server.port}`, queue })
      const client = await clientOf(await testIntake(mailer))
      const [first = '', ...rest] = MESSAGE
      const lines = Array.from({ length: size / 80 }, (_, n) => `${n} `.padEnd(41, 'é'))
      for (const stated of ['', ` SIZE=${size}`]) {
        await client.ask(`MAIL FROM:<${ACME}>${stated}`)
        await client.ask(`RCPT TO:<${ADA}>`)
        await client.ask('DATA')
        const reply = await client.ask(first, 'Bcc: eve@example.com', ...rest, ...lines, '.')
        await mailer.wait(idIn(reply))
        const data = Buffer.from(server.messages.at(-1)?.data ?? '', 'latin1').toString()
        expect(data.slice(data.indexOf(first)) === [...MESSAGE, ...lines, ''].join('\r\n')).toBe(true)
      }
    },
  )

  it('takes recipients whose local part is quoted, or has dots at its end or in a row', async () => {
    const { mailer, inbox } = await mailerWithInbox()
    const client = await clientOf(await testIntake(mailer))
    const to = ['"abc..def"@docomo.ne.jp', 'abc.@docomo.ne.jp', '.abc..d@docomo.ne.jp', '"a b"@example.com']
    await mailer.wait(idIn(await submit(client, MESSAGE, { from: '"a. b"@acme.example', to })))
    const quoted = ['"abc..def"@docomo.ne.jp', '"abc."@docomo.ne.jp', '".abc..d"@docomo.ne.jp', to[3]]
    expect((await inbox.waitFor()).envelope).toEqual({ from: '"a. b"@acme.example', to: quoted })
    for (const wrong of [
      '"a\u0007b"@example.com',
      '"a"b"@example.com',
      '""@example.com',
      `"${'a'.repeat(65)}"@b.example`,
    ])
      expect(await submit(client, MESSAGE, { to: [wrong] }), wrong).toMatch(/^5\d\d /)
  })

  it('announces its extensions', async () => {
    const client = await clientOf(await quietIntake({ size: 1000 }))
    const announced = client.heard.match(/^250[- ](.*)\r$/gm)?.map((line) => line.slice(4, -1))
    expect(announced?.slice(1).sort()).toEqual([
      ...['8BITMIME', 'ENHANCEDSTATUSCODES', 'PIPELINING', 'SIZE 1000', 'SMTPUTF8'],
    ])
  })

  it('removes Bcc and control fields, and adds a Date and a Message-ID where they are missing', async () => {
    const { mailer, inbox } = await mailerWithInbox()
    const client = await clientOf(await testIntake(mailer))
    const lines = [
      ...[
        'Bcc: eve@example.com',
        ' , bob@example.com',
        `From: ${ACME}`,
        'X-THREADPOST-Tags: a, b',
        'Subject: x',
      ],
      ...['X-Threadpost-Priority: 7', 'Resent-Bcc: eve@example.com', 'X-Other: stays', '', 'x'],
    ]
    const id = idIn(await submit(client, lines))
    const mail = await inbox.waitFor()
    expect(Buffer.from(mail.raw).toString()).not.toMatch(/bcc|eve@|bob@|threadpost-/i)
    expect(mail.headers.map(({ name }) => name)).toEqual([
      ...['Received', 'Message-ID', 'Date', 'From', 'Subject', 'X-Other'],
    ])
    expect(mail.messageId).toMatch(/^<[0-9a-f-]{36}@mx\.acme\.example>$/)
    expect(await mailer.find(id)).toMatchObject({ tags: ['a', 'b'], priority: 7, messageId: mail.messageId })
  })

  it('renders a template with the data of a control field, folded and encoded as mail libraries do', async () => {
    const { mailer, inbox } = await mailerWithInbox({
      templates: await folderOf({
        'hello.mjml':
          '<mjml><mj-head><mj-title>Hi {{name}}</mj-title></mj-head><mj-body><mj-section><mj-column><mj-text>{{name}}, {{city}}</mj-text></mj-column></mj-section></mj-body></mjml>',
      }),
    })
    const client = await clientOf(await testIntake(mailer))
    const reply = await submit(
      client,
      [
        ...[
          `From: Acme <${ACME}>`,
          `To: Ada <${ADA}>`,
          'Subject: ',
          'Reply-To: help@acme.example',
          'X-Order: 42',
        ],
        ...[
          'X-Threadpost-Template: hello',
          'X-Threadpost-Data: {"name": =?utf-8?q?=22Zo=C3=AB=22=2C?=',
          ' "city": "Rome"}',
        ],
        ...['', 'This text is not used.'],
      ],
      { to: [ADA, 'bob@example.com'] },
    )
    expect(reply).toMatch(/^250 /)
    const mail = await inbox.waitFor({ to: ADA })
    expect(mail).toMatchObject({
      subject: 'Hi Zoë',
      to: [{ name: 'Ada', address: ADA }],
      replyTo: [{ address: 'help@acme.example' }],
    })
    expect(mail.text).toContain('Zoë, Rome')
    expect(mail.headers.find(({ name }) => name === 'X-Order')?.value).toBe('42')
    expect(mail.envelope.to.sort()).toEqual([ADA, 'bob@example.com'])
  })

  it.each([
    ['an unknown template', 'X-Threadpost-Template: nope', '554 5.6.0 template: no template is named "nope"'],
    ['data that is not JSON', 'X-Threadpost-Data: {', '554 5.6.0 X-Threadpost-Data is not JSON'],
    [
      'data without a template',
      'X-Threadpost-Data: {}',
      '554 5.6.0 X-Threadpost-Data and X-Threadpost-Locale require',
    ],
    [
      'a misspelled control field',
      'X-Threadpost-Prioriti: 5',
      '554 5.6.0 X-Threadpost-prioriti is not a control field',
    ],
    ['a control field twice', 'X-Threadpost-Tags: a\r\nX-Threadpost-Tags: b', '554 5.6.0 The control field'],
    ['a priority that is no number', 'X-Threadpost-Priority: high', '554 5.6.0 priority: must be a number'],
    ['an unknown transport', 'X-Threadpost-Transport: other', '554 5.6.0 transport: '],
    ['a time that is no time', 'X-Threadpost-Send-At: soon', '554 5.6.0 sendAt:'],
  ])('refuses %s, and the connection stays', async (_, field, reply) => {
    const client = await clientOf(await quietIntake())
    expect(await submit(client, [field, ...MESSAGE])).toContain(reply)
    expect(await submit(client)).toMatch(/^250 /)
  })

  it('asks the client to try again later while the queue is full or the mailer is closed', async () => {
    const mailer = await testMailer({ transport: 'smtp://127.0.0.1:1', threads: 0, limits: { queue: 1 } })
    const client = await clientOf(await testIntake(mailer))
    expect(await submit(client)).toMatch(/^250 /)
    expect(await submit(client)).toMatch(/^452 4\.3\.1 The queue is full/)
    await mailer.close({ deadline: 0 })
    expect(await submit(client)).toMatch(/^451 4\.3\.2 /)
  })

  it('recognizes a message that a client submits again, if it is told to go by the Message-ID', async () => {
    const mailer = await testMailer({ transport: 'smtp://127.0.0.1:1', threads: 0 })
    const client = await clientOf(await testIntake(mailer, { deduplicate: 'message-id' }))
    const id = idIn(await submit(client))
    expect(await submit(client, ['Received: from x by y; now', ...MESSAGE])).toBe(
      `250 2.6.0 Already queued as ${id}, in memory only`,
    )
    const other = idIn(await submit(client, MESSAGE, { to: ['bob@example.com'] }))
    expect(other).not.toBe(id)
    expect(await submit(client, [...MESSAGE, 'Another text.'])).toMatch(
      /^554 5\.6\.0 idempotencyKey: was already used/,
    )
    const without = MESSAGE.filter((line) => !line.startsWith('Message-ID'))
    expect(idIn(await submit(client, without))).not.toBe(idIn(await submit(client, without)))
  })

  it('takes apart a message for a service that builds its own, if nothing is lost', async () => {
    const api = await MailApi.start(SENDGRID)
    const mailer = await testMailer({ transport: { url: 'sendgrid:', apiKey: SECRET, endpoint: api.url } })
    const client = await clientOf(await testIntake(mailer))
    const multipart = (kind: string, ...parts: string[][]) => [
      ...[
        `From: Acme <${ACME}>`,
        `To: Ada <${ADA}>`,
        'Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=',
        'X-Order: 42',
        'MIME-Version: 1.0',
      ],
      ...[`Content-Type: multipart/${kind}; boundary=b`, ''],
      ...parts.flatMap((lines) => ['--b', ...lines]),
      '--b--',
    ]
    const text = ['Content-Type: text/plain; charset=utf-8', '', 'Grüße']
    const html = [
      'Content-Type: text/html; charset=utf-8',
      'Content-Transfer-Encoding: quoted-printable',
      '',
      '<p>Gr=C3=BC=C3=9Fe</p>',
    ]
    const file = [
      'Content-Type: application/pdf; name=a.pdf',
      'Content-Disposition: attachment',
      'Content-Transfer-Encoding: base64',
      '',
      'UERG',
    ]
    const id = idIn(
      await submit(client, multipart('alternative', text, html), { to: [ADA, 'bob@example.com'] }),
    )
    expect((await mailer.wait(id)).status).toBe('sent')
    expect(JSON.stringify(api.taken[0])).toMatch(/Grüße/)
    expect(await submit(client, multipart('mixed', text, file))).toMatch(/^250 /)
    for (const [lost, lines] of [
      ['the structure multipart/signed', multipart('signed', text, file)],
      ['the boundary between two parts of type text/plain', multipart('mixed', text, text)],
      [
        'the alternative of type text/calendar',
        multipart('alternative', text, [
          'Content-Type: text/calendar; method=REQUEST',
          '',
          'BEGIN:VCALENDAR',
        ]),
      ],
      [
        'text in the charset x-unknown',
        multipart('mixed', ['Content-Type: text/plain; charset=x-unknown', '', 'x']),
      ],
      ['text in a wrong charset', ['Content-Type: text/plain; charset=us-ascii', ...MESSAGE, 'café']],
      ['eve@example.com is in To or Cc', ['Cc: eve@example.com', ...MESSAGE]],
      ['headers.DKIM-Signature: this header is not allowed', ['DKIM-Signature: v=1', ...MESSAGE]],
    ] as const)
      expect(await submit(client, lines)).toMatch(new RegExp(`^554 5\\.6\\.[03] .*${lost}`))
  })

  it('takes in the report of another server, and assigns it by the address that it was sent to', async () => {
    const bounces = { address: 'bounces@acme.example', secret: 'a-secret-of-some-length' }
    const { mailer, inbox } = await mailerWithInbox({ bounces })
    const { id } = await mailer.sendAndWait({ to: ADA, subject: 'Hi', text: 'Hello.' })
    const [sent] = inbox.stored()
    const to = sent?.envelope.from ?? ''
    const users = [{ user: 'shop', pass: 'secret' }]
    const client = await clientOf(await testIntake(mailer, { auth: { users }, bounces: bounces.address }))
    const report = dsn({
      to: 'postmaster@acme.example',
      messageId: '<x@y>',
      recipients: [
        { address: ADA, action: 'failed', status: '5.1.1', diagnostic: 'smtp; 550 5.1.1 no such user' },
      ],
    })
    const lines = Buffer.from(report)
      .toString()
      .replace(/\r?\n$/, '')
      .split(/\r?\n/)
    expect(await submit(client, lines, { from: '', to: [to] })).toBe('250 2.6.0 Report received')
    expect((await mailer.find(id))?.recipients[0]?.delivery).toMatchObject({ state: 'bounced' })
    expect(await submit(client, MESSAGE, { from: '', to: [bounces.address] })).toBe(
      '250 2.6.0 Report received; it matches no message',
    )
    expect(inbox.count).toBe(1)
  })

  it('asks for a report again that comes while its message is being sent', async () => {
    let begun: () => void = () => undefined
    const sending = new Promise<void>((resolve) => (begun = resolve))
    const mail = (): Answer => {
      begun()
      return SILENCE
    }
    const server = await ScriptedServer.start({ mail })
    const bounces = 'bounces@acme.example'
    const mailer = await testMailer({
      transport: `smtp://127.0.0.1:${server.port}`,
      bounces: { address: bounces, secret: 'a-secret-of-some-length' },
    })
    const client = await clientOf(await testIntake(mailer, { bounces }))
    const { messageId } = await mailer.send({ to: ADA, subject: 'Hi', text: 'Hello.' })
    await sending
    const report = dsn({
      to: bounces,
      messageId,
      recipients: [{ address: ADA, action: 'failed', status: '5.1.1' }],
    })
    const lines = Buffer.from(report).toString().trimEnd().split(/\r?\n/)
    expect(await submit(client, lines, { from: '', to: [bounces] })).toMatch(/^451 4\.3\.0 /)
  })

  it('takes in a report without a token, which suppresses nobody', async () => {
    const { mailer } = await mailerWithInbox()
    const { id, messageId } = await mailer.sendAndWait({ to: ADA, subject: 'Hi', text: 'Hello.' })
    const bounces = 'bounces@acme.example'
    const client = await clientOf(
      await testIntake(mailer, { auth: { users: [{ user: 'shop', pass: 'secret' }] }, bounces }),
    )
    const lines = dsn({ messageId, recipients: [{ address: ADA, action: 'failed', status: '5.1.1' }] })
      .trimEnd()
      .split('\r\n')
    expect(await submit(client, lines, { from: '', to: [bounces] })).toBe('250 2.6.0 Report received')
    const delivery = (await mailer.find(id))?.recipients[0]?.delivery
    expect(delivery).toMatchObject({ state: 'bounced', permanent: true, unverified: true })
    expect((await mailer.suppressions.list()).suppressions).toEqual([])
  })

  it('closes after the message in progress', async () => {
    const intake = await quietIntake()
    const [busy, idle] = [await clientOf(intake), await clientOf(intake)]
    for (const command of [`MAIL FROM:<${ACME}>`, `RCPT TO:<${ADA}>`, 'DATA']) await busy.ask(command)
    const closed = intake.close()
    expect(await idle.reply()).toMatch(/^421 4\.3\.2 /)
    expect(await busy.ask(...MESSAGE, '.')).toMatch(/^250 /)
    expect(await busy.reply()).toMatch(/^421 4\.3\.2 /)
    busy.socket.destroy()
    await closed
  })
})

describe('TLS and users of the SMTP intake', () => {
  const users = [
    {
      user: 'shop',
      pass: 'secret',
      senders: ['acme.example', '*.shop.example'],
      recipients: ['example.com', 'bob@example.org'],
    },
    { user: 'reader', pass: 'secret', scopes: ['read'] },
  ] as const

  it('lets a user send as, and write to, the addresses of its lists only', async () => {
    const client = await clientOf(
      await quietIntake({ auth: { users }, senders: ['acme.example', 'eu.shop.example'] }),
    )
    expect(await client.ask(`MAIL FROM:<${ACME}>`)).toMatch(/^530 5\.7\.0 /)
    expect(await client.ask(`AUTH PLAIN ${plainToken('shop', 'wrong')}`)).toBe(
      '535 5.7.8 Wrong user name or password',
    )
    expect(await client.ask(`AUTH PLAIN ${plainToken('reader', 'secret')}`)).toMatch(
      /^535 5\.7\.0 .*scope 'send'/,
    )
    expect(await client.ask('AUTH LOGIN')).toMatch(/^334 /)
    expect(await client.ask(Buffer.from('shop').toString('base64'))).toMatch(/^334 /)
    expect(await client.ask(Buffer.from('secret').toString('base64'))).toMatch(/^235 /)
    expect(await submit(client)).toMatch(/^250 /)
    expect(await client.ask('MAIL FROM:<eve@example.com>')).toMatch(
      /^550 5\.7\.1 The user shop may not send as/,
    )
    expect(await client.ask('MAIL FROM:<x@us.shop.example>')).toMatch(/^550 5\.7\.1 /)
    const forged = MESSAGE.map((line) =>
      line.replace('From: Acme <hello@acme.example>', 'From: Eve <eve@example.com>'),
    )
    expect(await submit(client, forged)).toMatch(/^550 5\.7\.1 .*eve@example\.com/)
    expect(await submit(client, ['Sender: eve@example.com', ...MESSAGE])).toMatch(/^550 5\.7\.1 /)

    await client.ask(`MAIL FROM:<x@EU.Shop.example>`)
    expect(await client.ask('RCPT TO:<eve@example.org>')).toMatch(/^550 5\.7\.1 .*may not write to eve/)
    for (const route of ['eve%evil.example', 'evil.example!eve'])
      expect(await client.ask(`RCPT TO:<${route}@example.com>`)).toMatch(/^550 5\.7\.1 .*may not write to/)
    expect(await client.ask('RCPT TO:<bob@example.org>')).toMatch(/^250 /)
    expect(await client.ask('RCPT TO:<postmaster>')).toMatch(/^553 5\.1\.3 /)
    await client.ask('DATA')
    expect(await client.ask(...MESSAGE, '.')).toMatch(/^250 /)
  })

  it('offers STARTTLS, and takes passwords only after it', async () => {
    const { key, cert } = createAuthority().issue('127.0.0.1')
    const client = await clientOf(await quietIntake({ auth: { users }, tls: { key, cert } }))
    expect(client.heard).toContain('STARTTLS')
    expect(await client.ask(`AUTH PLAIN ${plainToken('shop', 'secret')}`)).toMatch(/^538 /)
  })

  it('takes mail over STARTTLS and over implicit TLS', async () => {
    const authority = createAuthority()
    const { key, cert } = authority.issue('127.0.0.1')
    for (const implicit of [false, true]) {
      const { inbox, mailer } = await mailerWithInbox()
      const intake = await testIntake(mailer, { auth: { users }, tls: { key, cert, implicit } })
      expect(intake.url).toBe(`${implicit ? 'smtps' : 'smtp'}://127.0.0.1:${intake.port}`)
      const sender = await testMailer({
        threads: 0,
        transport: { url: intake.url, auth: { user: 'shop', pass: 'secret' }, tls: { ca: authority.cert } },
      })
      const { status } = await sender.sendAndWait({ from: ACME, to: ADA, subject: 'x', text: 'x' })
      expect(status).toBe('sent')
      const mail = await inbox.waitFor()
      expect(mail.headers[0]?.value).toContain('with ESMTPSA id')
    }
  })

  it.each([
    ['no auth beyond loopback', { host: '0.0.0.0' }, 'auth'],
    ['passwords without TLS beyond loopback', { host: '0.0.0.0', auth: { users } }, 'tls'],
    ['no user', { auth: { users: [] } }, 'auth.users'],
    ['a user twice', { auth: { users: [users[0], users[0]] } }, 'auth.users[1].user'],
    [
      'an unknown scope',
      { auth: { users: [{ user: 'a', pass: 'b', scopes: ['all'] }] } },
      'auth.users[0].scopes[0]',
    ],
    ['a sender that is none', { senders: ['not a domain'] }, 'senders[0]'],
    ['an unknown option', { ports: 25 }, 'ports'],
    ['less memory than a message', { limits: { memory: 10 } }, 'limits.memory'],
  ])('is refused with %s', async (_, options, path) => {
    const mailer = await testMailer({ transport: 'smtp://127.0.0.1:1', threads: 0 })
    await expect(smtpIntake(mailer, options as never)).rejects.toMatchObject({
      code: 'INVALID_OPTIONS',
      path,
    })
  })
})
