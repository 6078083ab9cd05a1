import { createMailer, type Mailer, type MailerOptions } from 'threadpost'
import { startInbox, type Inbox, type InboxOptions } from 'threadpost/testing'
import { onTestFinished } from 'vitest'

/** Milliseconds that only bound a hang, on a machine that does many other things at once. */
const PATIENCE = 240_000

/** An inbox and a mailer that sends to it; both are closed when the test ends. */
export async function mailerWithInbox(
  options: Partial<MailerOptions> = {},
  inboxOptions: InboxOptions = {},
): Promise<{ mailer: Mailer; inbox: Inbox }> {
  const inbox = await testInbox(inboxOptions)
  return { inbox, mailer: await testMailer({ transport: inbox.url, ...options }) }
}

/** An inbox, closed when the test ends. */
export async function testInbox(options: InboxOptions = {}): Promise<Inbox> {
  const inbox = await startInbox(options)
  onTestFinished(() => inbox.close())
  return patient(inbox)
}

/** By default an inbox waits five seconds for a mail; this one waits as long as a slow machine may take. */
export function patient(inbox: Inbox): Inbox {
  const waitFor = inbox.waitFor.bind(inbox)
  inbox.waitFor = (wish) => waitFor({ timeout: PATIENCE, ...wish })
  return inbox
}

/** A mailer with quick retries and much patience with a slow machine, closed when the test ends. */
export async function testMailer(options: MailerOptions): Promise<Mailer> {
  const mailer = await createMailer({
    from: 'Acme <hello@acme.example>',
    retry: { baseDelay: 20, factor: 1, jitter: 'none' },
    ...options,
    limits: { render: 60_000, ...options.limits },
  })
  onTestFinished(() => mailer.close({ deadline: 1_000 }))
  const wait = mailer.wait.bind(mailer)
  mailer.wait = (id, options) => wait(id, { timeout: PATIENCE, ...options })
  const sendAndWait = mailer.sendAndWait.bind(mailer)
  mailer.sendAndWait = (mail, options) => sendAndWait(mail, { timeout: PATIENCE, ...options })
  return mailer
}

/** A mailer that takes mail in and leaves its delivery to other processes. */
export function testSender(options: Partial<MailerOptions>): Promise<Mailer> {
  return testMailer({ role: 'send', ...options })
}

/** The subjects of the mails that arrived, in their order. */
export function subjectsOf(inbox: Inbox): string[] {
  return inbox
    .stored()
    .map(({ raw }) => /^Subject: (.*)$/m.exec(Buffer.from(raw).toString())?.[1]?.trim() ?? '')
}
