import { expect, it } from 'vitest'
import { startFleetWorker } from './fleet.js'
import { mailerWithInbox, testInbox, testSender } from './mailer.js'
import { mostInASecond } from './mostInASecond.js'

const MAIL = { to: 'ada@example.com', subject: 'Hello', text: 'Hello' }

/**
 * The tests that every queue for many processes passes. Call it in a describe block.
 * @param place names a queue that nobody uses yet
 */
export function testFleet(place: () => { url: string }): void {
  it('a sending process has no threads, learns the outcome of its message, and its attachment arrives byte for byte', async () => {
    const queue = place()
    const mailer = await testSender({ queue })
    expect((await mailer.stats()).threads).toEqual([])
    const bytes = Uint8Array.from({ length: 256 }, (_, byte) => byte)
    const { id } = await mailer.send({ ...MAIL, attachments: [{ filename: 'b.bin', content: bytes }] })
    const outcome = mailer.wait(id)
    const { inbox } = await mailerWithInbox({ role: 'deliver', queue })
    expect(await outcome).toMatchObject({ status: 'sent', transport: 'default' })
    const [mail] = inbox.stored()
    expect(Buffer.from(mail?.raw ?? []).toString()).toContain(
      Buffer.from(bytes).toString('base64').slice(0, 76),
    )
  })

  it('all workers together stay within the rate of a transport in every second, although one is stopped and one ends', async () => {
    const queue = place()
    const inbox = await testInbox({ keep: 1_000 })
    const rate = 50
    const count = 350
    const mailer = await testSender({ queue })
    await mailer.sendMany(Array.from({ length: count }, () => MAIL))
    const options = { role: 'deliver', queue, transport: { url: inbox.url, rate } }
    const [stopped, ending] = await Promise.all([1, 2, 3, 4, 5].map(() => startFleetWorker(options)))
    await expect.poll(() => inbox.count).toBeGreaterThan(75)
    stopped?.kill('SIGSTOP')
    await expect.poll(() => inbox.count).toBeGreaterThan(150)
    ending?.kill('SIGTERM')
    await expect.poll(() => inbox.count).toBeGreaterThan(225)
    stopped?.kill('SIGCONT')
    // The stopped worker's messages may be taken over and arrive twice.
    await expect.poll(() => mailer.stats()).toMatchObject({ sent: count })
    expect(inbox.count).toBeGreaterThanOrEqual(count)
    const arrivals = inbox.stored().map(({ receivedAt }) => Date.parse(receivedAt))
    // The inbox counts a message between its envelope and its reply, and its permit is in use all that time.
    expect(mostInASecond(arrivals)).toBeLessThanOrEqual(rate)
  }, 300_000)
}
