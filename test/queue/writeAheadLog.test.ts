import { readdir, readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import Sqlite from 'better-sqlite3'
import { expect, it, onTestFinished } from 'vitest'
import { testInbox } from '../support/mailer.js'
import { accepts, mailerOn, outboxFile } from '../support/outbox.js'

/** Returns which of the texts are in any file of the outbox. */
async function readable(file: string, texts: readonly string[]): Promise<string[]> {
  const folder = path.dirname(file)
  const bytes = await Promise.all((await readdir(folder)).map((name) => readFile(path.join(folder, name))))
  return texts.filter((text) => bytes.some((each) => each.includes(text)))
}

it('data that is dropped once sent is in no file of the queue any more', async () => {
  const file = await outboxFile()
  const inbox = await testInbox({ keep: 100 })
  const mailer = await mailerOn(file, { transport: inbox.url })
  const tokens = Array.from(
    { length: 50 },
    (_, n) => `reset-token-${n}-${Math.random().toString(36).slice(2)}`,
  )
  await mailer.pause()
  const attachment = { filename: 'a.txt', content: `${tokens[0]} ${'x'.repeat(20_000)}` }
  const receipts = await Promise.all(
    tokens.map((token, n) =>
      mailer.send({
        to: 'ada@example.com',
        subject: 'Hello',
        text: `Your token is ${token} ${'y'.repeat(n * 100)}`,
        ...(n === 0 ? { attachments: [attachment] } : {}),
      }),
    ),
  )
  expect(await readable(file, tokens)).toEqual(tokens)
  await mailer.resume()
  await Promise.all(receipts.map(({ id }) => mailer.wait(id)))
  await expect.poll(() => readable(file, tokens)).toEqual([])
})

it('a reader that does not end makes the queue refuse mail before the log is too long, and delivery goes on', async () => {
  const file = await outboxFile()
  const inbox = await testInbox({ keep: 10 })
  const mailer = await mailerOn(file, { transport: inbox.url })
  const reader = new Sqlite(file, { readonly: true })
  onTestFinished(() => void reader.close())
  reader.exec('BEGIN')
  reader.prepare('SELECT count(*) FROM message').get()
  const text = 'A long line of text.\r\n'.repeat(200_000)
  const mail = { to: 'ada@example.com', subject: 'Hello', text }
  let sent = 0
  let refusal: unknown
  while (refusal === undefined && sent < 100)
    await mailer.send(mail).then(
      () => sent++,
      (error: unknown) => (refusal = error),
    )
  expect(refusal).toMatchObject({ code: 'QUEUE_UNAVAILABLE', message: expect.stringContaining('reading') })
  await expect.poll(() => inbox.count).toBe(sent)
  await expect.poll(async () => (await mailer.stats()).sent).toBe(sent)
  // Dropped content is overwritten, which is in the log once more.
  expect((await stat(`${file}-wal`)).size).toBeLessThan(2.5 * 128 * 1024 * 1024)
  reader.exec('COMMIT')
  await expect.poll(() => accepts(mailer)).toBe(true)
  await expect.poll(async () => (await stat(`${file}-wal`)).size).toBeLessThan(10_000_000)
})
