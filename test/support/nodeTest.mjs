import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createMailer } from 'threadpost'
import { advance, expectMail, expectMessage, expectNoMail, startInbox } from 'threadpost/testing'

/** The testing entry in a runner that isn't vitest; the second test fails, to show how that reads. */

let inbox
let mailer
before(async () => {
  inbox = await startInbox({ faults: [{ at: 'rcpt', do: 'defer', times: 2 }] })
  mailer = await createMailer({ transport: inbox.url, from: 'Acme <hello@acme.example>' })
})
after(async () => {
  await mailer.close()
  await inbox.close()
})

test('two retries, at once', async () => {
  const { id } = await mailer.send({
    to: 'ada@example.com',
    subject: 'Reset your password',
    html: '<a href="https://acme.example/reset?token=abc">choose another</a>',
    attachments: [{ filename: 'terms.txt', content: 'Be kind.' }],
  })
  await advance(mailer, 0)
  await expectMessage(mailer, id, { status: 'deferred', attempts: 1 }, { timeout: 0 })
  await expectNoMail(inbox, {}, { within: 0 })
  await advance(mailer, 3_600_000)
  await expectMessage(mailer, id, { status: 'sent', attempts: 3 }, { timeout: 0 })
  const mail = await expectMail(inbox, {
    to: 'ada@example.com',
    subject: /password/,
    attachments: ['terms.txt'],
  })
  assert.equal(mail.link('/reset').url, 'https://acme.example/reset?token=abc')
  assert.equal(Buffer.from(mail.attachment('terms.txt').content).toString(), 'Be kind.')
})

test('the wrong subject', async () => {
  await expectMail(inbox, { to: 'ada@example.com', subject: 'Welcome' }, { timeout: 0 })
})

test('the wrong outcome', async () => {
  inbox.faults.set([{ at: 'rcpt', do: 'refuse' }])
  const { id } = await mailer.send({ to: 'bob@example.com', subject: 'x', text: 'y' })
  await advance(mailer, 0)
  await expectMessage(mailer, id, { status: 'sent' }, { timeout: 0 })
})
