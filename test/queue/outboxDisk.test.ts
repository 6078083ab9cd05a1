import { copyFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { createMailer, type Mailer } from 'threadpost'
import { describe, expect, it } from 'vitest'
import { folderOf } from '../support/folder.js'
import { testInbox } from '../support/mailer.js'
import { accepts, MAIL, mailerOn, NOWHERE, outboxFile } from '../support/outbox.js'
import { randomFrom } from '../support/random.js'
import { SenderProcess } from '../support/senderProcess.js'
import { smallDisk } from '../support/smallDisk.js'

describe('power loss', () => {
  it('loses nothing that was receipted, wherever the log is cut behind it', async () => {
    const random = randomFrom(7)
    const folder = await folderOf({})
    const file = path.join(folder, 'outbox.db')
    const sender = new SenderProcess({ file, url: NOWHERE, count: 2_000, callers: 8, queue: {} })
    await sender.given(100)
    // The log may be longer than it was at the last receipt, never shorter: receipts are given after the commit.
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
  it('refuses when it is full, goes on delivering, and takes more once there is room', async () => {
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
  it('refuses, loses no receipt, and recovers by itself once there is space', async (test) => {
    const folder = await smallDisk(40)
    if (folder === undefined) return test.skip('a small disk can only be mounted by root')
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
  })
})

async function sendUntilRefused(mailer: Mailer): Promise<{ receipts: string[]; refused: unknown }> {
  const receipts: string[] = []
  for (let n = 0; n < 2_000; n++) {
    try {
      receipts.push((await mailer.send({ ...MAIL, text: 'x'.repeat(10_000) })).id)
    } catch (refused) {
      return { receipts, refused }
    }
  }
  throw new Error('the disk was never full')
}
