import { execFile } from 'node:child_process'
import os from 'node:os'
import { promisify } from 'node:util'
import { explain } from 'threadpost'
import { describe, expect, it, onTestFinished } from 'vitest'
import { resolveOptions } from '../../src/options.js'
import { fullyQualified } from '../../src/transports/defaultEhloName.js'
import { SmtpSender } from '../../workers/transports/smtp/smtpSender.js'
import { builtFile } from '../support/built.js'
import { testMailer } from '../support/mailer.js'
import { ScriptedServer } from '../support/scriptedServer.js'
import { send, senderTo, transportTo } from '../support/smtpSender.js'

const run = promisify(execFile)
const main = builtFile('src/cli/main.js')

const MACHINE = fullyQualified(os.hostname())
const MAIL = { to: 'ada@example.com', subject: 'Hello', text: 'Hello' }

/** A sender whose transport has no name for EHLO. */
function unnamedSender(port: number): SmtpSender {
  const config = transportTo(port)
  delete config.ehloName
  const sender = new SmtpSender(config, 1)
  onTestFinished(() => sender.quit())
  return sender
}

describe('the name in EHLO', () => {
  it("is ehloName, else the machine's qualified name, else the domain of from as an A-label", async () => {
    const server = await ScriptedServer.start()
    const url = `smtp://127.0.0.1:${server.port}`
    for (const transport of [
      url,
      { url, ehloName: 'mail.bücher.example' },
      { url, ehloName: '[192.0.2.1]' },
    ]) {
      const mailer = await testMailer({ transport, from: 'info@bücher.example' })
      await mailer.sendAndWait(MAIL)
      await mailer.close()
    }
    const names = server.conversations.map(({ commands }) => commands[0])
    expect(names).toEqual([
      `EHLO ${MACHINE ?? 'xn--bcher-kva.example'}`,
      'EHLO mail.xn--bcher-kva.example',
      'EHLO [192.0.2.1]',
    ])
  })

  it("is the domain of the first message's sender where nothing else is known", async () => {
    const server = await ScriptedServer.start()
    const sender = unnamedSender(server.port)
    await send(sender, { from: 'info@bücher.example' })
    expect(server.conversations[0]?.commands[0]).toBe('EHLO xn--bcher-kva.example')
  })

  it('never is an address of this machine', async () => {
    const server = await ScriptedServer.start()
    const sender = unnamedSender(server.port)
    await send(sender, { from: '' })
    expect(server.conversations[0]?.commands[0]).toMatch(/^EHLO [A-Za-z0-9-]+$/)
  })

  it.each([
    '',
    'under_score.example',
    'mail acme.example',
    'a..b',
    '-mail.example',
    '[127.0.0.1',
    'x\r\nMAIL',
  ])('is refused if no server could accept it: %j', (ehloName) => {
    expect(() => resolveOptions({ transport: { url: 'smtp://mail.example.com', ehloName } })).toThrow(
      /^transport\.ehloName: is not a domain name/,
    )
  })

  it.each([
    ['mail.acme.example', 'mail.acme.example'],
    ['ip-10-0-0-1.ec2.acme.example', 'ip-10-0-0-1.ec2.acme.example'],
    ['web1', undefined],
    ['localhost.localdomain', undefined],
    ['macbook.local', undefined],
    ['web1.eu-central-1.compute.internal', undefined],
    ['web_1.acme.example', undefined],
    ['10.0.0.7', undefined],
    ['', undefined],
  ])("is the machine's name only where others can know it: %j", (hostname, expected) => {
    expect(fullyQualified(hostname)).toBe(expected)
  })
})

describe('a server that complains about the name in EHLO', () => {
  const HINT = `threadpost introduced itself as "web1"; set the transport's ehloName to a name that the server accepts`

  it('at RCPT, as Postfix does, makes explain() name the option', async () => {
    const server = await ScriptedServer.start({
      rcpt: () => '504 5.5.2 <web1>: Helo command rejected: need fully-qualified hostname',
    })
    const mailer = await testMailer({
      transport: { url: `smtp://127.0.0.1:${server.port}`, ehloName: 'web1' },
    })
    const message = await mailer.sendAndWait(MAIL)
    expect(explain(message)).toBe(
      `Permanently rejected: the server answered "504 5.5.2 <web1>: Helo command rejected: need fully-qualified hostname": ${HINT}.`,
    )
  })

  it.each([
    [
      'at EHLO',
      { ehlo: () => '550 5.7.1 who are you?' },
      /The server could not be reached: 550 5\.7\.1 who are you\?; threadpost/,
    ],
    ['at MAIL', { mail: () => '450 4.7.1 Helo command rejected: Host not found' }, /Helo command rejected/],
  ])('%s has its message name the option', async (_, script, expected) => {
    const server = await ScriptedServer.start(script)
    const { outcome, message } = await send(senderTo(server.port, { ehloName: 'web1' }, 1))
    expect(outcome.result).toBe('deferred')
    expect(message).toMatch(expected)
    expect(message).toContain(HINT)
  })

  it('makes doctor name it; a server that does not complain is shown the name as a fact', async () => {
    const refusing = await ScriptedServer.start({ ehlo: () => '550 5.7.1 invalid name' })
    const accepting = await ScriptedServer.start()
    const doctor = (port: number) =>
      run(process.execPath, [
        main,
        'doctor',
        '--transport',
        `smtp://127.0.0.1:${port}`,
        '--from',
        'a@acme.example',
      ])
    const failure = await doctor(refusing.port).catch((error: unknown) => error as { stdout: string })
    expect(failure.stdout).toContain(`introduced itself as "${MACHINE ?? 'acme.example'}"`)
    expect((await doctor(accepting.port)).stdout).toContain(
      `introduced as ${MACHINE ?? 'acme.example'} (ehloName)`,
    )
  })
})
