import { once } from 'node:events'
import { rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Fault, Inbox } from 'threadpost/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { copiesByMessageId } from '../support/copies.js'
import { folderOf } from '../support/folder.js'
import { testInbox, testMailer } from '../support/mailer.js'
import { SenderProcess } from '../support/senderProcess.js'
import { post, serve } from '../support/serve.js'
import { smallDisk } from '../support/smallDisk.js'

const MAIL = { to: 'ada@example.com', subject: 'Hi', text: 'Hello' }
const DIE_AT_202 = pathToFileURL(path.join(import.meta.dirname, '../support/dieAt202.mjs')).href

const inboxOf = (...faults: Fault[]): Promise<Inbox> => testInbox({ keep: 10_000, faults })

describe('a server killed between the commit and the 202', () => {
  it('sends one message when the client retries with its idempotency key', async () => {
    const file = path.join(await folderOf({}), 'outbox.db')
    const inbox = await inboxOf({ at: 'greeting', do: 'delay', ms: 60_000, times: 1 })
    const env = { THREADPOST_TRANSPORT: inbox.url, THREADPOST_QUEUE: `sqlite:${file}` }
    const key = { 'idempotency-key': 'order-1' }

    const doomed = await serve({ ...env, NODE_OPTIONS: `--import ${DIE_AT_202}` })
    await expect(post(doomed.url, MAIL, key)).rejects.toThrow()
    if (doomed.process.signalCode === null) await once(doomed.process, 'exit')
    expect(doomed.process.signalCode).toBe('SIGKILL')

    const { url } = await serve(env)
    const { id, messageId, duplicate } = (await (await post(url, MAIL, key)).json()) as {
      id: string
      messageId: string
      duplicate: boolean
    }
    expect(duplicate).toBe(true)
    const message = async () => (await fetch(`${url}/mail/messages/${id}`)).json()
    await expect.poll(message).toMatchObject({ status: 'sent', messageId, uncertain: false })
    expect(await (await fetch(`${url}/mail/messages`)).json()).toMatchObject({ messages: [{ id }] })
    expect([...copiesByMessageId(inbox)]).toEqual([[messageId, 1]])
  })
})

describe('a server that receives SIGTERM', () => {
  it('finishes its deliveries in progress; the rest goes out once after the next start', async () => {
    const file = path.join(await folderOf({}), 'outbox.db')
    const inbox = await inboxOf({ at: 'dot', do: 'delay', ms: 2_000 })
    const { process: service, url } = await serve({
      THREADPOST_TRANSPORT: inbox.url,
      THREADPOST_QUEUE: `sqlite:${file}`,
    })
    const answers = await Promise.all(Array.from({ length: 100 }, () => post(url, MAIL)))
    expect(answers.every(({ status }) => status === 202)).toBe(true)
    await expect.poll(() => inbox.count).toBeGreaterThan(0)
    service.kill('SIGTERM')
    expect(await once(service, 'exit')).toEqual([0, null])
    const before = inbox.count
    expect(before).toBeLessThan(100)

    inbox.faults.clear()
    const queue = `sqlite:${file}`
    // Only looks, and sends nothing.
    const onlooker = await testMailer({ role: 'send', queue })
    expect(await onlooker.stats()).toMatchObject({ accepted: 100, sending: 0, sent: before })
    await onlooker.close()

    const mailer = await testMailer({ transport: inbox.url, queue })
    await expect.poll(() => mailer.stats()).toMatchObject({ accepted: 100, sent: 100 })
    const { messages } = await mailer.list({ limit: 500 })
    expect(messages.filter(({ uncertain, attempts }) => uncertain || attempts.length !== 1)).toEqual([])
    const copies = copiesByMessageId(inbox)
    expect(messages.map(({ messageId }) => copies.get(messageId))).toEqual(messages.map(() => 1))
    expect(inbox.count).toBe(100)
  })

  it('releases deliveries to a silent SMTP server at the deadline, for the next start', async () => {
    const file = path.join(await folderOf({}), 'outbox.db')
    const inbox = await inboxOf({ at: 'rcpt', do: 'silence' })
    const sender = new SenderProcess({ file, url: inbox.url, count: 30, deadline: 300 })
    onTestFinished(() => sender.kill())
    await sender.heard('all')
    await expect.poll(() => inbox.connections().length).toBeGreaterThan(0)
    await sender.end()
    expect(inbox.count).toBe(0)

    inbox.faults.clear()
    const mailer = await testMailer({ transport: inbox.url, queue: `sqlite:${file}` })
    const messages = await Promise.all([...sender.receipts.keys()].map((id) => mailer.wait(id)))
    expect(messages.every(({ status, uncertain }) => status === 'sent' && !uncertain)).toBe(true)
    expect(messages.every(({ id, messageId }) => sender.receipts.get(id) === messageId)).toBe(true)
    expect(await mailer.stats()).toMatchObject({ accepted: 30, sent: 30 })
    expect(inbox.count).toBe(30)
  })
})

describe('a server with a full disk', () => {
  it('answers 503, still delivers accepted mail, and accepts mail again once there is space', async (test) => {
    const folder = await smallDisk(40)
    if (folder === undefined) return test.skip('a small disk can only be mounted by root')
    const inbox = await inboxOf()
    const ballast = path.join(folder, 'ballast')
    await writeFile(ballast, Buffer.alloc(32 * 1024 * 1024))
    const { process: service, url } = await serve({
      THREADPOST_TRANSPORT: inbox.url,
      THREADPOST_QUEUE: `sqlite:${path.join(folder, 'outbox.db')}`,
    })
    const accepted: string[] = []
    let refused: Response | undefined
    while (refused === undefined && accepted.length < 2_000) {
      const answer = await post(url, { ...MAIL, text: 'x'.repeat(50_000) })
      if (answer.status === 202) accepted.push(((await answer.json()) as { id: string }).id)
      else refused = answer
    }
    expect(refused?.status).toBe(503)
    expect(await refused?.json()).toMatchObject({ code: 'QUEUE_UNAVAILABLE' })
    expect(accepted.length).toBeGreaterThan(5)

    await rm(ballast)
    await expect.poll(async () => (await post(url, MAIL)).status).toBe(202)
    const unsent = async () => {
      const found = await Promise.all(accepted.map((id) => fetch(`${url}/mail/messages/${id}`)))
      const statuses = await Promise.all(found.map(async (each) => (await each.json()) as { status: string }))
      return statuses.filter(({ status }) => status !== 'sent')
    }
    await expect.poll(unsent).toEqual([])
    service.kill('SIGTERM')
    await once(service, 'exit')
    expect([...copiesByMessageId(inbox).values()].every((count) => count === 1)).toBe(true)
    expect(inbox.count).toBeGreaterThan(accepted.length)
  })
})
