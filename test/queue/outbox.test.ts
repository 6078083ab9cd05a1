import { randomBytes } from 'node:crypto'
import { readFile, stat, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { Worker } from 'node:worker_threads'
import Sqlite from 'better-sqlite3'
import { createMailer, type Mailer, type Receipt } from 'threadpost'
import type { Inbox } from 'threadpost/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { copiesByMessageId } from '../support/copies.js'
import { folderOf } from '../support/folder.js'
import { testInbox } from '../support/mailer.js'
import { accepts, MAIL, mailerOn, NOWHERE, outboxFile } from '../support/outbox.js'
import { SenderProcess } from '../support/senderProcess.js'

async function refusal(file: string): Promise<{ code: string; message: string }> {
  try {
    const mailer = await createMailer({ transport: NOWHERE, queue: `sqlite:${file}` })
    await mailer.close()
  } catch (error) {
    return error as { code: string; message: string }
  }
  throw new Error('the file was not refused')
}

describe('the file', () => {
  it('keeps accepted mail, and only its owner can read it', async () => {
    const file = await outboxFile()
    const first = await mailerOn(file)
    await first.pause()
    const receipt = await first.send(MAIL)
    expect(receipt.durable).toBe(true)
    for (const name of [file, `${file}-wal`, `${file}-shm`, `${file}-lock`])
      expect((await stat(name)).mode & 0o777).toBe(0o600)
    await first.close()
    await expect(first.find(receipt.id)).rejects.toMatchObject({ code: 'CLOSED' })
    const second = await mailerOn(file)
    expect(await second.find(receipt.id)).toMatchObject({ messageId: receipt.messageId, subject: 'Hello' })
    expect(await second.stats()).toMatchObject({ accepted: 1, held: 1, paused: true })
  })

  it('is refused and left unchanged if it is damaged', async () => {
    const file = await outboxFile()
    const mailer = await mailerOn(file)
    await Promise.all(Array.from({ length: 50 }, () => mailer.send(MAIL)))
    await mailer.close()
    const bytes = await readFile(file)
    randomBytes(4096).copy(bytes, 8192)
    randomBytes(4096).copy(bytes, 4096 * 6)
    await writeFile(file, bytes)
    const { code, message } = await refusal(file)
    expect(code).toBe('START_FAILED')
    expect(message).toMatch(/is damaged/)
    expect((await readFile(file)).equals(bytes)).toBe(true)
  })

  it.each([
    [
      'not a SQLite file',
      /is damaged or not a SQLite file/,
      (file: string) => writeFile(file, 'a letter to my aunt'),
    ],
    [
      'the database of another program',
      /database of another program/,
      (file: string): void => void new Sqlite(file).exec('CREATE TABLE t (x)').close(),
    ],
    [
      'missing, but its log is not',
      /its log .*-wal is not/,
      (file: string) => writeFile(`${file}-wal`, 'something'),
    ],
    ['in a folder that does not exist', /does not exist: create it/, () => undefined, 'nowhere/outbox.db'],
    ['a folder', /not a regular file/, () => undefined, '.'],
  ] as const)('is refused if it is %s', async (_, expected, make, name: string = 'outbox.db') => {
    const file = path.join(await folderOf({}), name)
    await make(file)
    expect(await refusal(file)).toMatchObject({
      code: 'START_FAILED',
      message: expect.stringMatching(expected),
    })
  })

  it('is refused if a newer version wrote it', async () => {
    const file = await outboxFile()
    await (await mailerOn(file)).close()
    const db = new Sqlite(file)
    db.pragma('user_version = 99')
    db.close()
    expect((await refusal(file)).message).toMatch(/newer threadpost \(file version 99/)
  })

  it('is refused if another program has locked it', async () => {
    const file = await outboxFile()
    await (await mailerOn(file)).close()
    const db = new Sqlite(file)
    onTestFinished(() => void db.close())
    db.pragma('locking_mode = EXCLUSIVE')
    db.exec('BEGIN EXCLUSIVE')
    expect((await refusal(file)).message).toMatch(/locked by another program/)
  })

  it('stores an attachment once and deletes it with the last message that uses it', async () => {
    const file = await outboxFile()
    const mailer = await mailerOn(file)
    await mailer.pause()
    const content = randomBytes(100_000)
    const receipts = await Promise.all(
      Array.from({ length: 5 }, () =>
        mailer.send({ ...MAIL, attachments: [{ filename: 'a.bin', content }] }),
      ),
    )
    const db = new Sqlite(file, { readonly: true })
    onTestFinished(() => void db.close())
    const attachments = () => db.prepare('SELECT uses, length(bytes) AS length FROM attachment').all()
    expect(attachments()).toEqual([{ uses: 5, length: 100_000 }])
    expect((await mailer.find(receipts[0]?.id ?? ''))?.attachments).toEqual([
      { filename: 'a.bin', size: 100_000 },
    ])
  })

  it('shrinks when messages are deleted', async () => {
    const file = await outboxFile()
    const inbox = await testInbox()
    const mailer = await mailerOn(file, { transport: inbox.url, retain: { count: 5 } })
    const sent = await Promise.all(
      Array.from({ length: 60 }, (_, n) =>
        mailer.sendAndWait({ ...MAIL, attachments: [{ filename: `${n}`, content: randomBytes(100_000) }] }),
      ),
    )
    expect(sent.every(({ status }) => status === 'sent')).toBe(true)
    await expect
      .poll(async () => {
        const db = new Sqlite(file, { readonly: true })
        const pages = db.pragma('page_count', { simple: true }) as number
        db.close()
        return pages * 4096
      })
      .toBeLessThan(3_000_000)
  })
})

/** Starts a process that opens the file and sends `count` messages. Resolves when it has all receipts. */
async function otherProcess(file: string, inbox: Inbox, count?: number): Promise<SenderProcess> {
  const other = new SenderProcess({ file, url: inbox.url, ...(count === undefined ? {} : { count }) })
  onTestFinished(() => other.kill())
  await other.heard('all')
  return other
}

describe('two processes on one file', () => {
  it('deliver in one only; the other sends, reads and waits, and takes over when the first is killed', async () => {
    const file = await outboxFile()
    const inbox = await testInbox({ keep: 10_000 })
    const other = await otherProcess(file, inbox, 30)

    const mailer = await mailerOn(file, { transport: inbox.url })
    const message = await mailer.sendAndWait(MAIL)
    expect(message).toMatchObject({ status: 'sent' })
    const theirs = [...other.receipts.keys()]
    for (const id of theirs) expect(await mailer.wait(id)).toMatchObject({ status: 'sent' })

    await other.kill()
    expect(await mailer.sendAndWait(MAIL)).toMatchObject({ status: 'sent' })
    expect(inbox.count).toBe(32)
  })

  it('keep the deliverer’s lock when another mailer of its process closes the file', async () => {
    const file = await outboxFile()
    const inbox = await slowInbox()
    const deliverer = await mailerOn(file, { transport: inbox.url })
    const second = await mailerOn(file, { transport: inbox.url, role: 'send' })
    const receipts = await Promise.all(Array.from({ length: 60 }, () => second.send(MAIL)))
    await otherProcess(file, inbox)
    await allSentOnce(deliverer, receipts, inbox)
  })

  it('keep the lock with the process whose outbox thread dies, because its deliveries continue', async () => {
    const file = await outboxFile()
    const inbox = await slowInbox()
    const outbox = meetOutbox()
    const mailer = await mailerOn(file, { transport: inbox.url })
    await otherProcess(file, inbox)
    const receipts = await Promise.all(Array.from({ length: 120 }, () => mailer.send(MAIL)))
    for (let deaths = 0; deaths < 4; deaths++) {
      await outbox().terminate()
      await expect.poll(() => reads(mailer)).toBe(true)
    }
    await allSentOnce(mailer, receipts, inbox)
  })

  it('deliver in one only, even if the other opens the file through a symbolic link', async () => {
    const file = await outboxFile()
    const inbox = await slowInbox()
    const mailer = await mailerOn(file, { transport: inbox.url })
    const receipts = await Promise.all(Array.from({ length: 60 }, () => mailer.send(MAIL)))
    const link = path.join(await folderOf({}), 'link.db')
    await symlink(file, link)
    await otherProcess(link, inbox)
    await allSentOnce(mailer, receipts, inbox)
  })

  it('are both paused when one of them pauses the queue', async () => {
    const file = await outboxFile()
    const inbox = await testInbox()
    const [deliverer, other] = [
      await mailerOn(file, { transport: inbox.url }),
      await mailerOn(file, { transport: inbox.url }),
    ]
    await other.pause()
    await expect.poll(async () => (await deliverer.stats()).paused).toBe(true)
    const { id } = await other.send(MAIL)
    expect(await other.find(id)).toMatchObject({ status: 'held', heldReason: 'paused' })
    await deliverer.resume()
    expect((await other.wait(id)).status).toBe('sent')
  })
})

describe('the outbox thread', () => {
  it('is replaced when it dies, without losing or duplicating a message', async () => {
    const file = await outboxFile()
    const inbox = await testInbox({ keep: 10_000, faults: [{ at: 'dot', do: 'delay', ms: 20 }] })
    const outbox = meetOutbox()
    const mailer = await mailerOn(file, { transport: inbox.url })
    const sendAll = (): Promise<PromiseSettledResult<Receipt>[]> =>
      Promise.allSettled(Array.from({ length: 60 }, () => mailer.send(MAIL)))

    const before = await sendAll()
    void outbox().terminate()
    const during = await sendAll()
    expect(during.every((result) => result.status === 'fulfilled' || isUnavailable(result.reason))).toBe(true)
    await expect.poll(() => accepts(mailer)).toBe(true)
    const receipts = [...before, ...during].flatMap((result) =>
      result.status === 'fulfilled' ? [result.value.id] : [],
    )
    const messages = await Promise.all(receipts.map((id) => mailer.wait(id)))
    expect(messages.every(({ status, uncertain }) => status === 'sent' && !uncertain)).toBe(true)
    await expect.poll(async () => (await mailer.stats()).sent).toBe((await mailer.stats()).accepted)
    expect(inbox.count).toBe((await mailer.stats()).accepted)
  })
})

/** @returns a function that finds the outbox thread of the next mailer: the newest thread */
function meetOutbox(): () => Worker {
  const threads: Worker[] = []
  const meet = (worker: Worker): void => void threads.push(worker)
  process.on('worker', meet)
  onTestFinished(() => void process.off('worker', meet))
  return () => threads.at(-1)!
}

function slowInbox(): Promise<Inbox> {
  return testInbox({ keep: 10_000, faults: [{ at: 'mail', do: 'delay', ms: 150 }] })
}

async function allSentOnce(mailer: Mailer, receipts: readonly Receipt[], inbox: Inbox): Promise<void> {
  const messages = await Promise.all(receipts.map(({ id }) => mailer.wait(id)))
  expect(messages.filter(({ status, uncertain }) => status !== 'sent' || uncertain)).toEqual([])
  expect([...copiesByMessageId(inbox).values()].filter((copies) => copies > 1)).toEqual([])
  expect(inbox.count).toBe(receipts.length)
}

async function reads(mailer: Mailer): Promise<boolean> {
  return mailer.stats().then(
    () => true,
    () => false,
  )
}

function isUnavailable(reason: unknown): boolean {
  return (reason as { code?: string }).code === 'QUEUE_UNAVAILABLE'
}
