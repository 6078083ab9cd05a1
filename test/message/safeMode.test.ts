import path from 'node:path'
import { ThreadpostError } from 'threadpost'
import { describe, expect, it } from 'vitest'
import { folderOf } from '../support/folder.js'
import { mailerWithInbox, testInbox, testMailer } from '../support/mailer.js'
import { SenderProcess } from '../support/senderProcess.js'

const SAFE = { redirectTo: 'staging@acme.example', allow: ['qa@partner.example', '@acme.example'] }
const plain = { subject: 's', text: 't' }

describe('safe mode', () => {
  it('redirects mail to recipients that are not allowed, and lists the original recipients in a header', async () => {
    const { mailer, inbox } = await mailerWithInbox({ safeMode: SAFE })
    const sent = await mailer.sendAndWait({
      ...plain,
      to: ['Ada <ada@example.com>', 'Dev@ACME.example'],
      cc: ['qa@partner.example', 'boss@partner.example'],
      bcc: 'eve@acme.example.com',
    })
    expect(sent.status).toBe('sent')
    const mail = await inbox.waitFor({ subject: 's' })
    const envelope = ['Dev@ACME.example', 'qa@partner.example', 'staging@acme.example']
    expect([...mail.envelope.to].sort()).toEqual(envelope)
    expect(mail.raw.toString()).toMatch(
      /^X-Threadpost-Original-To: ada@example\.com, boss@partner\.example,\s+eve@acme\.example\.com\r?$/m,
    )
    expect(mail.raw.toString()).toMatch(/^To: staging@acme\.example, Dev@ACME\.example\r?$/m)
    expect(sent.recipients.map(({ address }) => address).sort()).toEqual(envelope)
    expect(await mailer.stats()).toMatchObject({ safeMode: true })
  })

  it('leaves mail to allowed recipients unchanged, and is off by default', async () => {
    const { mailer, inbox } = await mailerWithInbox({ safeMode: { ...SAFE, allow: ['example.com'] } })
    await mailer.sendAndWait({ ...plain, to: 'ada@example.com' })
    const mail = await inbox.waitFor({ to: 'ada@example.com' })
    expect(mail.raw.toString()).not.toContain('X-Threadpost-Original-To')
    const { mailer: other } = await mailerWithInbox({ threads: 0 })
    expect(await other.stats()).toMatchObject({ safeMode: false })
  })

  it('applies to mail that was prepared or queued before it was enabled', async () => {
    const file = path.join(await folderOf({}), 'outbox.db')
    const order = { file, url: 'smtp://127.0.0.1:9', count: 3, callers: 1 }
    const mail = {
      to: ['ada@example.com', 'bob@example.com'],
      cc: 'dev@acme.example',
      idempotencyKey: undefined,
    }
    const before = new SenderProcess({ ...order, mail })
    await before.given(3)
    await before.kill()

    const inbox = await testInbox()
    const mailer = await testMailer({ transport: inbox.url, queue: `sqlite:${file}`, safeMode: SAFE })
    const old = [...before.receipts.keys()]
    const loose = await testMailer({ transport: inbox.url })
    const prepared = loose.prepare({ ...plain, to: 'customer@example.com' })
    const { id } = await mailer.send(prepared)
    for (const one of [...old, id]) {
      await mailer.retry(one).catch(() => undefined)
      const { status, recipients } = await mailer.wait(one)
      expect([status, ...recipients.map((recipient) => recipient.status)]).toEqual([
        'sent',
        ...recipients.map(() => 'sent'),
      ])
    }
    const all = await inbox.messages()
    expect(all).toHaveLength(4)
    const reached = new Set(all.flatMap(({ envelope }) => envelope.to))
    expect([...reached].sort()).toEqual(['dev@acme.example', 'staging@acme.example'])
    for (const { raw } of all) {
      expect(raw.toString()).toMatch(/^X-Threadpost-Original-To: /m)
      expect(raw.toString()).not.toMatch(/^(To|Cc): .*@example\.com/m)
    }
  })

  it('gives each original recipient the result of the address that it was redirected to', async () => {
    const { mailer } = await mailerWithInbox(
      { safeMode: { redirectTo: 'staging@acme.example', allow: ['fine@example.com'] } },
      { faults: [{ at: 'rcpt', to: 'staging@acme.example', do: 'refuse' }] },
    )
    const message = await mailer.sendAndWait({ ...plain, to: ['ada@example.com', 'fine@example.com'] })
    expect(message.status).toBe('partial')
    expect(message.recipients).toMatchObject([
      { address: 'staging@acme.example', status: 'failed' },
      { address: 'fine@example.com', status: 'sent' },
    ])
  })

  it.each([
    [{}, 'safeMode.redirectTo'],
    [{ redirectTo: 'nobody' }, 'safeMode.redirectTo'],
    [{ ...SAFE, allow: ['a b'] }, 'safeMode.allow[0]'],
    [{ ...SAFE, allow: 'acme.example' }, 'safeMode.allow'],
    [{ ...SAFE, alow: [] }, 'safeMode.alow'],
  ])('rejects invalid options: %j', async (safeMode, at) => {
    const mailer = testMailer({ transport: 'smtp://127.0.0.1:9', safeMode: safeMode as never })
    await expect(mailer).rejects.toMatchObject({ code: 'INVALID_OPTIONS', path: at })
  })
})

describe('an interceptor', () => {
  it('may replace a mail, leave it unchanged, or refuse it with a reason', async () => {
    const { mailer, inbox } = await mailerWithInbox({
      threads: 0,
      intercept: async (mail) => {
        await Promise.resolve()
        if (mail.subject === 'spam') return { refuse: 'no advertisements' }
        return mail.subject === 'pass' ? undefined : { ...mail, subject: `[test] ${mail.subject}` }
      },
    })
    const refused = { code: 'REFUSED', message: 'The mail was refused: no advertisements' }
    await expect(mailer.send({ to: 'ada@example.com', subject: 'spam', text: 't' })).rejects.toMatchObject(
      refused,
    )
    const receipts = await mailer.sendMany(
      ['hello', 'spam', 'pass'].map((subject) => ({ to: 'ada@example.com', subject, text: 't' })),
    )
    expect(receipts).toMatchObject([{ status: 'queued' }, refused, { status: 'queued' }])
    await inbox.waitFor({ subject: '[test] hello' })
    await inbox.waitFor({ subject: 'pass' })
    await mailer.close()
    expect(inbox.count).toBe(2)
  })

  it('is called for prepared mails too, and does not change their fingerprint', async () => {
    let count = 0
    const { mailer, inbox } = await mailerWithInbox({
      threads: 0,
      intercept: (mail) => ({ ...mail, headers: { 'X-Count': String(++count) } }),
    })
    const mail = { to: 'ada@example.com', subject: 's', text: 't' }
    const prepared = mailer.prepare(mail)
    expect(count).toBe(0)
    expect(await mailer.send(prepared)).toMatchObject({ id: prepared.id, duplicate: false })
    expect(await mailer.send(prepared)).toMatchObject({ duplicate: true })
    expect(await mailer.send({ ...mail, idempotencyKey: 'k' })).toMatchObject({ duplicate: false })
    expect(await mailer.send({ ...mail, idempotencyKey: 'k' })).toMatchObject({ duplicate: true })
    expect((await inbox.waitFor({ subject: 's' })).raw.toString()).toContain('X-Count: 1')
  })

  it('queues nothing if it throws, and its result is validated like any mail', async () => {
    const bug = new Error('a bug of the app')
    const { mailer } = await mailerWithInbox({
      threads: 0,
      intercept: (mail) => {
        if (mail.subject === 'bug') throw bug
        return { ...mail, to: 'nobody' }
      },
    })
    await expect(mailer.send({ to: 'ada@example.com', subject: 'bug', text: 't' })).rejects.toBe(bug)
    await expect(mailer.send({ to: 'ada@example.com', subject: 's', text: 't' })).rejects.toSatisfy(
      (error) => error instanceof ThreadpostError && error.code === 'INVALID_MESSAGE' && error.path === 'to',
    )
    await expect(mailer.send(null as never)).rejects.toMatchObject({ code: 'INVALID_MESSAGE' })
    expect((await mailer.list()).messages).toEqual([])
  })
})
