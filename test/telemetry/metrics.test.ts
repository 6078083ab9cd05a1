import path from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Histogram } from '../../src/structures/histogram.js'
import { LoopDelay } from '../../src/telemetry/loopDelay.js'
import { folderOf } from '../support/folder.js'
import { mailerWithInbox } from '../support/mailer.js'

const MAIL = { to: 'ada@example.com', subject: 'Hi', text: 'Hello' }

test('a histogram counts a value that equals a bound in the bucket of that bound, and larger values in the last bucket', () => {
  const histogram = new Histogram([1, 10])
  for (const value of [0, 1, 1.1, 10, 11]) histogram.observe(value)
  const { bounds, counts, sum, count } = histogram.snapshot()
  expect({ bounds, counts, count }).toEqual({ bounds: [1, 10], counts: [2, 2, 1], count: 5 })
  expect(sum).toBeCloseTo(23.1)
})

test('the delay of the event loop is measured until the monitor is stopped', async () => {
  const delay = new LoopDelay()
  onTestFinished(() => delay.close())
  expect(delay.read()).toEqual({ p50: 0, p99: 0, max: 0 })
  await new Promise((resolve) => setTimeout(resolve, 30))
  const end = performance.now() + 80
  while (performance.now() < end);
  await expect.poll(() => delay.read().max).toBeGreaterThan(50)
  delay.close()
  expect(delay.read()).toEqual({ p50: 0, p99: 0, max: 0 })
})

describe('stats', () => {
  test('count settled messages by status and code', async () => {
    const { mailer, inbox } = await mailerWithInbox({ threads: 0 })
    await mailer.sendAndWait(MAIL)
    inbox.faults.set([{ at: 'rcpt', do: 'refuse', reply: '550 5.1.1 No such user', times: 1 }])
    await mailer.sendAndWait(MAIL)
    const { id } = await mailer.send({ ...MAIL, delay: 60_000 })
    await mailer.cancel(id)
    const { settled, latency, timings, eventLoop } = await mailer.stats()
    expect(settled).toEqual([
      { status: 'sent', reason: 'OK', count: 1 },
      { status: 'failed', reason: 'SMTP_REJECTED', count: 1 },
      { status: 'cancelled', reason: 'NONE', count: 1 },
    ])
    expect(latency.count).toBe(3)
    for (const step of ['queue', 'connect', 'transaction'] as const)
      expect(timings[step].count, step).toBeGreaterThan(0)
    expect(latency.counts.reduce((a, b) => a + b)).toBe(3)
    expect(eventLoop.p99).toBeGreaterThanOrEqual(0)
  })

  test('show how busy each thread is, and the phases of its deliveries', async () => {
    const { mailer, inbox } = await mailerWithInbox({ threads: 1, concurrency: 3 })
    await mailer.stats()
    inbox.faults.set([{ at: 'rcpt', do: 'silence' }])
    for (let count = 0; count < 5; count++) await mailer.send(MAIL)
    await expect
      .poll(async () => (await mailer.stats()).threads)
      .toMatchObject([{ delivering: 3, connections: 3, phases: { envelope: 3 } }])
    const { phases, threads, threadRestarts } = await mailer.stats()
    expect(phases).toEqual(threads[0]?.phases)
    expect(threads[0]?.busy).toBeGreaterThanOrEqual(0)
    expect(threads[0]?.busy).toBeLessThanOrEqual(1)
    expect(threadRestarts).toBe(0)
    await inbox.close()
    await expect.poll(async () => (await mailer.stats()).threads).toMatchObject([{ connections: 0 }])
  })

  test('contain the commits of the SQLite queue', async () => {
    const folder = await folderOf({})
    const { mailer } = await mailerWithInbox({
      threads: 0,
      queue: `sqlite:${path.join(folder, 'outbox.db')}`,
    })
    const receipts = await mailer.sendMany(Array.from({ length: 20 }, () => MAIL))
    for (const receipt of receipts) await mailer.wait(receipt.id ?? '')
    const { commits } = await mailer.stats()
    expect(commits?.time.count).toBeGreaterThan(0)
    expect(commits?.size.sum).toBeGreaterThanOrEqual(40)
    expect(commits?.time.count).toBeLessThan(40)
  })
})
