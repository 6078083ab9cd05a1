import { copyFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import path from 'node:path'
import Sqlite from 'better-sqlite3'
import { createMailer, type Logger, type Mailer } from 'threadpost'
import type { Inbox } from 'threadpost/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { folderOf } from '../support/folder.js'
import { testInbox, testSender } from '../support/mailer.js'
import { accepts, MAIL, mailerOn, NOWHERE, outboxFile } from '../support/outbox.js'
import { freePort } from '../support/ports.js'
import { randomFrom } from '../support/random.js'
import { SenderProcess } from '../support/senderProcess.js'
import { itOnSmallDisk } from '../support/smallDisk.js'

describe('power loss', () => {
  it('loses no message with a receipt, wherever the log is truncated after it', async () => {
    const random = randomFrom(7)
    const folder = await folderOf({})
    const file = path.join(folder, 'outbox.db')
    const sender = new SenderProcess({ file, url: NOWHERE, count: 2_000, callers: 8, queue: {} })
    await sender.given(100)
    // The log may be longer than at the last receipt, never shorter: receipts follow the commit.
    const receipted = [...sender.receipts.keys()]
    const { size: safe } = await stat(`${file}-wal`)
    await sender.given(receipted.length + 100)
    await sender.kill()
    const { size } = await stat(`${file}-wal`)
    expect(size).toBeGreaterThan(safe)

    for (let cut = 0; cut < 8; cut++) {
      const copy = path.join(folder, `${cut}.db`)
      await copyFile(file, copy)
      await copyFile(`${file}-wal`, `${copy}-wal`)
      await truncate(`${copy}-wal`, safe + Math.floor(random() * (size - safe)))
      const mailer = await createMailer({ transport: NOWHERE, queue: `sqlite:${copy}` })
      const found = await Promise.all(receipted.map((id) => mailer.find(id)))
      await mailer.close()
      expect(found.filter((message) => message === undefined)).toHaveLength(0)
    }
  })
})

describe('a file of limited size', () => {
  it('refuses mail when it is full, continues to deliver, and accepts mail again once there is space', async () => {
    const file = await outboxFile()
    const inbox = await testInbox({ keep: 10_000 })
    const queue = { url: `sqlite:${file}`, maxSize: 2 * 1024 * 1024 }
    const mailer = await mailerOn(file, { transport: inbox.url, queue, retain: { count: 0 } })
    await mailer.pause()
    const { receipts, refused } = await sendUntilRefused(mailer)
    expect(refused).toMatchObject({ code: 'QUEUE_UNAVAILABLE', message: expect.stringContaining('full') })
    expect(receipts.length).toBeGreaterThan(50)
    await mailer.resume()
    await expect.poll(() => inbox.count).toBe(receipts.length)
    await expect.poll(() => accepts(mailer)).toBe(true)
  })
})

describe('a full disk', () => {
  itOnSmallDisk(
    'makes the queue refuse mail without losing a receipt until there is space again',
    40,
    async (folder) => {
      const file = path.join(folder, 'outbox.db')
      const inbox = await testInbox({ keep: 10_000 })
      const ballast = path.join(folder, 'ballast')
      await writeFile(ballast, Buffer.alloc(34 * 1024 * 1024))
      const mailer = await mailerOn(file, { transport: inbox.url })
      await mailer.pause()
      const { receipts, refused } = await sendUntilRefused(mailer)
      expect(refused).toMatchObject({ code: 'QUEUE_UNAVAILABLE', message: expect.stringContaining('full') })
      for (const id of receipts) expect(await mailer.find(id)).toMatchObject({ status: 'held' })
      await rm(ballast)
      await expect.poll(() => accepts(mailer)).toBe(true)
      await mailer.resume()
      await expect.poll(() => inbox.count).toBeGreaterThan(receipts.length)
      await Promise.all(receipts.map((id) => mailer.wait(id)))
      const { accepted, sent } = await mailer.stats()
      expect(sent).toBe(accepted)
      expect(inbox.count).toBe(accepted)
      await mailer.close()
    },
  )
})

const FULL = 'The queue accepts no new messages; accepted ones are still delivered'
const SPACE_AGAIN = 'The queue accepts new messages again'
const STALLED = "The queue can't store anything at the moment"

describe('the reserve', () => {
  itOnSmallDisk(
    'drains a disk that the outbox itself has filled, so that new messages are accepted again',
    64,
    async (folder) => {
      const { url, server } = await serverThatIsAway()
      const { logger, lines } = countedLines()
      const file = path.join(folder, 'outbox.db')
      const mailer = await mailerOn(file, { transport: url, logger, breaker: QUICK_PROBES })
      const { receipts, refused } = await sendUntilRefused(mailer, 20_000)
      expect(refused).toMatchObject({ code: 'QUEUE_UNAVAILABLE', message: expect.stringContaining('full') })
      expect(receipts.length).toBeGreaterThan(1_000)
      expect(await isWhole(file)).toBe(true)

      const inbox = await server()
      await expect.poll(() => mailer.stats()).toMatchObject({ sent: receipts.length })
      expect(inbox.count).toBe(receipts.length)
      await expect.poll(() => accepts(mailer)).toBe(true)
      // The space was returned: the file is smaller, and the log is no longer than before.
      await expect.poll(async () => (await stat(file)).size).toBeLessThan(20 * MEGABYTE)
      expect((await stat(`${file}-wal`)).size).toBeLessThan(8 * MEGABYTE)
      const { receipts: more } = await sendUntilRefused(mailer, 20_000)
      expect(more.length).toBeGreaterThan(receipts.length / 2)
      await expect.poll(() => lines.get(SPACE_AGAIN)).toBeGreaterThan(0)
      expect(lines.get(FULL)).toBeLessThanOrEqual(2)
      expect(lines.get(STALLED)).toBeUndefined()
    },
  )

  itOnSmallDisk(
    'lets the outbox deliver on a disk that other programs have filled, and is restored once there is space',
    64,
    async (folder, fill) => {
      const inbox = await testInbox({ keep: 10_000 })
      const { logger, lines } = countedLines()
      const file = path.join(folder, 'outbox.db')
      const mailer = await mailerOn(file, { transport: inbox.url, logger })
      const sender = await testSender({ queue: `sqlite:${file}` })
      await mailer.pause()
      const receipts = await sendMany(mailer, 1_000)
      const ballast = await fill()
      await expect(mailer.send(MAIL)).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' })
      await expect(sender.send(MAIL)).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' })
      expect(await isWhole(file)).toBe(true)

      await mailer.resume()
      await expect.poll(() => mailer.stats()).toMatchObject({ sent: receipts.length })
      expect(inbox.count).toBe(receipts.length)
      await rm(ballast)
      await expect.poll(() => accepts(mailer)).toBe(true)
      await expect.poll(() => accepts(sender)).toBe(true)
      expect(await isWhole(file)).toBe(true)
      await expect.poll(() => lines.get(SPACE_AGAIN)).toBe(1)
      expect(lines.get(FULL)).toBe(1)
      expect(lines.get(STALLED)).toBeUndefined()
    },
  )

  itOnSmallDisk(
    'lets a process start on a full disk after a kill and deliver the mail that the killed one had accepted',
    64,
    async (folder, fill) => {
      const file = path.join(folder, 'outbox.db')
      const doomed = new SenderProcess({ file, url: NOWHERE, count: 500, queue: {} })
      await doomed.heard('all')
      await doomed.kill()
      // A restart of the machine removes these files as well.
      await rm(`${file}-shm`)
      await fill()
      const inbox = await testInbox({ keep: 10_000 })
      const mailer = await mailerOn(file, { transport: inbox.url })
      await expect.poll(() => mailer.stats()).toMatchObject({ sent: 500 })
      expect(inbox.count).toBe(500)
      await expect(mailer.send(MAIL)).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' })
    },
  )

  itOnSmallDisk('is not released by a process that only sends', 64, async (folder) => {
    const file = path.join(folder, 'outbox.db')
    const sender = await testSender({ queue: `sqlite:${file}` })
    const { receipts, refused } = await sendUntilRefused(sender, 20_000)
    expect(refused).toMatchObject({ code: 'QUEUE_UNAVAILABLE' })
    expect(await isWhole(file)).toBe(true)
    const inbox = await testInbox({ keep: 10 })
    const mailer = await mailerOn(file, { transport: inbox.url })
    await expect.poll(() => mailer.stats()).toMatchObject({ sent: receipts.length })
    await expect.poll(() => accepts(sender)).toBe(true)
  })

  itOnSmallDisk(
    'lets the outbox deliver while a reader keeps the log from starting over',
    64,
    async (folder, fill) => {
      const file = path.join(folder, 'outbox.db')
      const inbox = await testInbox({ keep: 10 })
      const mailer = await mailerOn(file, { transport: inbox.url })
      await mailer.pause()
      const receipts = await sendMany(mailer, 300)
      const reader = new Sqlite(file, { readonly: true })
      onTestFinished(() => void reader.close())
      reader.exec('BEGIN')
      reader.prepare('SELECT count(*) FROM message').get()
      await fill()
      await mailer.resume()
      // The outbox delivers as many messages as the log has space for in the reserve, and the rest once the reader has closed.
      await expect.poll(() => inbox.count).toBeGreaterThan(0)
      reader.exec('COMMIT')
      await expect.poll(() => mailer.stats()).toMatchObject({ sent: receipts.length })
    },
  )
})

describe('a file that may not grow', () => {
  it('refuses mail before it has the size that the process may write, and is drained so that mail is accepted again', async (test) => {
    if (process.platform === 'win32') return test.skip('there is no limit for files')
    const { url, server } = await serverThatIsAway()
    const sender = new SenderProcess({
      file: await outboxFile(),
      url,
      count: 800,
      callers: 4,
      fileLimit: 48 * MEGABYTE,
      mail: { text: 'x'.repeat(100_000) },
      options: { breaker: QUICK_PROBES },
    })
    onTestFinished(() => sender.kill())
    await sender.heard('all')
    expect(new Set(sender.errors)).toEqual(new Set(['QUEUE_UNAVAILABLE']))
    expect(sender.receipts.size).toBeGreaterThan(300)
    const accepted = sender.receipts.size
    const inbox = await server()
    await expect.poll(() => inbox.count).toBe(accepted)
    await expect
      .poll(() => (sender.more(), sender.receipts.size), { interval: 200 })
      .toBeGreaterThan(accepted)
  })
})

const MEGABYTE = 1024 * 1024
const QUICK_PROBES = { probeDelay: 100, maxProbeDelay: 100 }

/** An address without a server until `server()` is called. */
async function serverThatIsAway(): Promise<{ url: string; server: () => Promise<Inbox> }> {
  const port = await freePort()
  return { url: `smtp://127.0.0.1:${port}`, server: () => testInbox({ port, keep: 10 }) }
}

/** A logger that counts its lines by their message. */
function countedLines(): { logger: Logger; lines: Map<string, number> } {
  const lines = new Map<string, number>()
  const count = (_: object, message: string): void => void lines.set(message, (lines.get(message) ?? 0) + 1)
  return { lines, logger: { debug() {}, info: count, warn: count, error: count } }
}

/** Whether the reserve next to the file has its full size: a sixteenth of the disk. */
async function isWhole(file: string): Promise<boolean> {
  return (await stat(`${file}-reserve`)).size === 4 * MEGABYTE
}

async function sendMany(mailer: Mailer, count: number): Promise<string[]> {
  const mail = { ...MAIL, text: 'x'.repeat(10_000) }
  const results = await mailer.sendMany(Array.from({ length: count }, () => mail))
  return results.map((result) => {
    if (result instanceof Error) throw result
    return result.id
  })
}

/** Sends, a few at a time, until a mail is refused. */
async function sendUntilRefused(
  mailer: Mailer,
  most = 2_000,
): Promise<{ receipts: string[]; refused: unknown }> {
  const receipts: string[] = []
  while (receipts.length < most) {
    const mails = Array.from({ length: 10 }, () => ({ ...MAIL, text: 'x'.repeat(10_000) }))
    const results = await mailer.sendMany(mails)
    for (const result of results) if (!(result instanceof Error)) receipts.push(result.id)
    const refused = results.find((result) => result instanceof Error)
    if (refused !== undefined) return { receipts, refused }
  }
  throw new Error('the disk was never full')
}
