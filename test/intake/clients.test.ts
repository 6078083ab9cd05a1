import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import nodemailer from 'nodemailer'
import type { Inbox } from 'threadpost/testing'
import { describe, expect, it } from 'vitest'
import { createAuthority } from '../support/certificate.js'
import { folderOf } from '../support/folder.js'
import { ACME, ADA, testIntake } from '../support/intake.js'
import { mailerWithInbox } from '../support/mailer.js'
import type { Tool } from '../support/prerequisites.mjs'
import { itWith } from '../support/tools.js'

/** A message with what clients and servers like to change: dots, white space at the ends of lines, long lines, octets above 127. */
const MESSAGE = [
  ...[`From: Acme <${ACME}>`, `To: Ada <${ADA}>`, 'Subject: Grüße', 'Date: Mon, 30 Nov 2026 08:00:00 +0000'],
  ...['Message-ID: <client@acme.example>', 'X-Folded: one', '\ttwo', 'MIME-Version: 1.0'],
  ...[
    'Content-Type: text/plain; charset=utf-8',
    'Content-Transfer-Encoding: 8bit',
    '',
    '.',
    '..',
    '.two',
    'naïve — ü  ',
  ],
  ...['\t', 'x'.repeat(900), '', '', 'end', ''],
].join('\r\n')

async function run(tool: Tool, more: readonly string[], input = ''): Promise<void> {
  await output(tool, more, input)
}

/** The output of the program. */
async function output({ command, args, env }: Tool, more: readonly string[], input = ''): Promise<string> {
  const child = spawn(command, [...args, ...more], { env: { PATH: process.env['PATH'], ...env } })
  const texts = Promise.all([text(child.stdout), text(child.stderr)])
  child.stdin.on('error', () => undefined).end(input)
  const [code] = (await once(child, 'close')) as [number]
  expect([code, ...(code === 0 ? [] : await texts)]).toEqual([0])
  return (await texts)[0]
}

/** The message as it arrived, without the Received field in front of it. */
async function arrived(inbox: Inbox): Promise<{ octets: string; from: string; to: string[] }> {
  const { raw, envelope } = await inbox.waitFor()
  const [, octets = ''] =
    /^Received: from [^]*?; ?\r\n\t.*\r\n([^]*)$/.exec(Buffer.from(raw).toString()) ?? []
  return { octets, ...envelope }
}

describe('a message arrives byte for byte from', () => {
  itWith(['swaks'], 'swaks', async ({ swaks }) => {
    const { mailer, inbox } = await mailerWithInbox()
    const { port } = await testIntake(mailer, { auth: { users: [{ user: 'shop', pass: 'secret' }] } })
    // swaks adds the last line break.
    const file = path.join(await folderOf({ 'mail.eml': MESSAGE.slice(0, -2) }), 'mail.eml')
    await run(swaks, [
      ...['--server', '127.0.0.1', '--port', String(port), '--helo', 'app', '--from', ACME, '--to', ADA],
      ...['--auth', 'LOGIN', '--auth-user', 'shop', '--auth-password', 'secret', '--data', `@${file}`],
    ])
    expect((await arrived(inbox)).octets).toBe(MESSAGE)
  })

  itWith(['msmtp'], 'msmtp, over STARTTLS with a password', async ({ msmtp }) => {
    const { mailer, inbox } = await mailerWithInbox()
    const authority = createAuthority()
    const tls = authority.issue('127.0.0.1')
    const { port } = await testIntake(mailer, { auth: { users: [{ user: 'shop', pass: 'secret' }] }, tls })
    const folder = await folderOf({ 'ca.pem': authority.cert })
    await run(
      msmtp,
      [
        ...[
          '--host=127.0.0.1',
          `--port=${port}`,
          '--tls=on',
          '--tls-starttls=on',
          `--tls-trust-file=${folder}/ca.pem`,
        ],
        ...['--auth=plain', '--user=shop', '--passwordeval=echo secret', `--from=${ACME}`, ADA],
      ],
      MESSAGE.replaceAll('\r\n', '\n'),
    )
    expect((await arrived(inbox)).octets).toBe(MESSAGE)
  })

  itWith(['python3-dkim'], 'Python’s smtplib, with addresses that require SMTPUTF8', async (tools) => {
    const { mailer, inbox } = await mailerWithInbox()
    const { port } = await testIntake(mailer)
    const program = [
      'import smtplib, sys',
      `with smtplib.SMTP("127.0.0.1", ${port}) as client:`,
      '    client.ehlo()',
      '    client.sendmail("grüße@acme.example", ["użytkownik@example.com"], sys.stdin.buffer.read(), ["SMTPUTF8", "BODY=8BITMIME"])',
    ]
    await run(tools['python3-dkim'], ['-X', 'utf8', '-c', program.join('\n')], MESSAGE)
    const { octets, from, to } = await arrived(inbox)
    expect(octets).toBe(MESSAGE)
    expect([from, ...to]).toEqual(['grüße@acme.example', 'użytkownik@example.com'])
  })

  itWith(['python3-flask'], 'Flask-Mail', async (tools) => {
    const { mailer, inbox } = await mailerWithInbox()
    const { port } = await testIntake(mailer)
    const program = [
      'import smtplib, sys',
      'from flask import Flask',
      'from flask_mail import Mail, Message',
      // Prints what it hands to smtplib, which adds a last line break.
      'sendmail = smtplib.SMTP.sendmail',
      'def recorded(client, sender, to, octets, *options):',
      '    sys.stdout.buffer.write(octets if octets.endswith(b"\\r\\n") else octets + b"\\r\\n")',
      '    return sendmail(client, sender, to, octets, *options)',
      'smtplib.SMTP.sendmail = recorded',
      'app = Flask("app")',
      `app.config.update(MAIL_SERVER="127.0.0.1", MAIL_PORT=${port}, MAIL_DEFAULT_SENDER=("Acme", "${ACME}"))`,
      'mail = Mail(app)',
      'with app.app_context():',
      `    message = Message("Grüße", recipients=["${ADA}"], body="naïve — ü\\n.\\n..two\\n", html="<p>ü</p>")`,
      '    message.attach("a.bin", "application/octet-stream", bytes(range(256)))',
      '    mail.send(message)',
    ]
    const sent = await output(tools['python3-flask'], ['-X', 'utf8', '-c', program.join('\n')])
    expect((await arrived(inbox)).octets).toBe(sent)
  })

  it('nodemailer', async () => {
    const { mailer, inbox } = await mailerWithInbox()
    const { port } = await testIntake(mailer)
    const transport = nodemailer.createTransport({ host: '127.0.0.1', port, ignoreTLS: true })
    const { response } = await transport.sendMail({ raw: MESSAGE, envelope: { from: ACME, to: ADA } })
    expect(response).toMatch(/^250 2\.6\.0 Queued as /)
    expect((await arrived(inbox)).octets).toBe(MESSAGE)
  })
})
