import { startInbox } from 'threadpost/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { jobIdOf, toWakeBatches } from '../../src/queue/redis/bullQueue.js'
import { testInbox, testMailer } from '../support/mailer.js'
import { useRedis } from '../support/redis.js'
import { describeWith } from '../support/tools.js'

const wakeUp = (id: string, priority = 5, due = 0) => ({ id, name: 'welcome', priority, due })

describe('toWakeBatches', () => {
  it('puts messages that are due into one job per priority, in order, and gives each later message a job of its own', () => {
    const wakeUps = [
      wakeUp('a'),
      wakeUp('b', 9),
      wakeUp('c'),
      wakeUp('later', 5, 2_000),
      wakeUp('d', 9),
      wakeUp('e', 0),
    ]
    const batches = toWakeBatches(wakeUps, 1_000)
    expect(batches.map(({ ids }) => ids)).toEqual([['a', 'c'], ['b', 'd'], ['later'], ['e']])
    expect(batches.map(jobIdOf)).toEqual(['lot-a', 'lot-b', 'later', 'e'])
  })

  it('puts at most 20 messages into one job', () => {
    const batches = toWakeBatches(
      Array.from({ length: 45 }, (_, n) => wakeUp(`m${n}`)),
      1_000,
    )
    expect(batches.map(({ ids }) => ids.length)).toEqual([20, 20, 5])
  })
})

describeWith(['redis-server'], 'messages that share a job on Redis', ({ 'redis-server': tool }) => {
  const redis = useRedis(tool)

  it('are deferred, cancelled, refused and sent independently of each other', async () => {
    const inbox = await startInbox({
      faults: [
        { at: 'rcpt', do: 'defer', to: 'later@*', times: 2 },
        { at: 'rcpt', do: 'refuse', to: 'no@*' },
      ],
    })
    onTestFinished(() => inbox.close())
    const queue = { url: redis.url, prefix: 'ways' }
    const retry = { baseDelay: 50, factor: 1, jitter: 'none' as const }
    const mailer = await testMailer({ transport: inbox.url, queue, retry })
    await mailer.pause()
    const names = ['a', 'later', 'b', 'no', 'gone', 'c']
    const receipts = await mailer.sendMany(
      names.map((name) => ({ to: `${name}@example.com`, subject: name, text: name })),
    )
    const ids = receipts.map((receipt) => (receipt as { id: string }).id)
    await mailer.cancel(ids[4] ?? '')
    await mailer.resume()
    const settled = await Promise.all(ids.map((id) => mailer.wait(id)))
    expect(settled.map(({ status }) => status)).toEqual([
      'sent',
      'sent',
      'sent',
      'failed',
      'cancelled',
      'sent',
    ])
    expect(settled.map(({ attempts }) => attempts.length)).toEqual([1, 3, 1, 1, 0, 1])
    expect(inbox.count).toBe(4)
  })

  it('let a message of high priority pass those that were queued before it', async () => {
    const inbox = await testInbox({ faults: [{ at: 'dot', do: 'delay', ms: 10 }] })
    const queue = { url: redis.url, prefix: 'urgent' }
    const mailer = await testMailer({ transport: inbox.url, queue, threads: 1, concurrency: 1 })
    const mail = { to: 'ada@example.com', subject: 'Bulk', text: 'Bulk' }
    await mailer.sendMany(Array.from({ length: 150 }, () => ({ ...mail, priority: 1 })))
    await expect.poll(() => inbox.count, { interval: 1 }).toBeGreaterThan(3)
    const { id } = await mailer.send({ ...mail, subject: 'Reset', priority: 9 })
    const before = inbox.count
    await mailer.wait(id)
    // It waits at most for the batch that is being delivered, and for the messages in the thread.
    expect(inbox.count - before).toBeLessThan(60)
  })
})
