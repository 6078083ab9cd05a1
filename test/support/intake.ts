import type { Mailer, MailerOptions } from 'threadpost'
import { smtpIntake, type SmtpIntake, type SmtpIntakeOptions } from 'threadpost/intake'
import { onTestFinished } from 'vitest'
import { testMailer } from './mailer.js'
import { RawClient } from './rawClient.js'

export const ACME = 'hello@acme.example'
export const ADA = 'ada@example.com'
export const MESSAGE = [
  ...[`From: Acme <${ACME}>`, `To: ${ADA}`, 'Subject: Hi', 'Message-ID: <1@acme.example>'],
  ...['Date: Mon, 30 Nov 2026 08:00:00 +0000', '', 'Hello.'],
]

/** An intake on a free port, closed when the test ends. */
export async function testIntake(mailer: Mailer, options: SmtpIntakeOptions = {}): Promise<SmtpIntake> {
  const intake = await smtpIntake(mailer, { port: 0, name: 'mx.acme.example', ...options })
  onTestFinished(() => intake.close({ deadline: 0 }))
  return intake
}

/** An intake whose messages go nowhere. */
export async function quietIntake(
  options: SmtpIntakeOptions = {},
  mailer: Partial<MailerOptions> = {},
): Promise<SmtpIntake> {
  return testIntake(await testMailer({ transport: 'smtp://127.0.0.1:1', threads: 0, ...mailer }), options)
}

/** A client after its EHLO. */
export async function clientOf({ port }: { port: number }): Promise<RawClient> {
  const client = new RawClient(port)
  await client.reply()
  await client.ask('EHLO app.acme.example')
  return client
}

export interface Submission {
  from?: string
  to?: readonly string[]
}

/** Submits a message and returns the reply to it, or to the command that was refused. */
export async function submit(
  client: RawClient,
  lines: readonly string[] = MESSAGE,
  { from = ACME, to = [ADA] }: Submission = {},
): Promise<string> {
  for (const command of [`MAIL FROM:<${from}>`, ...to.map((address) => `RCPT TO:<${address}>`), 'DATA']) {
    const reply = await client.ask(command)
    if (!/^[23]/.test(reply)) return reply
  }
  return client.ask(...lines, '.')
}

/** The id in a reply to a message. */
export function idIn(reply: string): string {
  const [id] = /[0-9a-f-]{36}/.exec(reply) ?? []
  if (id === undefined) throw new Error(`no id in ${reply}`)
  return id
}

/** The token of AUTH PLAIN. */
export function plainToken(user: string, pass: string): string {
  return Buffer.from(`\0${user}\0${pass}`).toString('base64')
}
