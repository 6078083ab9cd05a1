// Many messages for a host that is down. The whole: DEAD_HOST_MAILS=10000, as `npm run test:faults` does.
// test/measure/measureHeld.mjs measures their cost in time.
import path from 'node:path'
import { expect, it } from 'vitest'
import { copiesByMessageId } from '../support/copies.js'
import { folderOf } from '../support/folder.js'
import { testInbox, testMailer } from '../support/mailer.js'
import { freePort } from '../support/ports.js'

const MAILS = Number(process.env['DEAD_HOST_MAILS'] ?? 3_000)
const STEP = 20
/** Bytes of heap a waiting message may take. */
const HEAP = 10_000

it.each(['memory', 'sqlite'])(
  `${MAILS} messages for a dead host, queue in %s: held, nobody else is hurt, all sent when it is back`,
  async (kind) => {
    const port = await freePort()
    const other = await testInbox()
    const mailer = await testMailer({
      transports: { dead: `smtp://127.0.0.1:${port}`, other: other.url },
      queue: kind === 'memory' ? kind : `sqlite:${path.join(await folderOf({}), 'outbox.db')}`,
      // So long that a slow machine, too, holds all of them before the first ones are due again.
      breaker: { probeDelay: 100, maxProbeDelay: 20_000 },
      retry: { attempts: 1 },
    })
    const opened: string[] = []
    mailer.on('breaker-open', ({ transport }) => opened.push(transport))
    let holds = 0
    mailer.on('held', () => holds++)
    const heap = process.memoryUsage().heapUsed
    const start = performance.now()

    const messageIds = new Map<string, string>()
    for (let n = 0; n < MAILS; n += STEP) {
      const mails = Array.from({ length: STEP }, (_, index) => ({
        to: `user${n + index}@example.com`,
        subject: 's',
        text: 't',
      }))
      for (const answer of await mailer.sendMany(mails)) {
        if (answer instanceof Error) throw answer
        messageIds.set(answer.id, answer.messageId)
      }
      await new Promise((resolve) => setImmediate(resolve))
    }
    await expect.poll(async () => (await mailer.stats()).held).toBeGreaterThan(MAILS - 50)
    for (let n = 0; n < 20; n++) {
      const mail = { to: 'ada@example.com', subject: 's', text: 't', transport: 'other' }
      expect(await mailer.sendAndWait(mail)).toMatchObject({ status: 'sent', uncertain: false })
    }
    // These overtook all of them, and none of them was given up.
    expect(await mailer.stats()).toMatchObject({ accepted: MAILS + 20, sent: 20, failed: 0, expired: 0 })
    expect(process.memoryUsage().heapUsed - heap).toBeLessThan(50_000_000 + MAILS * HEAP)
    expect(opened).toEqual(['dead'])

    const seconds = (performance.now() - start) / 1_000
    const back = await testInbox({ port, keep: 2 * MAILS })
    await expect
      .poll(() => mailer.stats(), { interval: 500 })
      .toMatchObject({ accepted: MAILS + 20, sent: MAILS + 20 })
    let tries = 0
    for await (const { attempts, uncertain, messageId, id, transport } of mailer.messages()) {
      if (transport !== 'dead') continue
      expect({ uncertain, messageId }).toEqual({ uncertain: false, messageId: messageIds.get(id) })
      expect(attempts.filter(({ counted }) => counted)).toHaveLength(1)
      tries += attempts.length - 1
    }
    // Those under way when it opened, and one at a time since: a few at first, then fewer.
    expect(tries).toBeLessThan(50 + seconds)
    // No message is looked at more often than the server is tried.
    expect(holds).toBeLessThanOrEqual(MAILS * (tries + 1))
    const copies = copiesByMessageId(back)
    expect([...messageIds.values()].every((messageId) => copies.get(messageId) === 1)).toBe(true)
    expect(back.count).toBe(MAILS)
  },
  600_000,
)
