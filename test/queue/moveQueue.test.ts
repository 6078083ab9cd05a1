import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { promisify } from 'node:util'
import type { Message, Mailer } from 'threadpost'
import { expect, it, onTestFinished, vi } from 'vitest'
import { moveCommand } from '../../src/cli/moveCommand.js'
import { endProcess } from '../support/fleet.js'
import { folderOf } from '../support/folder.js'
import { mailerWithInbox, subjectsOf, testMailer, testSender } from '../support/mailer.js'
import { usePostgres } from '../support/postgres.js'
import { useRedis } from '../support/redis.js'
import { environment, main } from '../support/serve.js'
import { describeWith } from '../support/tools.js'

type Place = { url: string; prefix?: string; schema?: string }

const run = promisify(execFile)
const MAIL = { subject: 'Hello', text: 'Hello' }
const HOUR = 3_600_000

/** The arguments of the command that moves one queue to another. */
function moveArguments(from: Place, to: Place): string[] {
  const flags = Object.entries({ from, to }).flatMap(([side, { url, prefix, schema }]) => [
    `--${side}`,
    url,
    ...(prefix === undefined ? [] : [`--${side}-prefix`, prefix]),
    ...(schema === undefined ? [] : [`--${side}-schema`, schema]),
  ])
  return [main, 'move', '--json', ...flags]
}

async function move(from: Place, to: Place, ...more: string[]): Promise<Record<string, unknown>> {
  const { stdout } = await run(process.execPath, [...moveArguments(from, to), ...more], { env: environment })
  return JSON.parse(stdout) as Record<string, unknown>
}

/** The same in this process. */
async function moveHere(from: Place, to: Place): Promise<unknown> {
  const printed = vi.spyOn(console, 'log').mockImplementation(() => undefined)
  try {
    await moveCommand().parseAsync(moveArguments(from, to).slice(2), { from: 'user' })
    return JSON.parse(String(printed.mock.calls[0]?.[0]))
  } finally {
    printed.mockRestore()
  }
}

async function messagesOf(mailer: Mailer): Promise<Message[]> {
  const messages: Message[] = []
  for await (const message of mailer.messages()) messages.push(message)
  return messages
}

describeWith(
  ['redis-server', 'postgres'],
  'threadpost move',
  ({ 'redis-server': redisTool, postgres: tool }) => {
    const redis = useRedis(redisTool)
    const postgres = usePostgres(tool)
    const sqlite = async (): Promise<Place> => ({
      url: `sqlite:${path.join(await folderOf({}), 'outbox.db')}`,
    })

    it('messages in every status keep their attempts, times, order, contents, keys and suppressions on the way through all queues', async () => {
      const first = await sqlite()
      const { mailer: before } = await mailerWithInbox(
        { queue: first, retry: { baseDelay: HOUR }, onUncertain: 'hold' },
        {
          faults: [
            { at: 'rcpt', do: 'defer', to: 'later@*' },
            { at: 'rcpt', do: 'refuse', to: 'never@*' },
            { at: 'dot', do: 'close-after', to: 'perhaps@*', times: 1 },
          ],
        },
      )
      const bytes = Uint8Array.from({ length: 256 }, (_, byte) => byte)
      const attachments = [{ filename: 'b.bin', content: bytes }]
      expect(await before.sendAndWait({ ...MAIL, to: 'ada@example.com' })).toMatchObject({ status: 'sent' })
      const failed = await before.sendAndWait({ ...MAIL, to: 'never@example.com', attachments })
      expect(failed.status).toBe('failed')
      const later = await before.send({ ...MAIL, to: 'later@example.com', tags: ['x'] })
      await expect.poll(async () => (await before.find(later.id))?.status).toBe('deferred')
      const perhaps = await before.send({ ...MAIL, to: 'perhaps@example.com' })
      await expect.poll(async () => (await before.find(perhaps.id))?.status).toBe('held')
      await before.suppressions.add({ address: 'bob@example.com', reason: 'complaint' })
      await before.close()

      const sender = await testSender({ queue: first })
      const keyed = { ...MAIL, to: 'ada@example.com', subject: 'Keyed', idempotencyKey: 'order 7' }
      const { id: keyedId } = await sender.send(keyed)
      await sender.send({ ...MAIL, to: 'ada@example.com', subject: 'Urgent', priority: 9, attachments })
      await sender.send({
        ...MAIL,
        to: 'ada@example.com',
        subject: 'Much later',
        sendAt: new Date(Date.now() + HOUR),
      })
      const { id: cancelled } = await sender.send({ ...MAIL, to: 'ada@example.com', group: 'acme' })
      await sender.cancel(cancelled)
      const all = await messagesOf(sender)
      const { accepted: _, ...counts } = await sender.stats()
      await sender.close()
      expect(all.map(({ status }) => status).sort()).toEqual(
        ['cancelled', 'deferred', 'failed', 'held', 'queued', 'queued', 'queued', 'sent'].sort(),
      )

      let place = first
      for (const next of [redis.place(), postgres.place(), await sqlite()]) {
        expect(await moveHere(place, next)).toEqual({
          waiting: 5,
          settled: 3,
          resumed: 0,
          records: 1,
          conflicts: [],
          unchecked: 0,
          left: 0,
        })
        const source = await testSender({ queue: place })
        expect(await messagesOf(source)).toEqual([])
        expect(await source.stats()).toMatchObject({
          queued: 0,
          deferred: 0,
          held: 0,
          sent: 0,
          paused: false,
        })
        await source.close()
        const target = await testSender({ queue: next })
        expect(await messagesOf(target)).toEqual(all)
        expect(await target.stats()).toMatchObject({
          queued: counts.queued,
          held: counts.held,
          sent: counts.sent,
        })
        expect(await target.suppressions.has('bob@example.com')).toBe(true)
        expect(await target.send(keyed)).toMatchObject({ id: keyedId, duplicate: true })
        await target.close()
        place = next
      }

      const { mailer, inbox } = await mailerWithInbox({ queue: place })
      await mailer.retry(failed.id)
      await mailer.retry(later.id)
      await mailer.markSent(perhaps.id)
      await expect.poll(() => inbox.count).toBe(4)
      expect(subjectsOf(inbox).sort()).toEqual(['Hello', 'Hello', 'Keyed', 'Urgent'])
      const sent = await mailer.wait(failed.id)
      expect(sent).toMatchObject({ status: 'sent', acceptedAt: failed.acceptedAt })
      expect(sent.attempts).toHaveLength(2)
      const again = await inbox.waitFor({ to: 'never@example.com' })
      expect(Buffer.from(again.attachment('b.bin').content)).toEqual(Buffer.from(bytes))
    }, 120_000)

    it('a move that is killed at any point is continued by the next, and every message is in one queue in the end', async () => {
      const count = 300
      const start = await sqlite()
      const sender = await testSender({ queue: start })
      const receipts = await sender.sendMany(
        Array.from({ length: count }, (_, n) => ({ ...MAIL, to: 'ada@example.com', subject: `${n}` })),
      )
      const ids = receipts.map((receipt) => (receipt as { id: string }).id)
      await sender.close()
      let place: Place = start
      for (const next of [redis.place(), postgres.place(), await sqlite()]) {
        const target = await testSender({ queue: next })
        const before = (await target.stats()).queued
        const moving: ChildProcess = spawn(process.execPath, moveArguments(place, next), {
          env: environment,
          stdio: 'ignore',
        })
        onTestFinished(() => endProcess(moving))
        const ended = once(moving, 'exit')
        const enough = before + Math.random() * 200
        await Promise.race([
          ended,
          expect.poll(async () => (await target.stats()).queued).toBeGreaterThan(enough),
        ])
        await endProcess(moving)
        const { waiting, left } = await move(place, next)
        expect(left).toBe(0)
        expect(waiting).toBeLessThanOrEqual(count)
        expect((await messagesOf(target)).map(({ id }) => id).reverse()).toEqual(ids)
        expect(await target.stats()).toMatchObject({ queued: count, accepted: count })
        const source = await testSender({ queue: place })
        expect(await source.stats()).toMatchObject({ queued: 0, paused: false })
        await Promise.all([source.close(), target.close()])
        place = next
      }
    }, 120_000)

    it('keeps the order of messages that take long to list', async () => {
      const place = await sqlite()
      const sender = await testSender({ queue: place })
      // Each lists its recipients, so that a page of 500 messages takes longer than a page may.
      const to = Array.from({ length: 50 }, (_, n) => ({
        name: 'N'.repeat(250),
        address: `recipient${n}@example.com`,
      }))
      const receipts = await sender.sendMany(Array.from({ length: 500 }, () => ({ ...MAIL, to })))
      await sender.close()
      const next = await sqlite()
      expect(await move(place, next)).toMatchObject({ waiting: 500, left: 0 })
      const target = await testSender({ queue: next })
      const ids = (await messagesOf(target)).map(({ id }) => id).reverse()
      expect(ids).toEqual(receipts.map((receipt) => (receipt as { id: string }).id))
    }, 120_000)

    it('is refused while a process delivers, from one queue to itself, and with a key that the target has', async () => {
      const from = postgres.place()
      const to = redis.place()
      const { mailer } = await mailerWithInbox(
        { queue: from },
        { faults: [{ at: 'dot', do: 'delay', ms: 600_000, to: 'slow@*' }] },
      )
      const slow = await mailer.send({ ...MAIL, to: 'slow@example.com' })
      await expect.poll(async () => (await mailer.find(slow.id))?.status).toBe('sending')
      await expect(move(from, to, '--wait', '1s')).rejects.toMatchObject({
        stdout: expect.stringContaining('messages are being sent (1)') as string,
      })
      expect((await mailer.stats()).paused).toBe(false)
      await mailer.close({ deadline: 0 })

      for (const place of [await sqlite(), postgres.place(), to]) {
        const sender = await testSender({ queue: place })
        await sender.send({ ...MAIL, to: 'ada@example.com' })
        await expect(move(place, place)).rejects.toMatchObject({
          stdout: expect.stringContaining('is the same queue') as string,
        })
        expect(await sender.stats()).toMatchObject({ queued: 1, paused: false })
        await sender.send({ ...MAIL, to: 'ada@example.com', idempotencyKey: 'one' })
      }
      const other = postgres.place()
      const sender = await testSender({ queue: other })
      const { id } = await sender.send({ ...MAIL, to: 'bob@example.com', idempotencyKey: 'one' })
      await expect(move(other, to)).rejects.toMatchObject({
        code: 1,
        stdout: expect.stringContaining(id) as string,
      })
      expect(await sender.stats()).toMatchObject({ queued: 1, paused: false })
      await testMailer({ role: 'send', queue: to })
    }, 120_000)
  },
)
