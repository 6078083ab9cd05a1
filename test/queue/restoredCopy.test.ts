import { copyFile, rm, truncate } from 'node:fs/promises'
import path from 'node:path'
import type { Mailer, MailerOptions } from 'threadpost'
import type { Inbox } from 'threadpost/testing'
import { describe, expect, it } from 'vitest'
import { copiesByMessageId } from '../support/copies.js'
import { folderOf } from '../support/folder.js'
import { testInbox, testMailer } from '../support/mailer.js'

const HOUR = 3_600_000
const mailOf = (n: number) => ({ to: `user${n}@example.com`, subject: `Mail ${n}`, text: 'Hello' })

/** Closes the mailer, so that the file is complete, and returns it at once when `work` is done with the file. */
async function between(
  mailer: Mailer,
  work: () => Promise<void>,
  open: () => Promise<Mailer>,
): Promise<Mailer> {
  await mailer.close()
  await work()
  return open()
}

async function place() {
  const folder = await folderOf({})
  const file = path.join(folder, 'outbox.db')
  const inbox = await testInbox({ keep: 100 })
  const open = (options: Partial<MailerOptions> = {}) =>
    testMailer({ transport: inbox.url, queue: `sqlite:${file}`, retry: { baseDelay: 1 }, ...options })
  return { file, copy: path.join(folder, 'backup.db'), inbox, open }
}

/** Accepts three mails, of which one is for later, makes a copy of the file, sends what is due, and puts the copy back. */
async function restored(
  options: Partial<MailerOptions>,
): Promise<{ mailer: Mailer; inbox: Inbox; later: string }> {
  const { file, copy, inbox, open } = await place()
  let mailer = await open(options)
  await mailer.pause()
  await mailer.sendMany([mailOf(1), mailOf(2)])
  const { id: later } = await mailer.send({ ...mailOf(3), delay: HOUR })
  mailer = await between(
    mailer,
    () => copyFile(file, copy),
    () => open(options),
  )
  await mailer.resume()
  await expect.poll(() => inbox.count).toBe(2)
  await expect.poll(async () => (await mailer.stats()).sent).toBe(2)
  mailer = await between(
    mailer,
    () => copyFile(copy, file),
    () => open(options),
  )
  await mailer.resume()
  return { mailer, inbox, later }
}

describe('a copy of the outbox that was put back', () => {
  it('marks every message that may have been sent since, and none that was for later', async () => {
    const { mailer, inbox, later } = await restored({})
    await expect.poll(async () => (await mailer.stats()).sent).toBe(2)
    for await (const message of mailer.messages({ status: 'sent' })) {
      expect(message.uncertain).toBe(true)
      expect(message.attempts[0]).toMatchObject({ outcome: 'uncertain', code: 'QUEUE_RESTORED' })
    }
    expect([...copiesByMessageId(inbox).values()]).toEqual([2, 2])
    expect(await mailer.find(later)).toMatchObject({ uncertain: false, attempts: [] })
  })

  it('holds them if the application says so', async () => {
    const { mailer, inbox } = await restored({ onUncertain: 'hold' })
    await expect.poll(async () => (await mailer.stats()).held).toBe(2)
    expect(inbox.count).toBe(2)
  })

  it('is recognized in another folder, too, where there is no counter', async () => {
    const { file, inbox, open } = await place()
    let mailer = await open()
    await mailer.sendAndWait(mailOf(1))
    await mailer.pause()
    const { id } = await mailer.send(mailOf(2))
    mailer = await between(mailer, () => rm(`${file}-claims`), open)
    await mailer.resume()
    expect(await mailer.wait(id)).toMatchObject({ status: 'sent', uncertain: true })
    expect(inbox.count).toBe(2)
  })
})

it('an outbox that was emptied is refused, unless it is removed', async () => {
  const { file, open } = await place()
  const mailer = await open()
  await mailer.pause()
  await mailer.send(mailOf(1))
  await mailer.close()
  await truncate(file)
  await expect(open()).rejects.toMatchObject({
    code: 'START_FAILED',
    message: expect.stringContaining(`${file} is empty, but its counter ${file}-claims is not`),
  })
  await rm(file)
  expect((await (await open()).stats()).queued).toBe(0)
})

it('an outbox that was only closed, and a new one in the place of another, mark nothing', async () => {
  const { file, open } = await place()
  let mailer = await open()
  await mailer.sendAndWait(mailOf(1))
  await mailer.pause()
  const { id } = await mailer.send(mailOf(2))
  mailer = await between(mailer, () => Promise.resolve(), open)
  await mailer.resume()
  expect(await mailer.wait(id)).toMatchObject({ status: 'sent', uncertain: false })

  mailer = await between(mailer, () => rm(file), open)
  await mailer.pause()
  const { id: first } = await mailer.send(mailOf(3))
  mailer = await between(mailer, () => Promise.resolve(), open)
  await mailer.resume()
  expect(await mailer.wait(first)).toMatchObject({ status: 'sent', uncertain: false })
})
