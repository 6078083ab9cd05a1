import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { describeOnEveryQueue } from '../support/everyQueue.js'
import { folderOf } from '../support/folder.js'
import { mailerWithInbox, testInbox, testMailer } from '../support/mailer.js'
import { outboxFile } from '../support/outbox.js'
import { SECRET, WebhookReceiver } from '../support/webhookReceiver.js'

const run = promisify(execFile)
const CANARY = 'canary-8d21@bücher.example'
const BOB = 'bob@example.com'
const MAIL = { subject: 'Hi', text: 'Hello', tags: [`t-${CANARY}`], metadata: { email: CANARY } }
const cron = '0 8 1 1 *'

describeOnEveryQueue('erasing an address', (newQueue, durable) => {
  it('takes it out of schedules, and removes those that had no other recipient', async () => {
    const { mailer } = await mailerWithInbox({ queue: await newQueue() })
    const shared = { ...MAIL, to: [BOB], cc: [{ address: CANARY, name: 'Ada' }], replyTo: CANARY }
    await mailer.schedule('shared', { cron, mail: shared })
    await mailer.schedule('own', { cron, mail: { ...MAIL, to: [`Ada <${CANARY.toUpperCase()}>`] } })
    await mailer.schedule('other', { cron, mail: { ...MAIL, to: BOB } })
    const before = await mailer.schedules()
    expect(await mailer.erase(CANARY)).toMatchObject({ messages: 0, schedules: 2 })
    const after = await mailer.schedules()
    expect(after.map(({ name }) => name)).toEqual(['other', 'shared'])
    expect(after[0]).toEqual(before.find(({ name }) => name === 'other'))
    expect(after[1]).toMatchObject({ cron, mail: { to: [BOB], cc: [], replyTo: [] } })
    expect(await mailer.erase(CANARY)).toMatchObject({ schedules: 0 })
  })

  it('drops reports that came before their message and name it', async () => {
    const { mailer } = await mailerWithInbox({ queue: await newQueue() })
    const report = { messageId: '<early@acme.example>', state: 'bounced' } as const
    await mailer.report([BOB, CANARY].map((recipient) => ({ ...report, recipient })))
    await mailer.erase(CANARY)
    const { messageId } = report
    const { id } = await mailer.sendAndWait({ ...MAIL, messageId, to: [CANARY, BOB] })
    const states = async () => (await mailer.find(id))?.recipients.map(({ delivery }) => delivery?.state)
    await expect.poll(async () => (await states())?.[1], { timeout: 20_000 }).toBe('bounced')
    expect((await states())?.[0]).toBeUndefined()
  })

  it('replaces it in events for webhooks that were given up, which keep their ids', async () => {
    const receiver = await WebhookReceiver.start((_event, response) => response.writeHead(500).end())
    const webhooks = [
      { url: receiver.url, secret: SECRET, baseDelay: 10, maxAge: 1, events: ['sent' as const] },
    ]
    const { mailer } = await mailerWithInbox({ queue: await newQueue(), webhooks })
    await mailer.sendAndWait({ ...MAIL, to: [CANARY, BOB] })
    await mailer.sendAndWait({ ...MAIL, tags: ['kept'], to: BOB })
    const list = async () => (await mailer.webhooks?.list())?.[0]
    await expect.poll(async () => (await list())?.failed).toBe(2)
    expect(await mailer.erase(CANARY)).toMatchObject({ messages: 1, webhookEvents: 1 })
    expect((await list())?.failed).toBe(2)
    receiver.answer = (_event, response) => response.writeHead(204).end()
    await mailer.webhooks?.redeliver((await list())!.id)
    await expect.poll(() => receiver.accepted.length).toBe(2)
    const [erased, other] = receiver.accepted.toSorted((a) => (a.body.includes('erased@invalid') ? -1 : 1))
    expect(erased?.body).not.toContain('canary')
    expect(erased?.data).toMatchObject({
      status: 'sent',
      tags: [],
      recipients: [{ address: 'erased@invalid' }, { address: BOB }],
    })
    expect(other?.data).toMatchObject({ tags: ['kept'] })
    expect(new Set(receiver.requests.map(({ id }) => id)).size).toBe(2)
  })

  if (durable)
    it('replaces it in events that wait, which are sent once and in their order', async () => {
      const queue = await newQueue()
      const receiver = await WebhookReceiver.start(() => undefined)
      const webhooks = [{ url: receiver.url, secret: SECRET }]
      const { mailer: first, inbox } = await mailerWithInbox({ queue, webhooks })
      const { id } = await first.sendAndWait({ ...MAIL, to: CANARY })
      await first.report({ id, state: 'delivered', recipient: CANARY })
      await expect.poll(() => receiver.requests.length).toBe(1)
      await first.close({ deadline: 0 })
      const second = await testMailer({ transport: inbox.url, queue })
      expect(await second.erase(CANARY)).toMatchObject({ messages: 1, webhookEvents: 2 })
      await second.close()
      receiver.answer = (_event, response) => response.writeHead(204).end()
      const third = await testMailer({ transport: inbox.url, queue, webhooks })
      await expect.poll(() => receiver.typesOf(id)).toEqual(['message.sent', 'recipient.delivered'])
      expect(receiver.accepted.map(({ body }) => body).join()).not.toContain('canary')
      await expect.poll(async () => (await third.webhooks?.list())?.[0]).toMatchObject({ waiting: 0 })
    })
})

describe('erasing an address from the archive', () => {
  it('deletes the messages that were for it, also those that the queue no longer has, and no others', async () => {
    const archive = await folderOf({})
    const { mailer } = await mailerWithInbox({ archive, threads: 0 })
    await mailer.sendAndWait({ ...MAIL, to: BOB, bcc: CANARY })
    const { id } = await mailer.sendAndWait({ ...MAIL, to: BOB })
    await expect.poll(async () => (await mailer.stats()).archive?.stored).toBe(2)
    const [day = ''] = await readdir(archive)
    const old = path.join(archive, '2026-01-02')
    await mkdir(old)
    const folded =
      'From: a@b.example\r\nTo: Bob <bob@example.com>,\r\n\t=?utf-8?Q?Ad=C3=A4?= <CANARY-8d21@xn--bcher-kva.example>'
    await writeFile(path.join(old, '120000000-0199-1.eml'), `${folded}\r\nSubject: x\r\n\r\nHi`)
    await writeFile(path.join(old, '120000001-0198-1.eml'), `To: ${BOB}\r\n\r\nTo: ${CANARY}\r\n`)
    expect(await mailer.erase(CANARY)).toMatchObject({ messages: 1, archived: 2 })
    expect(await readdir(old)).toEqual(['120000001-0198-1.eml'])
    expect(await readdir(path.join(archive, day))).toEqual([expect.stringContaining(id)])
    expect(await mailer.erase(CANARY)).toMatchObject({ archived: 0 })
  })

  it.each([0, 2])('deletes the files that are still being written, with %i threads', async (threads) => {
    const archive = await folderOf({})
    const { mailer } = await mailerWithInbox({ archive, threads })
    const attachments = [{ filename: 'large.bin', content: randomBytes(2_000_000) }]
    for (let count = 0; count < 10; count++) {
      await mailer.sendAndWait({ ...MAIL, to: CANARY, attachments })
      expect(await mailer.erase(CANARY)).toMatchObject({ messages: 1, archived: 1 })
    }
    await mailer.close()
    expect((await readdir(archive, { recursive: true })).filter((name) => name.endsWith('.eml'))).toEqual([])
  })

  it('is refused with an error that names the option and no path if the folder can’t be read', async () => {
    const archive = path.join(await folderOf({}), 'archive')
    const { mailer } = await mailerWithInbox({ archive, threads: 0 })
    await mailer.sendAndWait({ ...MAIL, to: CANARY })
    await expect.poll(async () => (await mailer.stats()).archive?.stored).toBe(1)
    const [day = ''] = await readdir(archive)
    await rm(path.join(archive, day), { recursive: true })
    await writeFile(path.join(archive, day), 'not a folder')
    const erasing = mailer.erase(CANARY)
    await expect(erasing).rejects.toMatchObject({ code: 'INVALID_OPTIONS', path: 'archive' })
    await expect(erasing).rejects.not.toThrow(archive)
  })
})

it('threadpost erase erases an address from a queue in use and from its archive', async () => {
  const file = await outboxFile()
  const archive = await folderOf({})
  const inbox = await testInbox()
  const mailer = await testMailer({ transport: inbox.url, queue: `sqlite:${file}`, archive })
  const { id } = await mailer.sendAndWait({ ...MAIL, to: CANARY })
  const main = path.join(import.meta.dirname, '../../dist/src/cli/main.js')
  const erase = (...args: string[]) => run(process.execPath, [main, 'erase', CANARY, '--json', ...args])
  const { stdout } = await erase('--queue', `sqlite:${file}`, '--archive', archive, '--by', 'ops')
  expect(JSON.parse(stdout)).toMatchObject({ messages: 1, cancelled: 0, inProgress: 0, archived: 1 })
  expect((await mailer.find(id))?.to).toEqual([{ address: 'erased@invalid' }])
  expect(await mailer.monitoring.auditLog()).toMatchObject([{ by: 'ops', action: 'erased an address' }])
  await expect(erase()).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringContaining('queue: is required'),
  })
  await expect(erase('--queue', 'sqlite:./nowhere.db')).rejects.toMatchObject({ code: 2 })
})
