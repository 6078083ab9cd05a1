import { explain, type MessageEvent, type ResolveTransport } from 'threadpost'
import { describe, expect, it } from 'vitest'
import { folderOf } from '../support/folder.js'
import { testInbox, testMailer, testSender } from '../support/mailer.js'
import { ScriptedServer } from '../support/scriptedServer.js'

const mail = { to: 'ada@example.com', subject: 'Hi', text: 'Hello' }
const SECRET = 'canary-5e1f7'

const subjects = (server: ScriptedServer): string[] =>
  server.messages.map(({ data }) => /^Subject: (.*)\r$/m.exec(data)?.[1] ?? '')

describe('addTransport and removeTransport', () => {
  it.each(['memory', 'sqlite'])('add and remove a transport while mail is being sent (%s)', async (kind) => {
    const first = await testInbox()
    const second = await testInbox()
    const mailer = await testMailer({
      transport: first.url,
      queue: kind === 'memory' ? kind : `sqlite:${await folderOf({})}/outbox.db`,
    })
    await expect(mailer.send({ ...mail, transport: 'tenant' })).rejects.toMatchObject({
      code: 'INVALID_MESSAGE',
      path: 'transport',
    })
    await mailer.addTransport('tenant', second.url)
    await expect(mailer.addTransport('tenant', second.url)).rejects.toMatchObject({ path: 'name' })
    expect((await mailer.sendAndWait({ ...mail, transport: 'tenant' })).status).toBe('sent')
    expect([first.count, second.count]).toEqual([0, 1])
    expect(await mailer.verify('tenant')).toMatchObject({ ok: true, transport: 'tenant' })

    await mailer.pause()
    const { id } = await mailer.send({ ...mail, transport: 'tenant' })
    await mailer.removeTransport('tenant')
    const held = new Promise<MessageEvent>((resolve) => mailer.once('held', resolve))
    await mailer.resume()
    expect(await held).toMatchObject({ id, heldReason: 'paused', outcome: { code: 'TRANSPORT_UNAVAILABLE' } })
    const message = await mailer.find(id)
    expect(message?.attempts).toMatchObject([{ counted: false, code: 'TRANSPORT_UNAVAILABLE' }])
    expect(message && explain(message)).toBe(
      'Held: no transport "tenant" is available: it was removed, or was not added yet; its mail is sent once it is added.',
    )
    await expect(mailer.send({ ...mail, transport: 'tenant' })).rejects.toMatchObject({ path: 'transport' })
    await expect(mailer.removeTransport('tenant')).rejects.toMatchObject({ path: 'name' })
    await mailer.addTransport('tenant', second.url)
    expect((await mailer.wait(id)).status).toBe('sent')
    expect(second.count).toBe(2)
  })

  it('let the deliveries in progress of a removed transport finish', async () => {
    const inbox = await testInbox()
    let answer: (reply: string) => void = () => undefined
    let reach: () => void = () => undefined
    const reached = new Promise<void>((resolve) => (reach = resolve))
    const server = await ScriptedServer.start({
      dot: () => {
        reach()
        return new Promise<string>((resolve) => (answer = resolve))
      },
    })
    const mailer = await testMailer({ transport: inbox.url })
    await mailer.addTransport('tenant', `smtp://127.0.0.1:${server.port}`)
    const { id } = await mailer.send({ ...mail, transport: 'tenant' })
    await reached
    const removed = mailer.removeTransport('tenant')
    answer('250 2.0.0 taken')
    await removed
    expect(await mailer.wait(id)).toMatchObject({ status: 'sent', attempts: [{ code: 'OK' }] })
  })

  it('name no other transport and no credential in their errors', async () => {
    const inbox = await testInbox()
    const mailer = await testMailer({ transports: { first: inbox.url, other: inbox.url } })
    for (const failing of [
      () => mailer.send({ ...mail, transport: 'nobody' }),
      () => mailer.verify('nobody'),
      () => mailer.removeTransport('nobody'),
      () => mailer.reload({ transports: { nobody: inbox.url } }),
      () => mailer.pause({ transport: 'nobody' }),
      () => mailer.addTransport('new', { url: inbox.url, failover: 'nobody' }),
      () => mailer.addTransport('new', 'inbox:'),
      () => mailer.addTransport('', inbox.url),
      () => mailer.addTransport('new', `smtpp://user:${SECRET}@mail.example`),
    ]) {
      const error = (await failing().then(
        () => undefined,
        (reason: unknown) => reason,
      )) as Error
      expect(error).toMatchObject({ code: expect.stringMatching(/^INVALID_/) })
      expect(error.message).not.toMatch(new RegExp(`other|first|${SECRET}`))
    }
  })
})

describe('resolveTransport', () => {
  it('is called once for each name; its transports are kept, and never listed', async () => {
    const inbox = await testInbox({ keep: 1_000 })
    const names: string[] = []
    const mailer = await testMailer({
      transport: inbox.url,
      threads: 2,
      resolveTransport: async (name) => {
        names.push(name)
        await new Promise((resolve) => setImmediate(resolve))
        return { url: inbox.url, allowPrivateHosts: true }
      },
    })
    const mails = Array.from({ length: 60 }, (_, index) => ({ ...mail, transport: `tenant:${index % 3}` }))
    for (const receipt of await mailer.sendMany(mails))
      expect((await mailer.wait('id' in receipt ? (receipt.id ?? '') : '')).status).toBe('sent')
    expect(names.toSorted()).toEqual(['tenant:0', 'tenant:1', 'tenant:2'])
    expect(inbox.count).toBe(60)
    expect((await mailer.stats()).transports.map(({ transport }) => transport)).toEqual(['default'])
  })

  it('is called again for a transport that was evicted, and the mailer works without any other transport', async () => {
    const inbox = await testInbox()
    const names: string[] = []
    const mailer = await testMailer({
      resolveTransport: (name) => {
        names.push(name)
        return { url: inbox.url, allowPrivateHosts: true }
      },
      limits: { transports: 2 },
    })
    for (const transport of ['a', 'b', 'a', 'c', 'a', 'b'])
      expect((await mailer.sendAndWait({ ...mail, transport })).status).toBe('sent')
    expect(names).toEqual(['a', 'b', 'c', 'b'])
  })

  it('is called again after the server refused the password', async () => {
    const server = await ScriptedServer.start({
      extensions: ['AUTH PLAIN'],
      auth: (line: string) =>
        line.includes(Buffer.from('\0acme\0new').toString('base64')) ? '235 2.7.0 yes' : '535 5.7.8 no',
    })
    const passwords = ['old', 'old', 'new']
    const mailer = await testMailer({
      breaker: { probeDelay: 20, maxProbeDelay: 40 },
      resolveTransport: () => ({
        url: `smtp://127.0.0.1:${server.port}`,
        auth: { user: 'acme', pass: passwords.shift() ?? 'none left' },
        allowPrivateHosts: true,
      }),
    })
    const message = await mailer.sendAndWait({ ...mail, transport: 'acme' })
    expect(message.status).toBe('sent')
    expect(message.attempts.map(({ code }) => code)).toEqual(['AUTH_FAILED', 'OK'])
    expect(passwords).toEqual([])
    expect(subjects(server)).toEqual(['Hi'])
  })

  const failures: [title: string, failing: ResolveTransport, reason: string][] = [
    ['throws', () => Promise.reject(new Error(`no database: ${SECRET}`)), 'resolveTransport failed'],
    ['returns nothing', () => undefined, 'resolveTransport knows no such transport'],
    [
      'returns settings that are not valid',
      () => `smtp://user:${SECRET}@mail.example/${SECRET}`,
      'the settings that resolveTransport returned are not valid',
    ],
  ]
  it.each(failures)('holds the mail while it %s, and reveals nothing', async (_, failing, reason) => {
    const inbox = await testInbox()
    const told: unknown[] = []
    const log = (...line: unknown[]): void => void told.push(line)
    let works = false
    const resolveTransport: ResolveTransport = () =>
      works ? { url: inbox.url, allowPrivateHosts: true } : failing('')
    const mailer = await testMailer({
      resolveTransport,
      logger: { debug: log, info: log, warn: log, error: log },
    })
    mailer.on('held', (event) => told.push(event))
    const held = new Promise<MessageEvent>((resolve) => mailer.once('held', resolve))
    const { id } = await mailer.send({ ...mail, transport: 'tenant:7' })
    expect((await held).outcome?.message).toContain(`No transport "tenant:7" is available: ${reason}`)
    works = true
    const message = await mailer.wait(id)
    expect(message.status).toBe('sent')
    expect(message.attempts.map(({ code, counted }) => [code, counted])).toEqual([
      ['TRANSPORT_UNAVAILABLE', false],
      ['OK', true],
    ])
    expect(JSON.stringify([told, message, await mailer.stats()])).not.toContain(SECRET)
  })

  it.each([
    ['smtp://127.0.0.1:25', 'private address'],
    ['smtp://[::1]', 'private address'],
    ['smtp://[::ffff:10.0.0.1]', 'private address'],
    ['smtp://169.254.169.254', 'private address'],
    ['smtp://192.168.1.1', 'private address'],
    ['file:./outbox', 'servers on the Internet only'],
    [{ module: './plugin.cjs' }, 'servers on the Internet only'],
    [{ url: 'sendgrid:', apiKey: 'k', endpoint: 'https://10.0.0.1' }, 'private address'],
    [{ url: 'smtp://mail.example', proxy: 'http://10.0.0.1:3128' }, 'addresses that are not checked'],
    [
      {
        url: 'smtp://mail.example',
        auth: {
          user: 'a',
          clientId: 'a',
          clientSecret: 'b',
          refreshToken: 'c',
          accessUrl: 'https://10.0.0.1/token',
        },
      },
      'auth.tokenEndpoint: its host is a private address',
    ],
  ] as const)('holds the mail of a transport that leads to a private host: %j', async (transport, reason) => {
    const mailer = await testMailer({ resolveTransport: () => transport })
    const held = new Promise<MessageEvent>((resolve) => mailer.once('held', resolve))
    await mailer.send({ ...mail, transport: 'tenant' })
    expect((await held).outcome?.message).toContain(reason)
  })

  it.each(['localhost', '0x7f000001', '127.1'])(
    'connects to no private address that a host name resolves to: %s',
    async (host) => {
      const server = await ScriptedServer.start()
      const mailer = await testMailer({ resolveTransport: () => `smtp://${host}:${server.port}` })
      const held = new Promise<MessageEvent>((resolve) => mailer.once('held', resolve))
      await mailer.send({ ...mail, transport: 'tenant' })
      expect(await held).toMatchObject({ outcome: { code: 'CONNECTION_FAILED' } })
      expect(server.conversations).toEqual([])
    },
  )

  it('is called by each process that delivers, not by those that send', async () => {
    const inbox = await testInbox()
    const queue = `sqlite:${await folderOf({})}/outbox.db`
    const sender = await testSender({
      queue,
      resolveTransport: () => {
        throw new Error('it is not asked')
      },
    })
    const names: string[] = []
    await testMailer({
      role: 'deliver',
      queue,
      resolveTransport: (name) => {
        names.push(name)
        return { url: inbox.url, allowPrivateHosts: true }
      },
    })
    const message = await sender.sendAndWait({ ...mail, transport: 'tenant:1' })
    expect(message).toMatchObject({ status: 'sent', transport: 'tenant:1' })
    expect(names).toEqual(['tenant:1'])
  })
})
