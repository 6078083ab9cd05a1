import path from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { copiesByMessageId } from '../support/copies.js'
import { folderOf } from '../support/folder.js'
import { testInbox, testMailer } from '../support/mailer.js'
import { SenderProcess } from '../support/senderProcess.js'

const COUNT = 500

it('two processes on one file send each message once, even the 100 that both enqueue', async () => {
  const file = path.join(await folderOf({}), 'outbox.db')
  const inbox = await testInbox({ keep: 2 * COUNT })
  const senders = [0, 200].map((first) => new SenderProcess({ file, url: inbox.url, first, count: 300 }))
  for (const sender of senders) onTestFinished(() => sender.kill())
  await Promise.all(senders.map((sender) => sender.heard('all')))
  expect(senders.flatMap(({ errors }) => errors)).toEqual([])
  expect(senders.map(({ receipts }) => receipts.size)).toEqual([300, 300])
  const receipts = new Map(senders.flatMap((sender) => [...sender.receipts]))
  expect(receipts.size).toBe(COUNT)
  await expect.poll(() => inbox.count).toBe(COUNT)
  await Promise.all(senders.map((sender) => sender.end()))

  const mailer = await testMailer({ transport: inbox.url, queue: `sqlite:${file}` })
  expect(await mailer.stats()).toMatchObject({ accepted: COUNT, sent: COUNT })
  const { messages } = await mailer.list({ limit: 500 })
  expect(messages.every(({ id, messageId }) => receipts.get(id) === messageId)).toBe(true)
  expect(messages.filter(({ uncertain, attempts }) => uncertain || attempts.length > 1)).toEqual([])
  expect([...copiesByMessageId(inbox).keys()].sort()).toEqual([...receipts.values()].sort())
  expect(inbox.count).toBe(COUNT)
})
