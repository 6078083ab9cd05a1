import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { createAuthority } from '../support/certificate.js'
import { folderOf } from '../support/folder.js'
import { startLoginServer } from '../support/loopback.js'
import { testMailer, testSender } from '../support/mailer.js'
import { ScriptedServer } from '../support/scriptedServer.js'

const mail = { to: 'ada@example.com', subject: 'Hi', text: 'Hello' }

// test/support/leaks.ts fails the file if Node warns.
it('opens twelve connections at a time without a warning of Node', async () => {
  let release: () => void = () => undefined
  const opened = new Promise<void>((resolve) => (release = resolve))
  const server = await ScriptedServer.start({
    greeting: async (_, { index }) => {
      if (index === 12) release()
      if (index > 0) await opened
      return '220 hello'
    },
    // While the first connection is busy, the messages that wait for it get connections of their own.
    dot: async () => {
      await opened
      return '250 2.0.0 ok'
    },
  })
  const url = `smtp://127.0.0.1:${server.port}`
  const mailer = await testMailer({ transport: url, threads: 0, concurrency: 40 })
  const messages = await Promise.all(Array.from({ length: 40 }, () => mailer.sendAndWait(mail)))
  expect(messages.map(({ status }) => status)).toEqual(messages.map(() => 'sent'))
})

describe.each([
  ['in a thread', 1],
  ['inline', 0],
])('a mailer that delivers %s', (_, threads) => {
  it('tests its transports without sending', async () => {
    const authority = createAuthority()
    const port = await startLoginServer(authority.issue('127.0.0.1'), 5_000)
    const refusing = await ScriptedServer.start({ greeting: () => '554 5.7.1 no' })
    const mailer = await testMailer({
      threads,
      transports: {
        good: { url: `smtp://ada:x@127.0.0.1:${port}`, requireTLS: true, tls: { ca: authority.cert } },
        untrusted: { url: `smtp://ada:x@127.0.0.1:${port}`, requireTLS: true },
        refusing: `smtp://127.0.0.1:${refusing.port}`,
      },
    })
    const report = await mailer.verify()
    expect(report).toMatchObject({
      transport: 'good',
      ok: true,
      authenticated: true,
      pipelining: true,
      maxSize: 5_000,
      tls: { authorized: true, subject: '127.0.0.1' },
    })
    expect(report.ok && report.tls?.protocol).toMatch(/^TLSv1\.[23]$/)
    expect(await mailer.verify('untrusted')).toMatchObject({ ok: false, code: 'TLS_FAILED' })
    expect(await mailer.verify('refusing')).toMatchObject({
      ok: false,
      code: 'CONNECTION_FAILED',
      reply: { code: 554 },
    })
    const nameless = await startLoginServer(authority.issue('127.0.0.1', { nameless: true }), 5_000)
    await mailer.addTransport('nameless', {
      url: `smtp://ada:x@127.0.0.1:${nameless}`,
      requireTLS: true,
      tls: { ca: authority.cert },
    })
    expect(await mailer.verify('nameless')).toMatchObject({
      ok: true,
      tls: { authorized: true, subject: '127.0.0.1' },
    })
    await expect(mailer.verify('none')).rejects.toMatchObject({ code: 'INVALID_OPTIONS' })
  })

  it('reloads a transport while mail goes out, and loses no message', async () => {
    const first = await ScriptedServer.start()
    const second = await ScriptedServer.start()
    const mailer = await testMailer({ transport: `smtp://127.0.0.1:${first.port}`, threads })
    const receipts = await Promise.all(Array.from({ length: 100 }, () => mailer.send(mail)))
    await mailer.wait(receipts[0]?.id ?? '')
    await mailer.reload({ transport: `smtp://127.0.0.1:${second.port}` })
    const messages = await Promise.all(receipts.map(({ id }) => mailer.wait(id)))
    expect(messages.every(({ status, attempts }) => status === 'sent' && attempts.length === 1)).toBe(true)
    const before = first.messages.length
    await mailer.sendAndWait(mail)
    expect(first.messages).toHaveLength(before)
    expect(before + second.messages.length).toBe(101)
    expect(before).toBeGreaterThan(0)
  })

  it('sends the held mail after reload() with the right password', async () => {
    const server = await ScriptedServer.start({
      extensions: ['AUTH PLAIN'],
      auth: (line) =>
        Buffer.from(line.split(' ')[2] ?? '', 'base64')
          .toString()
          .endsWith('right')
          ? '235 ok'
          : '535 no',
    })
    const url = (password: string) => `smtp://ada:${password}@127.0.0.1:${server.port}`
    const mailer = await testMailer({ transport: url('wrong'), threads, breaker: { probeDelay: 200 } })
    const held = new Promise((resolve) => mailer.once('held', resolve))
    const { id } = await mailer.send(mail)
    await held
    await expect(mailer.reload({ transport: 'nonsense' })).rejects.toMatchObject({ code: 'INVALID_OPTIONS' })
    await expect(mailer.reload({ transports: { other: url('x') } })).rejects.toMatchObject({
      code: 'INVALID_OPTIONS',
    })
    await mailer.reload({ transport: url('right') })
    expect((await mailer.wait(id)).status).toBe('sent')
    expect((await mailer.stats()).transports).toEqual([{ transport: 'default', breaker: 'closed' }])
  })
})

it('reloads the transports of a thread that is starting, too', async () => {
  const first = await ScriptedServer.start()
  const second = await ScriptedServer.start()
  const dir = await folderOf({
    'bad.mjml': `<mjml><mj-head><mj-title>t</mj-title></mj-head><mj-body>
      <mj-section><mj-column><mj-text>{{die x}}</mj-text></mj-column></mj-section></mj-body></mjml>`,
    'helpers.js': 'export function die() { process.exit(3) }',
  })
  const mailer = await testMailer({
    transport: `smtp://127.0.0.1:${first.port}`,
    threads: 1,
    templates: dir,
  })
  const reloaded = new Promise<void>((resolve, reject) => {
    mailer.once('thread-died', () => {
      mailer.reload({ transport: `smtp://127.0.0.1:${second.port}` }).then(resolve, reject)
    })
  })
  await expect(mailer.render('bad', { x: 1 })).rejects.toMatchObject({ code: 'TEMPLATE_ERROR' })
  await reloaded
  await mailer.sendAndWait(mail)
  expect([first.messages.length, second.messages.length]).toEqual([0, 1])
})

it('a mailer that only sends has no transport to test', async () => {
  const queue = `sqlite:${path.join(await folderOf({}), 'outbox.db')}`
  const sender = await testSender({ queue })
  await expect(sender.verify()).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    message: expect.stringContaining('ask one that delivers') as string,
  })
})
