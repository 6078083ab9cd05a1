import { AssertionError } from 'node:assert'
import { execFile } from 'node:child_process'
import path from 'node:path'
import { inboxRouter } from 'threadpost/express'
import {
  expectMail,
  expectMessage,
  expectNoMail,
  type Inbox,
  type InboxOptions,
  startInbox,
} from 'threadpost/testing'
import { expect, test } from 'vitest'
import { linksOf } from '../../src/inbox/receivedMail.js'
import { mailerWithInbox } from '../support/mailer.js'

/** For what comes, however slow the machine is. */
const PATIENT = { timeout: 100_000 }

const RESET = {
  to: 'Ada <ada@example.com>',
  subject: 'Reset your password',
  html: '<p>Hi Ada, <a href="https://a.example/reset?token=abc&amp;x=1">choose another</a> or <a href=\'#top\'>not</a>.</p>',
  text: 'Hi Ada, choose another: https://a.example/reset?token=abc.',
  attachments: [{ filename: 'terms.pdf', content: Buffer.from('%PDF'), contentType: 'application/pdf' }],
}

test('expectMail resolves to the message, with its links, attachments, and headers', async () => {
  const { mailer, inbox } = await mailerWithInbox()
  const expecting = expectMail(
    inbox,
    {
      to: 'ADA@example.com',
      from: 'hello@acme.example',
      subject: /password/,
      text: 'Hi Ada',
      html: /choose\s/,
      links: ['/reset?token='],
      attachments: ['terms.pdf'],
    },
    PATIENT,
  )
  await mailer.send({ ...RESET, subject: 'Something else' })
  await mailer.send(RESET)
  const mail = await expecting
  expect(mail.links()).toEqual([{ url: 'https://a.example/reset?token=abc&x=1', text: 'choose another' }])
  expect(mail.link('choose').url).toBe(mail.link(/token=\w+/).url)
  expect(Buffer.from(mail.attachment(/\.pdf$/).content).toString()).toBe('%PDF')
  expect(mail.header('subject')).toBe('Reset your password')
  expect(() => mail.link('unsubscribe')).toThrow(
    `The mail 'Reset your password' has no link "unsubscribe": it has https://a.example/reset?token=abc&x=1`,
  )
  expect(() => mail.attachment('x.pdf')).toThrow('has no attachment "x.pdf": it has terms.pdf')
})

test('links() returns the URLs in the text of a message without HTML', async () => {
  const { mailer, inbox } = await mailerWithInbox()
  await mailer.send({
    to: 'ada@example.com',
    subject: 'x',
    text: 'See https://a.example/b, or (http://c.example).',
  })
  const mail = await inbox.waitFor()
  expect(mail.links().map(({ url }) => url)).toEqual(['https://a.example/b', 'http://c.example'])
})

test('waitFor accepts an infinite timeout', async () => {
  const { mailer, inbox } = await mailerWithInbox()
  const coming = inbox.waitFor({ timeout: Infinity })
  await mailer.send(RESET)
  expect((await coming).subject).toBe(RESET.subject)
})

test('a condition that does not exist is refused, because every mail would meet it', async () => {
  const { mailer, inbox } = await mailerWithInbox()
  await mailer.sendAndWait(RESET)
  const misspelled = { subjekt: 'Something else' } as object
  for (const look of [
    () => inbox.waitFor(misspelled),
    () => inbox.waitFor({ where: misspelled }),
    () => inbox.search(misspelled),
    () => expectMail(inbox, misspelled),
    () => expectNoMail(inbox, misspelled),
  ])
    await expect((async () => look())()).rejects.toThrow('subjekt is not a condition')
})

test('an inbox with an unknown or invalid option does not start, and no router serves a missing one', async () => {
  for (const [options, path] of [
    [{ prot: 1025 }, 'prot'],
    [{ port: '1025' }, 'port'],
    [{ port: 65_536 }, 'port'],
    [{ host: 5 }, 'host'],
    [{ keep: -1 }, 'keep'],
    [{ keepBytes: Number.NaN }, 'keepBytes'],
    [{ size: '1' }, 'size'],
    [{ auth: { user: 'ada' } }, 'auth.pass'],
    [{ auth: { user: 'ada', pass: 'x', method: 'PLAIN' } }, 'auth.method'],
    [{ faults: { at: 'rcpt' } }, 'faults'],
    [{ without: 'PIPELINING' }, 'without'],
    [{ without: ['STARTTLS'] }, 'without[0]'],
  ] as const)
    await expect(startInbox(options as unknown as InboxOptions)).rejects.toMatchObject({
      code: 'INVALID_OPTIONS',
      path,
    })
  const missing = undefined as unknown as Inbox
  expect(() => inboxRouter(missing)).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTIONS', path: 'inbox' }),
  )
})

test('expectMail shows how the closest message differs when none matches', async () => {
  const { mailer, inbox } = await mailerWithInbox()
  const failure = (promise: Promise<unknown>) =>
    promise.then(
      () => undefined,
      (error: unknown) => error as Error,
    )
  expect((await failure(expectMail(inbox, { to: 'x@y.example' }, { timeout: 10 })))?.message).toBe(
    'Expected a mail with to "x@y.example" within 10 ms, but received no mail',
  )
  await mailer.sendAndWait({ to: 'bob@example.com', subject: 'Hello', text: 'x' })
  await mailer.sendAndWait(RESET)
  const error = await failure(
    expectMail(
      inbox,
      { to: 'ada@example.com', subject: 'Reset', attachments: ['terms.pdf', 'a.txt'] },
      { timeout: 10 },
    ),
  )
  expect(error).toBeInstanceOf(AssertionError)
  expect(error?.message).toBe(
    [
      'Expected a mail with to "ada@example.com", subject "Reset", attachments "terms.pdf", "a.txt" within 10 ms. ' +
        "The closest of 2 mails: 'Reset your password' to ada@example.com",
      '  subject: expected "Reset", received "Reset your password"',
      '  attachment: expected "a.txt", received "terms.pdf"',
    ].join('\n'),
  )
  await expectNoMail(inbox, { to: 'carol@example.com' }, { within: 0 })
  expect((await failure(expectNoMail(inbox, { to: /^bob/ })))?.message).toContain(
    "'Hello' to bob@example.com",
  )
})

test('advance runs one retry after another', async () => {
  const { mailer, inbox } = await mailerWithInbox(
    // None comes by itself while the test runs.
    { retry: { baseDelay: 3_600_000, jitter: 'none' } },
    { faults: [{ at: 'rcpt', do: 'defer', times: 2 }] },
  )
  const { id } = await mailer.send({ to: 'ada@example.com', subject: 'Hello', text: 'x' })
  for (const attempt of [1, 2]) {
    await new Promise((resolve) => mailer.once('deferred', resolve))
    expect((await mailer.find(id))?.attempts).toHaveLength(attempt)
    await expectNoMail(inbox, {}, { within: 0 })
    await mailer.retry(id)
  }
  expect((await mailer.wait(id)).status).toBe('sent')
  expect((await expectMail(inbox, { to: 'ada@example.com' }, PATIENT)).subject).toBe('Hello')
})

test('links() takes linear time for a long hostile message', () => {
  for (const piece of [
    '<a href',
    '<a "',
    `<a '"`,
    '<a href="',
    '<a x=',
    'https://',
    '<a href=x>',
    '&#',
    '<img alt="',
  ])
    expect(linksOf({ html: piece.repeat(2 ** 20 / piece.length) }).length).toBeLessThanOrEqual(1_000)
})

test('expectMessage explains why a message has another status', async () => {
  const { mailer } = await mailerWithInbox({}, { faults: [{ at: 'rcpt', do: 'refuse' }] })
  const { id } = await mailer.send({ to: 'ada@example.com', subject: 'Hello', text: 'x' })
  const failed = { status: 'failed', attempts: 1, uncertain: false } as const
  expect((await expectMessage(mailer, id, failed, PATIENT)).id).toBe(id)
  await expect(expectMessage(mailer, id, { status: 'sent' }, { timeout: 10 })).rejects.toMatchObject({
    name: 'AssertionError',
    message: expect.stringMatching(/to have status "sent" within 10 ms, but: .*550/),
    actual: { status: 'failed' },
    expected: { status: 'sent' },
  })
  const anyNumber: { status: 'failed'; attempts?: number } = {
    status: 'failed',
    attempts: undefined as never,
  }
  expect((await expectMessage(mailer, id, anyNumber, { timeout: 10 })).id).toBe(id)
  await expect(expectMessage(mailer, 'nobody', {}, { timeout: 0 })).rejects.toThrow(
    'the message does not exist',
  )
})

test('threadpost/testing works in node:test', async () => {
  const file = path.join(import.meta.dirname, '../support/nodeTest.mjs')
  const env: NodeJS.ProcessEnv = { ...process.env }
  // Of a runner within a runner node makes one.
  delete env['NODE_TEST_CONTEXT']
  const { status, stdout } = await new Promise<{ status: unknown; stdout: string }>((resolve) =>
    execFile(process.execPath, ['--test', '--test-reporter=spec', file], { env }, (error, out) =>
      resolve({ status: error?.code, stdout: out }),
    ),
  )
  expect(status).toBe(1)
  expect(stdout).toMatch(/✔ two retries, at once/)
  expect(stdout).toMatch(/subject: expected "Welcome", received "Reset your password"/)
  expect(stdout).toMatch(/to have status "sent" within 0 ms, but: .*550/)
  expect(stdout).toMatch(/pass 1\n.*fail 2/)
})
