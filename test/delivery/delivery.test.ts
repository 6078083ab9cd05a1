import type { Message } from 'threadpost'
import { expect, it } from 'vitest'
import { describeBothWays } from '../support/bothWays.js'
import { folderOf } from '../support/folder.js'
import { mailerWithInbox, testMailer } from '../support/mailer.js'
import { freePort } from '../support/ports.js'

const WELCOME = `<mjml><mj-head><mj-title>Hello {{name}}</mj-title></mj-head><mj-body><mj-section><mj-column>
<mj-text>Dear {{name}}, <a href="{{url}}">welcome</a></mj-text></mj-column></mj-section></mj-body></mjml>`

const plain = { to: 'ada@example.com', subject: 'Hi', text: 'Hello' }

describeBothWays('delivery', (way) => {
  it('renders and sends a message, and reports its outcome', async () => {
    const templates = await folderOf({ 'welcome.mjml': WELCOME })
    const { mailer, inbox } = await mailerWithInbox(way({ templates }))
    const receipt = await mailer.send({
      template: 'welcome',
      to: 'Ada Lovelace <ada@example.com>',
      data: { name: 'Ada <3', url: 'https://example.com/?a=1&b=2' },
    })
    expect(receipt).toMatchObject({ status: 'queued', durable: false, duplicate: false })
    const message = await mailer.wait(receipt.id)
    expect(message).toMatchObject({ status: 'sent', template: 'welcome', recipients: [{ status: 'sent' }] })
    expect(message.attempts[0]).toMatchObject({ outcome: 'sent', phase: 'replied', reply: { code: 250 } })
    for (const step of ['queue', 'clone', 'render', 'compose', 'connect', 'transaction'] as const)
      expect(message.attempts[0]?.timings[step]).toBeGreaterThanOrEqual(0)

    const mail = await inbox.waitFor({ to: 'ada@example.com' })
    expect(mail.subject).toBe('Hello Ada <3')
    expect(mail.messageId).toBe(receipt.messageId)
    expect(mail.html).toContain('Dear Ada &lt;3')
    expect(mail.html).toContain('href="https://example.com/?a&#x3D;1&amp;b&#x3D;2"')
    expect(mail.text).toContain('Dear Ada <3')
    expect(mail.envelope).toEqual({ from: 'hello@acme.example', to: ['ada@example.com'] })
  })

  it('builds the message with its attachments and headers', async () => {
    const { mailer, inbox } = await mailerWithInbox(way())
    await mailer.sendAndWait({
      to: 'ada@example.com',
      cc: 'bob@example.com',
      bcc: 'eve@example.com',
      replyTo: 'help@acme.example',
      subject: 'Grüße, 世界',
      html: '<p>ü</p>',
      text: 'ü',
      headers: { 'X-Campaign': 'spring' },
      inReplyTo: '<a@b.example>',
      references: ['<a@b.example>', '<c@d.example>'],
      listUnsubscribe: 'https://acme.example/u',
      envelope: { from: 'bounces@acme.example' },
      attachments: [
        { filename: 'blob.bin', content: new Uint8Array([0, 1, 255]) },
        { filename: 'n.txt', content: 'Y2Fmw6k=', encoding: 'base64' },
      ],
    })
    const mail = await inbox.waitFor()
    expect(mail).toMatchObject({
      subject: 'Grüße, 世界',
      envelope: {
        from: 'bounces@acme.example',
        to: ['ada@example.com', 'bob@example.com', 'eve@example.com'],
      },
    })
    const raw = Buffer.from(mail.raw).toString('latin1')
    expect(raw).not.toMatch(/^bcc/im)
    expect(raw).not.toContain('eve@example.com')
    expect(raw).toMatch(/^X-Campaign: spring\r$/m)
    expect(raw).toMatch(/^List-Unsubscribe-Post: List-Unsubscribe=One-Click\r$/m)
    expect(raw).toMatch(/^Content-Transfer-Encoding: quoted-printable\r$/m)
    expect(mail.attachments.map(({ filename }) => filename)).toEqual(['blob.bin', 'n.txt'])
  })

  it('fails a message that the server refuses at once, with the reply', async () => {
    const { mailer } = await mailerWithInbox(way(), {
      faults: [{ at: 'rcpt', do: 'refuse', reply: '550 5.1.1 No such user' }],
    })
    const message = await mailer.sendAndWait(plain)
    expect(message).toMatchObject({
      status: 'failed',
      recipients: [{ status: 'failed', reply: { code: 550, enhanced: '5.1.1' } }],
    })
    expect(message.attempts).toHaveLength(1)
    expect(message.attempts[0]).toMatchObject({ code: 'SMTP_REJECTED', phase: 'envelope' })
  })

  it.each([
    ['mail', '451 4.3.0 later'],
    ['rcpt', '450 4.2.0 greylisted'],
    ['data', '452 4.3.1 full'],
    ['dot', '451 4.7.1 later'],
    ['rcpt', '421 4.3.2 going down'],
  ] as const)('defers what the server puts off at %s with %s, then sends it', async (at, reply) => {
    const { mailer, inbox } = await mailerWithInbox(way(), { faults: [{ at, do: 'defer', reply, times: 1 }] })
    const message = await mailer.sendAndWait(plain)
    expect(message.status).toBe('sent')
    expect(message.attempts.map(({ outcome }) => outcome)).toEqual(['deferred', 'sent'])
    expect(message.uncertain).toBe(false)
    expect(inbox.count).toBe(1)
  })

  it('settles each recipient as the server replied', async () => {
    const { mailer, inbox } = await mailerWithInbox(way(), {
      faults: [
        { at: 'rcpt', do: 'refuse', to: 'no@example.com' },
        { at: 'rcpt', do: 'defer', to: 'later@example.com', times: 1 },
      ],
    })
    const message = await mailer.sendAndWait({
      ...plain,
      to: ['yes@example.com', 'no@example.com', 'later@example.com'],
    })
    expect(message.status).toBe('partial')
    expect(message.recipients.map(({ status }) => status)).toEqual(['sent', 'failed', 'sent'])
    expect(inbox.stored().map(({ envelope }) => envelope.to)).toEqual([
      ['yes@example.com'],
      ['later@example.com'],
    ])
    expect(new Set((await inbox.messages()).map(({ messageId }) => messageId)).size).toBe(1)
  })

  it.each(['mail', 'rcpt', 'data'] as const)(
    'knows that nothing was sent when the connection closes at %s',
    async (at) => {
      const { mailer, inbox } = await mailerWithInbox(way(), { faults: [{ at, do: 'close', times: 1 }] })
      const message = await mailer.sendAndWait(plain)
      expect(message).toMatchObject({ status: 'sent', uncertain: false })
      expect(message.attempts[0]).toMatchObject({ outcome: 'deferred', code: 'CONNECTION_CLOSED' })
      expect(inbox.count).toBe(1)
    },
  )

  it('marks a message as uncertain when the reply to its body is lost', async () => {
    const { mailer, inbox } = await mailerWithInbox(way(), {
      faults: [{ at: 'dot', do: 'close-after', times: 1 }],
    })
    const message = await mailer.sendAndWait(plain)
    expect(message).toMatchObject({ status: 'sent', uncertain: true })
    expect(message.attempts[0]).toMatchObject({ outcome: 'uncertain', code: 'REPLY_LOST', phase: 'body' })
    const [first, second] = inbox.stored()
    expect(Buffer.from(first?.raw ?? []).equals(Buffer.from(second?.raw ?? []))).toBe(true)
  })

  it('holds an uncertain message with onUncertain: hold', async () => {
    const { mailer } = await mailerWithInbox(way({ onUncertain: 'hold' }), {
      faults: [{ at: 'dot', do: 'close-after', times: 1 }],
    })
    const held = new Promise((resolve) => mailer.once('held', resolve))
    const { id } = await mailer.send(plain)
    expect(await held).toMatchObject({ id, status: 'held', heldReason: 'uncertain' })
    expect(await mailer.markSent(id)).toMatchObject({ status: 'sent' })
  })

  it.each([
    ['rcpt', 'deferred', 'TIMEOUT'],
    ['dot', 'uncertain', 'REPLY_TIMEOUT'],
  ] as const)(
    'ends an attempt at its deadline when the server stops replying at %s',
    async (at, outcome, code) => {
      const { mailer } = await mailerWithInbox(way({ limits: { attempt: 2_000 } }), {
        faults: [{ at, do: at === 'dot' ? 'silence-after' : 'silence', times: 1 }],
      })
      const message = await mailer.sendAndWait(plain)
      expect(message.attempts[0]).toMatchObject({ outcome, code })
      expect(message.status).toBe('sent')
    },
  )

  it('does not count an attempt that reached no server', async () => {
    const port = await freePort()
    const mailer = await testMailer({
      ...way(),
      transport: `smtp://127.0.0.1:${port}`,
      retry: { attempts: 1 },
      breaker: { probeDelay: 5 },
    })
    const held = new Promise<void>((resolve) => {
      let count = 0
      mailer.on('held', () => {
        if (++count === 3) resolve()
      })
    })
    const { id } = await mailer.send(plain)
    await held
    const message = await mailer.find(id)
    expect(message?.attempts[0]).toMatchObject({ code: 'CONNECTION_FAILED', counted: false })
    await mailer.cancel(id).catch(() => undefined)
  })

  it('reuses one connection for many messages, and sends QUIT', async () => {
    const { mailer, inbox } = await mailerWithInbox(way({ concurrency: 2 }))
    const messages = await Promise.all(Array.from({ length: 20 }, () => mailer.sendAndWait(plain)))
    expect(messages.every(({ status }) => status === 'sent')).toBe(true)
    expect(inbox.connections().length).toBeLessThanOrEqual(2)
    await mailer.close()
    for (const visit of inbox.connections()) expect(visit.commands.at(-1)).toMatch(/^QUIT/)
  })

  it('delivers messages of the memory queue before it closes', async () => {
    const { mailer, inbox } = await mailerWithInbox(way({ concurrency: 2 }))
    await mailer.sendMany(Array.from({ length: 50 }, () => plain))
    await mailer.close()
    expect(inbox.count).toBe(50)
  })

  it('finishes deliveries in progress when it closes', async () => {
    const { mailer, inbox } = await mailerWithInbox(way({ concurrency: 5 }), {
      faults: [{ at: 'dot', do: 'delay', ms: 100 }],
    })
    const messages: Message['status'][] = []
    mailer.on('sent', ({ status }) => messages.push(status))
    const sending = new Promise((resolve) => mailer.once('sending', resolve))
    await mailer.sendMany(Array.from({ length: 5 }, () => plain))
    await sending
    await mailer.close()
    expect(messages).toHaveLength(5)
    expect(inbox.count).toBe(5)
  })
})
