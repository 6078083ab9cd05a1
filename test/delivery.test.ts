import { createServer } from 'node:net'
import type { MailerOptions, Message } from 'threadpost'
import { afterEach, describe, expect, it, onTestFinished } from 'vitest'
import { folderOf } from './support/folder.js'
import { mailerWithInbox, testMailer } from './support/mailer.js'

const WELCOME = `<mjml><mj-head><mj-title>Hello {{name}}</mj-title></mj-head><mj-body><mj-section><mj-column>
<mj-text>Dear {{name}}, <a href="{{url}}">welcome</a></mj-text></mj-column></mj-section></mj-body></mjml>`

const plain = { to: 'ada@example.com', subject: 'Hi', text: 'Hello' }

/** Everything holds in a thread and in the calling one. */
describe.each([
  ['in a thread', 1],
  ['inline', 0],
])('delivery %s', (_, threads) => {
  const set = (options: Partial<MailerOptions> = {}): Partial<MailerOptions> => ({ threads, ...options })

  it('renders, sends and tells', async () => {
    const templates = await folderOf({ 'welcome.mjml': WELCOME })
    const { mailer, inbox } = await mailerWithInbox(set({ templates }))
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

  it('builds what it was given, attachments and headers included', async () => {
    const { mailer, inbox } = await mailerWithInbox(set())
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

  it('fails at once what the server refuses, with its reply', async () => {
    const { mailer } = await mailerWithInbox(set(), {
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
    const { mailer, inbox } = await mailerWithInbox(set(), { faults: [{ at, do: 'defer', reply, times: 1 }] })
    const message = await mailer.sendAndWait(plain)
    expect(message.status).toBe('sent')
    expect(message.attempts.map(({ outcome }) => outcome)).toEqual(['deferred', 'sent'])
    expect(message.uncertain).toBe(false)
    expect(inbox.count).toBe(1)
  })

  it('treats each recipient as the server does', async () => {
    const { mailer, inbox } = await mailerWithInbox(set(), {
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
    'is certain of nothing sent when the connection closes at %s',
    async (at) => {
      const { mailer, inbox } = await mailerWithInbox(set(), { faults: [{ at, do: 'close', times: 1 }] })
      const message = await mailer.sendAndWait(plain)
      expect(message).toMatchObject({ status: 'sent', uncertain: false })
      expect(message.attempts[0]).toMatchObject({ outcome: 'deferred', code: 'CONNECTION_CLOSED' })
      expect(inbox.count).toBe(1)
    },
  )

  it('is uncertain when the reply to the body is lost', async () => {
    const { mailer, inbox } = await mailerWithInbox(set(), {
      faults: [{ at: 'dot', do: 'close-after', times: 1 }],
    })
    const message = await mailer.sendAndWait(plain)
    expect(message).toMatchObject({ status: 'sent', uncertain: true })
    expect(message.attempts[0]).toMatchObject({ outcome: 'uncertain', code: 'REPLY_LOST', phase: 'body' })
    const [first, second] = inbox.stored()
    expect(Buffer.from(first?.raw ?? []).equals(Buffer.from(second?.raw ?? []))).toBe(true)
  })

  it('holds it instead, where that is wished', async () => {
    const { mailer } = await mailerWithInbox(set({ onUncertain: 'hold' }), {
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
    'ends an attempt at its deadline when the server falls silent at %s',
    async (at, outcome, code) => {
      const { mailer } = await mailerWithInbox(set({ limits: { attempt: 300 } }), {
        faults: [{ at, do: at === 'dot' ? 'silence-after' : 'silence', times: 1 }],
      })
      const message = await mailer.sendAndWait(plain)
      expect(message.attempts[0]).toMatchObject({ outcome, code })
      expect(message.status).toBe('sent')
    },
  )

  it('does not count an attempt that met no server', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    await new Promise((resolve) => server.close(resolve))
    const mailer = await testMailer({
      transport: `smtp://127.0.0.1:${port}`,
      threads,
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

  it('keeps one connection for many messages, and says QUIT', async () => {
    const { mailer, inbox } = await mailerWithInbox(set({ concurrency: 2 }))
    const messages = await Promise.all(Array.from({ length: 20 }, () => mailer.sendAndWait(plain)))
    expect(messages.every(({ status }) => status === 'sent')).toBe(true)
    expect(inbox.connections().length).toBeLessThanOrEqual(2)
    await mailer.close()
    for (const visit of inbox.connections()) expect(visit.commands.at(-1)).toMatch(/^QUIT/)
  })

  it('renders without sending', async () => {
    const templates = await folderOf({
      'welcome.mjml': WELCOME,
      'broken.mjml': '<mjml>\n  {{#if x}}\n</mjml>',
    })
    const mailer = await testMailer({ transport: 'smtp://127.0.0.1:9', templates, threads })
    const parts = await mailer.render('welcome', { name: 'Ada', url: 'https://a.example' })
    expect(parts.subject).toBe('Hello Ada')
    expect(parts.html).toContain('Dear Ada')
    await expect(mailer.render('nowhere')).rejects.toMatchObject({ code: 'UNKNOWN_TEMPLATE' })
    await expect(mailer.render('welcome', {})).rejects.toMatchObject({
      code: 'MISSING_DATA',
      paths: ['name', 'url'],
    })
  })

  it('accepts one message for one key, and another content not at all', async () => {
    const { mailer, inbox } = await mailerWithInbox(set())
    const first = await mailer.send({ ...plain, idempotencyKey: 'order-1' })
    const again = await mailer.send({ ...plain, idempotencyKey: 'order-1' })
    expect(again).toEqual({ ...first, duplicate: true })
    await expect(mailer.send({ ...plain, text: 'other', idempotencyKey: 'order-1' })).rejects.toMatchObject({
      code: 'IDEMPOTENCY_CONFLICT',
      path: 'idempotencyKey',
    })
    const prepared = JSON.parse(JSON.stringify(mailer.prepare(plain))) as ReturnType<typeof mailer.prepare>
    const receipt = await mailer.send(prepared)
    expect(receipt).toMatchObject({ id: prepared.id, messageId: prepared.messageId, duplicate: false })
    expect(await mailer.send(prepared)).toMatchObject({ id: prepared.id, duplicate: true })
    await Promise.all([first.id, prepared.id].map((id) => mailer.wait(id)))
    expect(inbox.count).toBe(2)
  })

  it('answers sendMany in order, refusals in their place', async () => {
    const { mailer } = await mailerWithInbox(set({ limits: { queue: 2 } }))
    await mailer.pause()
    const answers = await mailer.sendMany([plain, { ...plain, to: 'nobody' }, plain, plain])
    expect(answers).toMatchObject([
      { status: 'queued' },
      { code: 'INVALID_MESSAGE', path: 'to' },
      { status: 'queued' },
      { code: 'QUEUE_FULL' },
    ])
    await mailer.resume()
    await Promise.all(answers.flatMap((answer) => ('id' in answer ? [mailer.wait(answer.id)] : [])))
  })

  it('tells listeners, and survives those that throw', async () => {
    const { mailer } = await mailerWithInbox(set())
    const warnings: string[] = []
    const onWarning = (warning: Error): void => void warnings.push(warning.message)
    process.on('warning', onWarning)
    onTestFinished(() => void process.off('warning', onWarning))
    const seen: string[] = []
    for (const name of ['queued', 'sending', 'sent'] as const) {
      mailer.on(name, () => {
        throw new Error(`listener of ${name}`)
      })
      mailer.on(name, (event) => {
        expect(JSON.stringify(event)).not.toContain('Hello')
        seen.push(event.status)
      })
    }
    await mailer.sendAndWait(plain)
    expect(seen).toEqual(['queued', 'sending', 'sent'])
    await expect.poll(() => warnings.length).toBe(3)
  })

  it('waits no longer than asked, and not for what it does not know', async () => {
    const { mailer } = await mailerWithInbox(set(), { faults: [{ at: 'mail', do: 'silence' }] })
    const { id } = await mailer.send(plain)
    await expect(mailer.wait(id, { timeout: 10 })).rejects.toMatchObject({ code: 'WAIT_TIMEOUT' })
    await expect(mailer.wait(id, { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow(
      'enough',
    )
    await expect(mailer.wait('nobody', { timeout: 10 })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    const waiting = mailer.wait(id)
    waiting.catch(() => undefined)
    await mailer.close({ deadline: 0 })
    await expect(waiting).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(mailer.send(plain)).rejects.toMatchObject({ code: 'CLOSED' })
  })

  it('delivers before it closes what would be lost', async () => {
    const { mailer, inbox } = await mailerWithInbox(set({ concurrency: 2 }))
    await mailer.sendMany(Array.from({ length: 50 }, () => plain))
    await mailer.close()
    expect(inbox.count).toBe(50)
  })

  it('keeps what a cancelled message says, for a retry', async () => {
    const { mailer, inbox } = await mailerWithInbox(set())
    const { id } = await mailer.send({ ...plain, delay: 60_000 })
    await mailer.cancel(id)
    await mailer.retry(id)
    await mailer.wait(id)
    expect((await inbox.waitFor()).text).toContain('Hello')
  })

  it('gives out copies: changing them changes no mail', async () => {
    const { mailer, inbox } = await mailerWithInbox(set())
    await mailer.pause()
    const { id } = await mailer.send({ ...plain, tags: ['a'] })
    const message = await mailer.find(id)
    if (message?.to[0] !== undefined) message.to[0].address = 'evil@example.com'
    if (message !== undefined) message.from.address = 'evil@example.com'
    await mailer.resume()
    await mailer.wait(id)
    expect(inbox.stored()[0]?.envelope).toEqual({ from: 'hello@acme.example', to: ['ada@example.com'] })
  })

  it('goes on when the logger throws', async () => {
    const broken = (): never => {
      throw new Error('no disk')
    }
    const onWarning = (): void => undefined
    process.on('warning', onWarning)
    onTestFinished(() => void process.off('warning', onWarning))
    const { mailer } = await mailerWithInbox(
      set({ concurrency: 1, logger: { debug: broken, info: broken, warn: broken, error: broken } }),
    )
    const messages = await Promise.all([mailer.sendAndWait(plain), mailer.sendAndWait(plain)])
    expect(messages.map(({ status }) => status)).toEqual(['sent', 'sent'])
  })

  it('refuses what makes no sense in a question', async () => {
    const { mailer } = await mailerWithInbox(set())
    await expect(mailer.list({ status: 'nope' } as never)).rejects.toMatchObject({ path: 'status' })
    await expect(mailer.list({ limit: 0 })).rejects.toMatchObject({ path: 'limit' })
    await expect(mailer.wait('x', { timeout: 2 ** 31 })).rejects.toMatchObject({
      code: 'INVALID_OPTIONS',
      path: 'timeout',
    })
    await expect(mailer.close({ deadline: -1 })).rejects.toMatchObject({
      code: 'INVALID_OPTIONS',
      path: 'deadline',
    })
    await expect(mailer.render(undefined as never)).rejects.toMatchObject({ path: 'template' })
  })

  it('drains on close', async () => {
    const { mailer, inbox } = await mailerWithInbox(set({ concurrency: 5 }), {
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

describe('starting', () => {
  it.each([
    ['a folder of templates that is not there', { templates: '/nonexistent/templates' }, /nonexistent/],
    ['a helper module that throws', { templates: 'HELPERS' }, /helpers/],
  ] as const)('fails readably with %s', async (_, options, message) => {
    const templates =
      options.templates === 'HELPERS'
        ? await folderOf({ 'helpers.js': 'throw new Error("broken helper")', 'a.mjml': WELCOME })
        : options.templates
    for (const threads of [0, 1]) {
      await expect(testMailer({ transport: 'smtp://127.0.0.1:9', templates, threads })).rejects.toThrow(
        expect.objectContaining({
          code: 'START_FAILED',
          message: expect.stringMatching(message) as string,
        }) as Error,
      )
    }
  })

  it('works with the embedded inbox', async () => {
    const mailer = await testMailer({ transport: 'inbox:' })
    await mailer.sendAndWait(plain)
    expect(mailer.inbox?.count).toBe(1)
  })
})

afterEach(() => {
  process.exitCode = 0
})
