import { once } from 'node:events'
import path from 'node:path'
import { Redis } from 'ioredis'
import type { Logger, Mailer, ThreadpostError } from 'threadpost'
import { expect, it, onTestFinished } from 'vitest'
import { copiesByMessageId } from '../support/copies.js'
import { folderOf } from '../support/folder.js'
import { testInbox, testMailer, testSender } from '../support/mailer.js'
import { useRedis } from '../support/redis.js'
import { describeWith } from '../support/tools.js'
import { startWorker } from '../support/worker.js'

/** 5,000 at full length. */
const FLEET_MAILS = Number(process.env['FLEET_MAILS'] ?? 400)
const APPEND_ONLY = ['--appendonly', 'yes', '--appendfsync', 'everysec']

function mailOf(n: number) {
  return { to: `user${n}@example.com`, subject: `Mail ${n}`, text: `Number ${n}` }
}

async function settled(mailer: Mailer, count: number): Promise<void> {
  await expect
    .poll(async () => (await mailer.stats().catch(() => ({ sent: 0 }))).sent, { interval: 250 })
    .toBe(count)
}

describeWith(['redis-server'], 'a queue on Redis', ({ 'redis-server': tool }) => {
  const redis = useRedis(tool, APPEND_ONLY)

  it('refuses messages while Redis is down, and accepts and delivers them when it is back', async () => {
    const inbox = await testInbox({ keep: 100 })
    const mailer = await testMailer({ transport: inbox.url, queue: redis.place() })
    await mailer.sendAndWait(mailOf(0))

    await redis.stop()
    await expect(mailer.send(mailOf(1))).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' })
    await expect(mailer.find('x')).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' })
    await redis.start()

    await expect
      .poll(() =>
        mailer.send(mailOf(2)).then(
          () => true,
          () => false,
        ),
      )
      .toBe(true)
    await settled(mailer, 2)
    expect(inbox.count).toBe(2)
  })

  it('forwards the messages of the spool in order, each of them once', async () => {
    const inbox = await testInbox({ keep: 100 })
    const spool = `sqlite:${path.join(await folderOf({}), 'spool.db')}`
    const place = redis.place()
    const mailer = await testSender({ queue: { ...place, spool } })
    await mailer.send(mailOf(0))
    await redis.stop()
    const receipts = []
    for (let n = 1; n <= 30; n++) receipts.push(await mailer.send({ ...mailOf(n), idempotencyKey: `k${n}` }))
    expect(receipts.every(({ durable }) => durable)).toBe(true)
    expect(await mailer.send({ ...mailOf(1), idempotencyKey: 'k1' })).toMatchObject({ duplicate: true })
    expect(await mailer.find(receipts[0]?.id ?? '')).toMatchObject({ status: 'queued', subject: 'Mail 1' })
    // The first one as well, if Redis was too slow to accept it at once.
    expect([30, 31]).toContain((await mailer.stats()).queued)

    await expect(mailer.erase('user1@example.com')).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' })

    // The process ends meanwhile: the next one forwards the messages in the file.
    await mailer.close()
    const next = await testSender({ queue: { ...place, spool } })
    await redis.start()
    await expect.poll(async () => (await next.list()).messages.length).toBe(31)
    const { messages } = await next.list()
    expect(messages.map(({ subject }) => subject).reverse()).toEqual(
      Array.from({ length: 31 }, (_, n) => `Mail ${n}`),
    )
    await expect.poll(() => next.erase('nobody@example.com')).toMatchObject({ messages: 0, spooled: 0 })
    const worker = await testMailer({ role: 'deliver', transport: inbox.url, queue: place })
    await settled(worker, 31)
    expect(inbox.count).toBe(31)
    await expect(worker.send(mailOf(99))).rejects.toMatchObject({ code: 'UNSUPPORTED' })
  })

  it('at its maxmemory, Redis accepts nothing and delivers all that was accepted', async () => {
    const count = 200
    const inbox = await testInbox({ keep: count + 1, faults: [{ at: 'dot', do: 'delay', ms: 20 }] })
    const mailer = await testMailer({ transport: inbox.url, queue: redis.place() })
    const client = new Redis(redis.url)
    onTestFinished(() => client.disconnect())
    onTestFinished(() => client.config('SET', 'maxmemory', '0').then(() => undefined))
    await mailer.pause()
    await mailer.sendMany(Array.from({ length: count }, (_, n) => mailOf(n)))
    await client.config('SET', 'maxmemory', '1mb')
    await expect(mailer.send(mailOf(count))).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' })
    await mailer.resume()
    await settled(mailer, count)
    expect(inbox.count).toBe(count)
    for await (const message of mailer.messages()) expect(message.uncertain).toBe(false)

    await client.config('SET', 'maxmemory', '0')
    await expect.poll(() => mailer.send(mailOf(count)).catch(() => undefined)).toBeDefined()
  })

  it('refuses new mail before the memory of Redis is full, and says so once', async () => {
    const lines: string[] = []
    const log = (_fields: object, line: string) => void lines.push(line)
    const logger: Logger = { debug: () => {}, info: log, warn: log, error: log }
    const mailer = await testSender({ queue: redis.place(), logger })
    const client = new Redis(redis.url)
    onTestFinished(() => client.disconnect())
    onTestFinished(async () => {
      await client.config('SET', 'maxmemory', '0')
      await client.del('ballast')
    })
    // Beside it, the buffers of connections that open and close are small.
    await client.setrange('ballast', 20_000_000, 'x')
    const used = Number(/used_memory:(\d+)/.exec(await client.info('memory'))?.[1])
    await client.config('SET', 'maxmemory', String(Math.ceil(used / 0.97)))
    const refusals = await Promise.all(
      [1, 2, 3].map((n) => mailer.send(mailOf(n)).catch((error: unknown) => error)),
    )
    for (const refusal of refusals)
      expect(refusal).toMatchObject({
        code: 'QUEUE_UNAVAILABLE',
        message: expect.stringMatching(/uses [\d.]+ of [\d.]+ MB \(maxmemory\)/),
      })
    await client.config('SET', 'maxmemory', '0')
    await expect.poll(() => mailer.send(mailOf(4)).catch(() => undefined)).toBeDefined()
    expect(lines.filter((line) => line.includes('nearly full'))).toHaveLength(1)
  })

  it('a mail that was refused while Redis was frozen is not sent later, and one in doubt says so', async () => {
    const inbox = await testInbox({ keep: 1_000 })
    const place = redis.place()
    const sender = await testSender({ queue: place })
    const worker = await testMailer({ transport: inbox.url, queue: place, role: 'deliver' })
    const receipts = new Set<string>()
    const unknown: string[] = []
    let refused = 0
    const send = (n: number): Promise<void> =>
      sender.send(mailOf(n)).then(
        ({ messageId }) => void receipts.add(messageId),
        (reason: unknown) => {
          const error = reason as ThreadpostError
          expect(error.code).toBe('QUEUE_UNAVAILABLE')
          if (error.accepted === undefined) refused++
          else unknown.push(error.id ?? '')
        },
      )
    await send(0)
    for (let round = 1; round <= 3; round++) {
      redis.freeze()
      const first = Array.from({ length: 100 }, (_, n) => send(round * 1_000 + n))
      await Promise.all(first)
      // Nothing more goes to a Redis that does not answer.
      await Promise.all(Array.from({ length: 100 }, (_, n) => send(round * 1_000 + 500 + n)))
      redis.thaw()
      await expect.poll(() => send(round * 1_000 + 999).then(() => receipts.size)).toBeGreaterThan(round)
    }
    expect(unknown.length).toBeGreaterThanOrEqual(100)
    expect(unknown.every((id) => /^[0-9a-f-]{36}$/.test(id))).toBe(true)
    expect(refused).toBeGreaterThanOrEqual(300)
    await settled(worker, receipts.size)
    expect([...copiesByMessageId(inbox).keys()].sort()).toEqual([...receipts].sort())
    for (const id of unknown) expect(await worker.find(id)).toBeUndefined()
  })

  it.each(['stopped', 'frozen'])('close() and a worker end even if Redis is %s', async (how) => {
    // No reply comes, so that something is under way.
    const inbox = await testInbox({ faults: [{ at: 'dot', do: 'silence' }] })
    const place = redis.place()
    const mailers = await Promise.all([
      testMailer({ transport: inbox.url, queue: place }),
      testMailer({ transport: inbox.url, queue: place, role: 'deliver' }),
      testSender({ queue: place }),
      testSender({ queue: { ...place, spool: `sqlite:${path.join(await folderOf({}), 'spool.db')}` } }),
    ])
    for (let n = 0; n < 60; n++) await mailers[0].send(mailOf(n))
    await expect.poll(async () => (await mailers[0].stats()).sending).toBeGreaterThan(10)
    const flags = ['--transport', inbox.url, '--queue', place.url, '--prefix', place.prefix, '--drain', '1s']
    const worker = await startWorker(flags)
    if (how === 'stopped') await redis.stop('SIGKILL')
    else redis.freeze()
    onTestFinished(() => (how === 'stopped' ? redis.start() : redis.thaw()))
    await Promise.all(mailers.map((mailer) => mailer.send(mailOf(99)).catch(() => undefined)))
    // Redis comes back only after all of them are closed, so a mailer that waited for it would wait forever.
    await Promise.all(mailers.map((mailer) => mailer.close({ deadline: 500 })))
    worker.process.kill('SIGTERM')
    expect(await once(worker.process, 'exit')).toEqual([0, null])
  })

  it('delivers every message, and marks those that arrive twice, when one of three workers is killed and Redis restarts', async () => {
    const inbox = await testInbox({ keep: 2 * FLEET_MAILS })
    const place = redis.place()
    const flags = ['--transport', inbox.url, '--queue', place.url, '--prefix', place.prefix]
    const workers = await Promise.all([1, 2, 3].map(() => startWorker(flags)))
    const mailer = await testSender({ queue: place, retain: { count: 2 * FLEET_MAILS } })

    const start = performance.now()
    const receipts = new Map<string, string>()
    const send = async (n: number): Promise<void> => {
      for (;;) {
        try {
          const { id, messageId } = await mailer.send({ ...mailOf(n), idempotencyKey: `fleet-${n}` })
          receipts.set(id, messageId)
          return
        } catch (error) {
          expect(error).toMatchObject({ code: 'QUEUE_UNAVAILABLE' })
          await new Promise((resolve) => setTimeout(resolve, 100))
        }
      }
    }
    let next = 0
    const caller = async (): Promise<void> => {
      while (next < FLEET_MAILS) await send(next++)
    }
    const sending = Promise.all(Array.from({ length: 20 }, caller))
    await expect.poll(() => inbox.count, { interval: 5 }).toBeGreaterThan(FLEET_MAILS / 4)
    workers[0]?.process.kill('SIGKILL')
    await expect.poll(() => inbox.count, { interval: 5 }).toBeGreaterThan(FLEET_MAILS / 2)
    await redis.stop('SIGKILL')
    await redis.start()
    await sending
    await settled(mailer, FLEET_MAILS)
    const seconds = (performance.now() - start) / 1_000

    expect(receipts.size).toBe(FLEET_MAILS)
    const copies = copiesByMessageId(inbox)
    expect([...copies.keys()].sort()).toEqual([...receipts.values()].sort())
    const marked = new Set<string>()
    for await (const message of mailer.messages()) if (message.uncertain) marked.add(message.messageId)
    const twice = [...copies].filter(([, count]) => count > 1).map(([messageId]) => messageId)
    expect(twice.filter((messageId) => !marked.has(messageId))).toEqual([])
    console.log(
      `${FLEET_MAILS} messages in ${seconds.toFixed(1)} s; ${marked.size} marked uncertain, ${twice.length} arrived twice`,
    )

    // The other workers drain on SIGTERM.
    for (const { process } of workers.slice(1)) {
      process.kill('SIGTERM')
      const [code] = (await once(process, 'exit')) as [number]
      expect(code).toBe(0)
    }
  }, 600_000)
})
