import { fork } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, connect as connectTcp, createServer } from 'node:net'
import path from 'node:path'
import { type ConfirmChannel, connect } from 'amqplib'
import type { Mailer } from 'threadpost'
import { amqpIntake, type AmqpIntake, type AmqpIntakeOptions } from 'threadpost/intake'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { folderOf } from '../support/folder.js'
import { mailerWithInbox, testInbox, testMailer } from '../support/mailer.js'
import { freePort } from '../support/ports.js'
import { RabbitMq } from '../support/rabbitmq.js'
import { describeWith } from '../support/tools.js'

/** Messages, and times that the consuming process is killed; INTAKE_KILLS=5 for a long run. */
const KILLS = Number(process.env['INTAKE_KILLS'] ?? 2)
const MESSAGES = KILLS === 2 ? 300 : 1_000 * KILLS

const MAIL = { to: 'ada@example.com', from: 'hello@acme.example', subject: 'Hi', text: 'Hello.' }

describeWith(['rabbitmq-server'], 'the AMQP intake', (tools) => {
  let server: RabbitMq
  let queues = 0
  beforeAll(async () => (server = await RabbitMq.start(tools['rabbitmq-server'])))
  afterAll(() => server.close())

  async function intakeOf(mailer: Mailer, options: Partial<AmqpIntakeOptions> = {}): Promise<AmqpIntake> {
    const intake = await amqpIntake(mailer, {
      url: server.url,
      queue: `mail${++queues}`,
      maxDelay: 50,
      ...options,
    })
    onTestFinished(() => intake.close({ deadline: 1_000 }))
    return intake
  }

  async function channel(url = server.url): Promise<ConfirmChannel> {
    const connection = await connect(url)
    connection.on('error', () => undefined)
    onTestFinished(() => connection.close().catch(() => undefined))
    return connection.createConfirmChannel()
  }

  async function publish(
    queue: string,
    bodies: readonly unknown[],
    options: object = {},
  ): Promise<ConfirmChannel> {
    const publisher = await channel()
    for (const body of bodies)
      publisher.sendToQueue(queue, Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)), {
        persistent: true,
        ...options,
      })
    await publisher.waitForConfirms()
    return publisher
  }

  const countOf = async (queue: string): Promise<number> =>
    (await (await channel()).checkQueue(queue)).messageCount

  it('accepts the JSON of the HTTP API, once for each messageId', async () => {
    const { mailer, inbox } = await mailerWithInbox()
    const { queue } = await intakeOf(mailer)
    await publish(queue, [MAIL, MAIL], { messageId: 'order-1' })
    await publish(queue, [{ ...MAIL, subject: 'Other' }])
    await inbox.waitFor({ subject: 'Other' })
    await inbox.waitFor({ subject: 'Hi' })
    await expect.poll(() => countOf(queue)).toBe(0)
    expect((await mailer.list()).messages).toHaveLength(2)
  })

  it('sends what it can’t accept to the dead-letter exchange, with the code and the path in its headers', async () => {
    const mailer = await testMailer({ transport: 'smtp://127.0.0.1:1', threads: 0 })
    const { queue } = await intakeOf(mailer, { size: 1_000 })
    const bodies = [
      'no JSON',
      '[]',
      { ...MAIL, to: 'nobody' },
      { ...MAIL, template: 'x' },
      { ...MAIL, text: 'x'.repeat(2_000) },
    ]
    const publisher = await publish(queue, bodies, { messageId: 'id', headers: { 'x-own': 'stays' } })
    await publish(queue, [MAIL, { ...MAIL, subject: 'Other' }], { messageId: 'twice' })
    const dead: unknown[] = []
    await publisher.consume(`${queue}.dead`, (message) => {
      if (message === null) return
      const { headers = {} } = message.properties
      dead.push([
        message.content.toString().slice(0, 40),
        headers['x-threadpost-code'],
        headers['x-threadpost-path'],
        headers['x-own'],
      ])
      publisher.ack(message)
    })
    await expect.poll(() => dead.length).toBe(6)
    expect(dead).toEqual(
      expect.arrayContaining([
        ['no JSON', 'INVALID_MESSAGE', '', 'stays'],
        ['[]', 'INVALID_MESSAGE', '', 'stays'],
        [expect.stringContaining('nobody'), 'INVALID_MESSAGE', 'to', 'stays'],
        [expect.anything(), 'INVALID_MESSAGE', 'text', 'stays'],
        [expect.anything(), 'IDEMPOTENCY_CONFLICT', 'idempotencyKey', undefined],
      ]),
    )
    await expect.poll(() => countOf(queue)).toBe(0)
  })

  it('refuses a prepared mail, and shows MJML nothing of the application', async () => {
    const { mailer, inbox } = await mailerWithInbox({
      templates: { dir: await folderOf({}), globals: { secret: 'canary' } },
    })
    const { queue } = await intakeOf(mailer)
    const prepared = mailer.prepare({ ...MAIL, subject: 'Prepared' })
    const mjml =
      '<mjml><mj-body><mj-section><mj-column><mj-text>[{{@app.secret}}] x</mj-text></mj-column></mj-section></mj-body></mjml>'
    const { text: _, ...mail } = MAIL
    const publisher = await publish(queue, [prepared, { ...mail, mjml }, { ...mail, mjml, untrusted: false }])
    await expect.poll(() => inbox.count).toBe(2)
    expect((await inbox.messages()).map(({ text }) => text)).toEqual(['[] x\n', '[] x\n'])
    await expect.poll(() => countOf(`${queue}.dead`)).toBe(1)
    const dead = await publisher.get(`${queue}.dead`)
    expect(dead).toMatchObject({
      properties: {
        headers: { 'x-threadpost-code': 'INVALID_MESSAGE', 'x-threadpost-path': 'prepared' },
      },
    })
  })

  it('survives a message whose properties can’t be written again, and keeps it as a dead letter', async () => {
    const { mailer, inbox } = await mailerWithInbox()
    const intake = await intakeOf(mailer)
    const publisher = await channel(await withInvalidText(server.url))
    const grows = '~'.repeat(200)
    const large = '~'.repeat(60_000)
    for (const options of [{ messageId: grows }, { headers: { [grows]: 1 } }, { headers: { large } }])
      publisher.sendToQueue(intake.queue, Buffer.from('no JSON'), options)
    publisher.sendToQueue(intake.queue, Buffer.from(JSON.stringify(MAIL)))
    await publisher.waitForConfirms()
    await inbox.waitFor({ subject: 'Hi' })
    const dead = `${intake.queue}.dead`
    await expect.poll(() => countOf(dead)).toBe(3)
    await expect.poll(() => countOf(intake.queue)).toBe(0)
    for (let left = 3; left > 0; left--)
      expect(await (await channel()).get(dead, { noAck: true })).toMatchObject({
        content: Buffer.from('no JSON'),
        properties: { headers: { 'x-threadpost-code': 'INVALID_MESSAGE' } },
      })
    expect(intake.state).toBe('consuming')
  })

  it('stops consuming while the queue is full, holds no more than its prefetch, and goes on', async () => {
    const { mailer, inbox } = await mailerWithInbox({ limits: { queue: 2 } })
    await mailer.pause()
    const intake = await intakeOf(mailer, { prefetch: 3 })
    await publish(
      intake.queue,
      Array.from({ length: 20 }, (_, n) => ({ ...MAIL, subject: `${n}` })),
    )
    await expect.poll(() => intake.state).toBe('paused')
    await expect.poll(() => countOf(intake.queue)).toBeGreaterThanOrEqual(14)
    await mailer.resume()
    await expect.poll(() => inbox.count).toBe(20)
    expect(new Set((await inbox.messages()).map(({ subject }) => subject)).size).toBe(20)
    expect(intake.state).toBe('consuming')
  })

  it('returns to the broker what it has not accepted when it closes', async () => {
    const mailer = await testMailer({ transport: 'smtp://127.0.0.1:1', threads: 0, limits: { queue: 1 } })
    await mailer.pause()
    const intake = await intakeOf(mailer)
    await publish(intake.queue, [MAIL, MAIL, MAIL])
    await expect.poll(() => intake.state).toBe('paused')
    await intake.close({ deadline: 10 })
    expect(intake.state).toBe('closed')
    await expect.poll(() => countOf(intake.queue)).toBe(2)
  })

  it('loses nothing while its process and the broker are killed, and recognizes what is delivered again', async () => {
    const inbox = await testInbox({ keep: 2 * MESSAGES })
    const file = path.join(await folderOf({}), 'outbox.db')
    const queue = `mail${++queues}`
    const receiver = async () => {
      const child = fork(path.resolve(import.meta.dirname, '../support/amqpReceiver.mjs'), [
        server.url,
        queue,
        file,
        inbox.url,
      ])
      onTestFinished(() => void child.kill('SIGKILL'))
      await once(child, 'message')
      return child
    }
    const kill = async (child: Awaited<ReturnType<typeof receiver>>) => {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    const ids = Array.from({ length: MESSAGES }, (_, n) => n)
    let child = await receiver()
    const publisher = await channel()
    for (const n of ids)
      publisher.sendToQueue(queue, Buffer.from(JSON.stringify({ ...MAIL, subject: `${n}` })), {
        persistent: true,
        messageId: `m${n}`,
      })
    await publisher.waitForConfirms()
    for (let kills = 1; kills <= KILLS; kills++) {
      const before = inbox.count
      await expect.poll(() => inbox.count).toBeGreaterThan(before + 20)
      await kill(child)
      child = await receiver()
    }
    const before = inbox.count
    await expect.poll(() => inbox.count).toBeGreaterThan(before)
    await server.kill()
    await server.run()
    const subjects = async () => new Set((await inbox.messages()).map(({ subject }) => subject))
    await expect.poll(async () => (await subjects()).size).toBe(ids.length)
    await kill(child)
    if (process.env['INTAKE_KILLS'] !== undefined)
      console.log(`${MESSAGES} messages, ${KILLS} kills, and one of the broker: ${inbox.count} received`)
    const mailer = await testMailer({
      transport: inbox.url,
      threads: 0,
      role: 'send',
      queue: `sqlite:${file}`,
    })
    expect(await mailer.count({})).toMatchObject({ count: ids.length })
  })
})

/** The broker's URL through a proxy in which a `~` becomes an octet that is not UTF-8, which no client would write. */
async function withInvalidText(url: string): Promise<string> {
  const proxy = createServer((socket) => {
    const { hostname, port } = new URL(url)
    const broker = connectTcp(Number(port), hostname)
    socket.on('data', (chunk) =>
      broker.write(Buffer.from(chunk.map((octet) => (octet === 0x7e ? 0xff : octet)))),
    )
    broker.pipe(socket)
    socket.on('close', () => broker.destroy()).on('error', () => undefined)
    broker.on('close', () => socket.destroy()).on('error', () => undefined)
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  onTestFinished(() => void proxy.close())
  const through = new URL(url)
  through.port = String((proxy.address() as AddressInfo).port)
  return through.href
}

describe('the AMQP intake without a broker', () => {
  it.each([
    ['no URL', {}, 'INVALID_OPTIONS', 'url'],
    ['a URL that is none', { url: 'localhost' }, 'INVALID_OPTIONS', 'url'],
    ['a prefetch of zero', { url: 'amqp://a', prefetch: 0 }, 'INVALID_OPTIONS', 'prefetch'],
    ['a reserved name', { url: 'amqp://a', queue: 'amq.mail' }, 'INVALID_OPTIONS', 'queue'],
  ])('does not start with %s', async (_, options, code, at) => {
    const mailer = await testMailer({ transport: 'smtp://127.0.0.1:1', threads: 0 })
    await expect(amqpIntake(mailer, options as never)).rejects.toMatchObject({ code, path: at })
  })

  it('does not start if the broker can’t be reached, and its error has no password', async () => {
    const mailer = await testMailer({ transport: 'smtp://127.0.0.1:1', threads: 0 })
    const error: unknown = await amqpIntake(mailer, {
      url: `amqp://user:hunter2@127.0.0.1:${await freePort()}`,
    }).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({
      code: 'START_FAILED',
      message: expect.stringContaining('ECONNREFUSED') as string,
    })
    expect(String(error)).not.toContain('hunter2')
  })
})
