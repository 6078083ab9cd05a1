import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { createMailer, type Mailer } from 'threadpost'
import { describe, expect, it } from 'vitest'
import { folderOf } from '../support/folder.js'
import { testInbox } from '../support/mailer.js'
import { MAIL, mailerOn, NOWHERE, outboxFile } from '../support/outbox.js'
import { ScriptedServer, SILENCE } from '../support/scriptedServer.js'
import { SenderProcess } from '../support/senderProcess.js'
import { environment, main } from '../support/serve.js'
import { SECRET, WebhookReceiver } from '../support/webhookReceiver.js'

const [A, B] = [Buffer.alloc(32, 1).toString('base64'), Buffer.alloc(32, 2).toString('base64url')]

function encrypted(
  file: string,
  ...keys: string[]
): { queue: { url: string; encryption: { keys: string[] } } } {
  return { queue: { url: `sqlite:${file}`, encryption: { keys } } }
}

it('refuses to open an encrypted queue without one of its keys', async () => {
  const file = await outboxFile()
  const first = await mailerOn(file, encrypted(file, A))
  const { id } = await first.send(MAIL)
  await first.close()
  for (const options of [{}, encrypted(file, B)])
    await expect(mailerOn(file, options)).rejects.toMatchObject({
      code: 'START_FAILED',
      message: expect.stringContaining('queue.encryption.keys'),
    })
  const again = await mailerOn(file, encrypted(file, B, A))
  expect(await again.find(id)).toMatchObject({ subject: MAIL.subject })
})

it('refuses keys that are not 32 bytes in base64, without showing them, and ignores the option in memory', async () => {
  for (const keys of [[], ['c2VjcmV0LWtleQ=='], [A, A], [7], 'x'.repeat(44), [`${'?'.repeat(43)}=`]]) {
    const refused: unknown = await createMailer({
      transport: NOWHERE,
      queue: { url: 'sqlite:/nowhere.db', encryption: { keys: keys as string[] } },
    }).catch((error: unknown) => error)
    expect(refused).toMatchObject({
      code: 'INVALID_OPTIONS',
      path: expect.stringMatching(/^queue\.encryption\.keys/),
    })
    expect((refused as Error).message).not.toContain('c2Vj')
  }
  const mailer = await createMailer({
    transport: NOWHERE,
    queue: { url: 'memory', encryption: { keys: [A] } },
  })
  await mailer.close()
})

it('loses nothing when a process with an encrypted queue is killed and its key is rotated', async () => {
  const file = await outboxFile()
  const inbox = await testInbox({ keep: 200 })
  const { encryption } = encrypted(file, A).queue
  const sender = new SenderProcess({ file, url: inbox.url, count: 60, queue: { encryption } })
  await sender.given(60)
  await sender.kill()
  const bytes = [await readFile(file), await readFile(`${file}-wal`)]
  expect(bytes.some((part) => part.includes('user1@example.com') || part.includes('mail-1'))).toBe(false)
  const mailer = await mailerOn(file, { transport: inbox.url, ...encrypted(file, B, A) })
  const messages = await Promise.all([...sender.receipts.keys()].map((id) => mailer.wait(id)))
  expect(messages.map(({ status }) => status)).toEqual(messages.map(() => 'sent'))
  expect(
    await mailer
      .send({ ...MAIL, to: 'user0@example.com', idempotencyKey: 'mail-0' })
      .catch((e: unknown) => e),
  ).toMatchObject({
    code: 'IDEMPOTENCY_CONFLICT',
  })
  const arrived = new Set((await inbox.messages()).map(({ subject }) => subject))
  expect(arrived.size).toBe(60)
})

describe('the messages of a process that was killed', () => {
  /** Kills a process when a message of its encrypted queue has been deferred once, and then handed over without a reply. */
  async function killed(): Promise<{ file: string; url: string; ids: string[]; recipient: string }> {
    const file = await outboxFile()
    let hears = (_: string): void => undefined
    const handedOver = new Promise<string>((resolve) => (hears = resolve))
    const deferred = new Set<string>()
    let isKilled = false
    const server = await ScriptedServer.start({
      dot: (_, { messages }) => {
        if (isKilled) return '250 2.0.0 ok'
        const recipient = messages.at(-1)?.to[0] ?? ''
        if (!deferred.has(recipient)) {
          deferred.add(recipient)
          return '451 4.3.0 later'
        }
        hears(recipient)
        return SILENCE
      },
    })
    const url = `smtp://127.0.0.1:${server.port}`
    const { encryption } = encrypted(file, A).queue
    const sender = new SenderProcess({ file, url, count: 3, queue: { encryption } })
    await sender.given(3)
    const recipient = await handedOver
    await sender.kill()
    isKilled = true
    return { file, url, ids: [...sender.receipts.keys()], recipient }
  }

  it('are taken over, those with earlier attempts too, and marked if they may have been sent', async () => {
    const { file, url, ids, recipient } = await killed()
    const mailer = await mailerOn(file, { transport: url, ...encrypted(file, A) })
    const messages = await Promise.all(ids.map((id) => mailer.wait(id)))
    expect(messages.map(({ status }) => status)).toEqual(['sent', 'sent', 'sent'])
    const handedOver = messages.find(({ to }) => recipient.includes(to[0]?.address ?? '?'))
    expect(handedOver?.uncertain).toBe(true)
    expect(handedOver?.attempts.map(({ outcome }) => outcome)).toEqual(['deferred', 'uncertain', 'sent'])
  })

  it('stay as they are in a process without their key, and one with it takes them over', async () => {
    const { file, url, ids, recipient } = await killed()
    const rotated = await mailerOn(file, { role: 'send', ...encrypted(file, B, A) })
    const { id: readable } = await rotated.send(MAIL)
    await rotated.close()
    const without = await mailerOn(file, { transport: url, ...encrypted(file, B) })
    expect(await without.wait(readable)).toMatchObject({ status: 'sent' })
    const found = await Promise.all(ids.map((id) => without.find(id)))
    expect(found.map((message) => message?.unreadable)).toEqual([true, true, true])
    expect(found.map((message) => message?.status)).toContain('sending')
    await without.close()
    const mailer = await mailerOn(file, { transport: url, ...encrypted(file, B, A) })
    const messages = await Promise.all(ids.map((id) => mailer.wait(id)))
    const handedOver = messages.find(({ to }) => recipient.includes(to[0]?.address ?? '?'))
    expect(handedOver).toMatchObject({ status: 'sent', uncertain: true })
  })
})

it('an event for a webhook waits for a process with its key while another process sends', async () => {
  const file = await outboxFile()
  const receiver = await WebhookReceiver.start()
  const webhooks = [{ url: receiver.url, secret: SECRET, baseDelay: 10, maxDelay: 20 }]
  const old = await mailerOn(file, { webhooks, ...encrypted(file, A) })
  await old.pause()
  const cancelled = async (mailer: Mailer): Promise<string> => {
    const { id } = await mailer.send(MAIL)
    await mailer.cancel(id)
    return id
  }
  const arrives = (id: string) =>
    expect.poll(() => receiver.typesOf(id), { timeout: 60_000 }).toEqual(['message.cancelled'])
  await arrives(await cancelled(old))
  const rotated = await mailerOn(file, { webhooks, ...encrypted(file, B, A) })
  const sealed = await cancelled(rotated)
  await arrives(await cancelled(old))
  expect(receiver.typesOf(sealed)).toEqual([])
  await old.close()
  await arrives(sealed)
})

it('moves its messages and suppressions to a queue with another key', async () => {
  const [from, to] = [await outboxFile(), await outboxFile()]
  const source = await mailerOn(from, encrypted(from, A))
  const { id } = await source.send(MAIL)
  await source.suppressions.add({ address: 'bob@example.com', reason: 'manual' })
  await source.close()
  const keys = await folderOf({ 'from.key': A, 'to.key': B })
  const flags = Object.entries({ from, to }).flatMap(([side, file]) => [
    `--${side}`,
    `sqlite:${file}`,
    `--${side}-encryption-key-file`,
    path.join(keys, `${side}.key`),
  ])
  await promisify(execFile)(process.execPath, [main, 'move', ...flags], { env: environment })
  const target = await mailerOn(to, encrypted(to, B))
  expect(await target.find(id)).toMatchObject({ subject: MAIL.subject })
  expect((await target.suppressions.list()).suppressions).toMatchObject([{ address: 'bob@example.com' }])
})
