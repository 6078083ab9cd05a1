import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { symlink } from 'node:fs/promises'
import { hostname, userInfo } from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { createMailer } from 'threadpost'
import { describe, expect, it } from 'vitest'
import { folderOf } from '../support/folder.js'
import { ACME, ADA, testIntake } from '../support/intake.js'
import { mailerWithInbox, testMailer } from '../support/mailer.js'
import { freePort } from '../support/ports.js'
import { post, main, serve } from '../support/serve.js'

interface Run {
  code: number
  stdout: string
  stderr: string
}

async function sendmail(
  args: readonly string[],
  input: string | Buffer,
  env: Record<string, string> = {},
  program: readonly string[] = [main, 'sendmail'],
): Promise<Run> {
  const child = spawn(process.execPath, [...program, ...args], { env: { PATH: process.env['PATH'], ...env } })
  const output = Promise.all([text(child.stdout), text(child.stderr)])
  child.stdin.on('error', () => undefined).end(input)
  const [code] = (await once(child, 'close')) as [number]
  const [stdout, stderr] = await output
  return { code, stdout, stderr }
}

const MESSAGE = `From: Acme <${ACME}>\nTo: Ada <${ADA}>\nCc: bob@example.com\nBcc: eve@example.com\nSubject: Hi\n\nHello.\n.\nMore.\n`

describe('threadpost sendmail', () => {
  it('submits over SMTP what PHP and other programs write, to the recipients of the header', async () => {
    const { mailer, inbox } = await mailerWithInbox()
    const { url } = await testIntake(mailer)
    expect(await sendmail(['-t', '-i', '-fbounces@acme.example'], MESSAGE, { THREADPOST_URL: url })).toEqual({
      ...{ code: 0, stdout: '', stderr: '' },
    })
    const mail = await inbox.waitFor()
    expect(mail.envelope).toEqual({
      from: 'bounces@acme.example',
      to: [ADA, 'bob@example.com', 'eve@example.com'],
    })
    expect(mail.headers.map(({ name }) => name)).toEqual([
      ...['Received', 'Message-ID', 'Date', 'From', 'To', 'Cc', 'Subject'],
    ])
    expect(mail.text).toBe('Hello.\n.\nMore.\n')
  })

  it('takes the place of sendmail for cron: by its name, with an address without a host, and the whole of cron’s flags', async () => {
    const { mailer, inbox } = await mailerWithInbox()
    const { url } = await testIntake(mailer)
    const program = path.join(await folderOf({}), 'sendmail')
    await symlink(main, program)
    const flags = ['-FCronDaemon', '-i', '-odi', '-oem', '-oi', '-t', '-f', 'root']
    const message =
      'From: root (Cron Daemon)\nTo: ops@acme.example\nSubject: Cron <root@web> backup\n\nFailed: caf\u00e9\n'
    expect(await sendmail(flags, message, { THREADPOST_URL: url }, [program])).toMatchObject({
      code: 0,
      stderr: '',
    })
    const mail = await inbox.waitFor()
    expect(mail.envelope.from).toBe(`root@${hostname()}`)
    expect(mail.from).toEqual({ name: 'Cron Daemon', address: `root@${hostname()}` })
    expect(mail.text).toBe('Failed: café\n')
  })

  it('takes lists of recipients as arguments, as cron passes MAILTO on Debian', async () => {
    const { mailer, inbox } = await mailerWithInbox()
    const { url } = await testIntake(mailer)
    const args = ['-i', '-FCronDaemon', '-B8BITMIME', '-oem', `${ADA},ops`, '"Bob, B." <bob@example.com>, ']
    expect(await sendmail(args, MESSAGE, { THREADPOST_URL: url })).toMatchObject({ code: 0, stderr: '' })
    expect((await inbox.waitFor()).envelope.to).toEqual([ADA, `ops@${hostname()}`, 'bob@example.com'])
  })

  it('adds a sender, ends at a single dot, and prints the id on request', async () => {
    const { mailer, inbox } = await mailerWithInbox()
    const { url } = await testIntake(mailer)
    const args = ['--url', url, '--json', '-F', 'Ada "L"', '--', ADA]
    const { stdout } = await sendmail(args, 'Subject: x\r\n\r\nOne\r\n.\r\nTwo\r\n')
    const { id } = JSON.parse(stdout) as { id: string }
    expect(await mailer.wait(id)).toMatchObject({ status: 'sent' })
    const mail = await inbox.waitFor()
    expect(mail).toMatchObject({
      text: 'One\n',
      from: { name: 'Ada "L"', address: `${userInfo().username}@${hostname()}` },
    })
  })

  it('submits over HTTP, with bytes of any charset, and to a template', async () => {
    const { url } = await serve({ THREADPOST_TOKEN: 'sendmail-token-1234' })
    const env = { THREADPOST_URL: url, THREADPOST_TOKEN: 'sendmail-token-1234' }
    const latin1 = Buffer.from(
      `From: ${ACME}\nSubject: x\nContent-Type: text/plain; charset=iso-8859-1\n\ncaf\xe9\n`,
      'latin1',
    )
    const { stdout, stderr } = await sendmail(['--json', ADA], latin1, env)
    expect(stderr).toBe('')
    const { id } = JSON.parse(stdout) as { id: string }
    const headers = { authorization: 'Bearer sendmail-token-1234' }
    expect(await (await fetch(`${url}/mail/messages/${id}`, { headers })).json()).toMatchObject({
      id,
      subject: 'x',
    })
    const templated = `From: ${ACME}\nX-Threadpost-Template: welcome\nX-Threadpost-Data: {}\n\n`
    expect(await sendmail([ADA], templated, env)).toMatchObject({
      code: 65,
      stderr: expect.stringContaining('data:'),
    })
    expect(await sendmail([ADA], MESSAGE, { THREADPOST_URL: url })).toMatchObject({ code: 77 })
    expect(await sendmail([ADA], MESSAGE, { ...env, THREADPOST_URL: `${url}/mail` })).toMatchObject({
      code: 78,
      stderr: expect.stringContaining(`${url}/mail/mail/messages is not the HTTP API of a mail service`),
    })
    expect((await post(url, {}, headers)).status).toBe(400)
  })

  it('puts a message into a queue, which another process delivers from', async () => {
    const queue = `sqlite:${path.join(await folderOf({}), 'outbox.db')}`
    const { stdout } = await sendmail(['-t', '-i', '--json', '--queue', queue], MESSAGE)
    const { id } = JSON.parse(stdout) as { id: string }
    const mailer = await createMailer({ role: 'send', queue })
    expect(await mailer.find(id)).toMatchObject({ status: 'queued', subject: 'Hi' })
    await mailer.close()
    expect(await sendmail(['-t', '--queue', 'memory'], MESSAGE)).toMatchObject({ code: 78 })
    const elsewhere = { THREADPOST_QUEUE: 'postgres://127.0.0.1:1/app', THREADPOST_SCHEMA: 'No-Schema' }
    expect(await sendmail(['-t'], MESSAGE, elsewhere)).toMatchObject({
      code: 78,
      stderr: expect.stringContaining('queue.schema') as string,
    })
  })

  it('exits with the codes of sysexits.h', async () => {
    const full = await testMailer({ transport: 'smtp://127.0.0.1:1', threads: 0, limits: { queue: 1 } })
    await full.send({ to: ADA, subject: 'x', text: 'x' })
    const { url } = await testIntake(full, { recipients: ['example.com'] })
    const nowhere = `smtp://127.0.0.1:${await freePort()}`
    const cases: [string, number, string[], string, RegExp][] = [
      ['the queue is full', 75, ['--url', url, ADA], MESSAGE, /452 /],
      ['no server listens', 75, ['--url', nowhere, ADA], MESSAGE, /ECONNREFUSED/],
      ['the recipient is refused', 69, ['--url', url, 'a@other.example'], MESSAGE, /550 /],
      ['the header is broken', 65, ['--url', url, ADA], 'From: a@b.example\nno field\n\nx', /not a field/],
      ['there is no recipient', 64, ['--url', url], MESSAGE, /no recipients/],
      ['a flag is unknown', 64, ['--nope'], '', /unknown option/],
      ['the URL is none', 78, ['--url', 'ftp://x', ADA], MESSAGE, /must begin with smtp/],
    ]
    for (const [why, code, args, input, message] of cases)
      expect([why, await sendmail(args, input)]).toEqual([
        ...[why, { code, stdout: '', stderr: expect.stringMatching(message) }],
      ])
  })
})
