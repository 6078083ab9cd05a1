import path from 'node:path'
import type { Mailer } from 'threadpost'
import { describe, expect, it } from 'vitest'
import { folderOf } from '../support/folder.js'
import { mailerWithInbox, testInbox, testMailer } from '../support/mailer.js'
import { useRedis } from '../support/redis.js'
import { describeWith } from '../support/tools.js'
import { startWorker } from '../support/worker.js'

function send(mailer: Mailer, fields: object = {}): Promise<{ id: string }> {
  return mailer.send({ to: 'ada@example.com', subject: 'Hi', text: 'x', ...fields })
}

describe('the figures of a mailer', () => {
  it('count what was accepted, tried and settled, with the reason', async () => {
    const { mailer, inbox } = await mailerWithInbox({ threads: 0 })
    await mailer.wait((await send(mailer)).id)
    inbox.faults.set([{ at: 'rcpt', do: 'defer', times: 1 }])
    await mailer.wait((await send(mailer)).id)
    inbox.faults.set([{ at: 'rcpt', do: 'refuse' }])
    await mailer.wait((await send(mailer)).id)
    const { day, recent, rate, queue, processes } = await mailer.monitoring.activity()
    for (const { accepted, settled, attempts, latency } of [day, recent]) {
      expect(accepted).toBe(3)
      expect(settled).toEqual(
        expect.arrayContaining([
          { status: 'sent', reason: expect.any(String), count: 2 },
          { status: 'failed', reason: 'SMTP_REJECTED', count: 1 },
        ]),
      )
      expect(attempts).toContainEqual({ result: 'deferred', code: 'SMTP_DEFERRED', count: 1 })
      expect(latency.count).toBe(3)
    }
    expect(rate.settled).toBeGreaterThan(0)
    expect(queue).toMatchObject({ accepted: 3, sent: 2, failed: 1 })
    expect(processes).toMatchObject([{ pid: process.pid, role: 'both', gone: false }])
  })

  it('count the recipients that a server accepted, and reports, by template, transport, and domain', async () => {
    const { mailer, inbox } = await mailerWithInbox({ threads: 0, retry: { baseDelay: 1, jitter: 'none' } })
    inbox.faults.set([{ at: 'rcpt', do: 'defer', times: 1 }])
    const domain = (n: number): string => `d${n}.example`
    const to = ['ada@one.example', 'bob@ONE.example', 'eve@münchen.example']
    const { id } = await mailer.sendAndWait({ to, subject: 'Hi', text: 'x' })
    await mailer.report({ id, recipient: 'ada@one.example', state: 'bounced' })
    expect(await mailer.monitoring.figures('transport')).toMatchObject([
      { name: 'default', sentRecipients: 3, reported: { bounced: 1 } },
    ])
    expect(await mailer.monitoring.figures('domain')).toMatchObject([
      { name: 'one.example', sentRecipients: 2, reported: { bounced: 1 }, settled: [] },
      { name: 'xn--mnchen-3ya.example', sentRecipients: 1, reported: { bounced: 0 } },
    ])
    // Their number is bounded, and so is the length of a name.
    const long = `${Array.from({ length: 4 }, () => 'x'.repeat(40)).join('.')}.example`
    await Promise.all(
      [long, ...Array.from({ length: 120 }, (_, n) => domain(n))].map((name) =>
        mailer.sendAndWait({ to: `a@${name}`, subject: 'Hi', text: 'x' }),
      ),
    )
    const domains = await mailer.monitoring.figures('domain')
    expect(domains).toHaveLength(101)
    expect(domains.find(({ name }) => name === '')?.sentRecipients).toBe(23)
  })

  it('are the history of the last hour, and of the day, with the depth of the queue', async () => {
    const { mailer } = await mailerWithInbox({ threads: 0 })
    await mailer.pause()
    await Promise.all(Array.from({ length: 5 }, () => send(mailer)))
    const history = await mailer.monitoring.history()
    const last = history.at(-1)
    expect(last).toMatchObject({ depth: 5, success: null })
    expect(last?.seconds).toBeLessThanOrEqual(10)
    expect(history.reduce((sum, { accepted, seconds }) => sum + accepted * seconds, 0)).toBeCloseTo(5)
  })

  it('survive a restart, if the queue does', async () => {
    const folder = await folderOf({})
    const queue = `sqlite:${path.join(folder, 'outbox.db')}`
    const { mailer, inbox } = await mailerWithInbox({ threads: 0, queue })
    inbox.faults.set([{ at: 'rcpt', do: 'refuse' }])
    await mailer.wait((await send(mailer)).id)
    await mailer.close()
    const next = await testMailer({ threads: 0, queue, transport: inbox.url })
    const { day, processes } = await next.monitoring.activity()
    expect(day.settled).toEqual([{ status: 'failed', reason: 'SMTP_REJECTED', count: 1 }])
    // A process that ended in order is no longer listed.
    expect(processes).toHaveLength(1)
    const points = await next.monitoring.history()
    expect(points.some(({ settled, success }) => settled > 0 && success === 0)).toBe(true)
  })
})

describeWith(['redis-server'], 'the figures of a fleet', (tools) => {
  const redis = useRedis(tools['redis-server'])

  it('are the same in a process that only sends: its workers, their rate, and failures by reason', async () => {
    const inbox = await testInbox()
    const flags = ['--queue', redis.url, '--transport', inbox.url]
    const [first, second] = await Promise.all([startWorker(flags), startWorker(flags)])
    const sender = await testMailer({ role: 'send', queue: redis.url })
    inbox.faults.set([{ at: 'rcpt', do: 'refuse', times: 5, reply: '550 5.1.1 No such user' }])
    const receipts = await Promise.all(Array.from({ length: 40 }, () => send(sender)))
    await Promise.all(receipts.map(({ id }) => sender.wait(id)))
    await expect
      .poll(async () => (await sender.monitoring.activity()).day.latency.count, { timeout: 20_000 })
      .toBe(40)
    // The sender waited for all of them, but the workers settled them.
    expect((await sender.stats()).settled).toEqual([])
    const { day, rate, processes } = await sender.monitoring.activity()
    expect(day.settled).toContainEqual({ status: 'failed', reason: 'SMTP_REJECTED', count: 5 })
    expect(rate.settled).toBeGreaterThan(0)
    const workers = processes.filter(({ role }) => role === 'deliver')
    expect(workers.map(({ pid }) => pid).sort()).toEqual([first.process.pid, second.process.pid].sort())
    for (const worker of workers) {
      expect(worker).toMatchObject({ gone: false, version: expect.stringMatching(/^\d/) })
      expect(worker.threads.length).toBeGreaterThan(0)
      expect(worker.transports).toMatchObject([{ breaker: 'closed' }])
    }

    first.process.kill('SIGKILL')
    await expect
      .poll(
        async () =>
          (await sender.monitoring.activity()).processes.filter(({ gone }) => gone).map(({ pid }) => pid),
        { timeout: 30_000, interval: 500 },
      )
      .toEqual([first.process.pid])
  }, 90_000)
})
