import { fork } from 'node:child_process'
import { once } from 'node:events'
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

  async function channel(): Promise<ConfirmChannel> {
    const connection = await connect(server.url)
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
    for (let kills = 1; kills < KILLS; kills++) {
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
