import { renameSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { folderOf } from '../support/folder.js'
import { testInbox } from '../support/mailer.js'
import { SenderProcess } from '../support/senderProcess.js'

const HOUR = 3_600_000
const COUNT = 40

describe.each(['memory', 'sqlite'])('when the clock jumps by an hour, the %s queue', (kind) => {
  it('delays no retry and repeats none if the jump is backward', async () => {
    const { inbox, sender, jump } = await deferred(kind, 2_000)
    jump(-HOUR)
    await expect.poll(() => inbox.count).toBe(COUNT)
    await noStorm(inbox, sender)
  })

  it('delivers waiting messages once, within the connection limit, if the jump is forward', async () => {
    const { inbox, sender, jump } = await deferred(kind, 60_000)
    jump(HOUR)
    await expect.poll(() => inbox.count).toBe(COUNT)
    await noStorm(inbox, sender)
  })

  it('delivers new mail at once if the jump is forward and back again', async () => {
    const { inbox, sender, jump } = await deferred(kind, 2_000)
    jump(HOUR)
    await expect.poll(() => inbox.count).toBe(COUNT)
    inbox.faults.set([{ at: 'rcpt', do: 'defer', times: 1 }])
    jump(0)
    sender.more()
    await expect.poll(() => inbox.count).toBe(COUNT + 1)
    await noStorm(inbox, sender, COUNT + 1)
  })
})

/** A process whose messages have all been deferred once, for `baseDelay` ms. */
async function deferred(kind: string, baseDelay: number) {
  const folder = await folderOf({ clock: '0' })
  const clock = path.join(folder, 'clock')
  const inbox = await testInbox({ keep: 1_000, faults: [{ at: 'rcpt', do: 'defer', times: COUNT }] })
  const sender = new SenderProcess({
    file: path.join(folder, 'outbox.db'),
    url: inbox.url,
    count: COUNT,
    clock,
    ...(kind === 'memory' ? { queue: { url: 'memory' } } : {}),
    options: { retry: { baseDelay, factor: 1, jitter: 'none' } },
  })
  onTestFinished(() => sender.kill())
  await sender.heard(`deferred ${COUNT}`)
  return {
    inbox,
    sender,
    jump(offset: number): void {
      // A reader sees either number.
      writeFileSync(`${clock}.new`, `${offset}`)
      renameSync(`${clock}.new`, clock)
    },
  }
}

type Deferred = Awaited<ReturnType<typeof deferred>>

async function noStorm(inbox: Deferred['inbox'], sender: Deferred['sender'], count = COUNT): Promise<void> {
  await sender.end()
  expect(inbox.count).toBe(count)
  const recipients = inbox.stored().map(({ envelope }) => envelope.to[0])
  expect(new Set(recipients).size).toBe(count)
  expect(sender.receipts.size).toBe(count)
  const transactions = inbox.connections().reduce((sum, visit) => sum + visit.transactions, 0)
  expect(transactions).toBeLessThanOrEqual(2 * count)
}
