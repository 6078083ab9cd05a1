import path from 'node:path'
import Sqlite from 'better-sqlite3'
import { Redis } from 'ioredis'
import { expect, it, onTestFinished } from 'vitest'
import { SILENT } from '../../src/logging/logger.js'
import { cancelManually } from '../../src/queue/actions.js'
import type { Consumer, QueueDriver, QueuedMessage } from '../../src/queue/driver.js'
import { RedisQueue } from '../../src/queue/redis/driver.js'
import { builtSqlite } from '../support/built.js'
import { folderOf } from '../support/folder.js'
import { jobOf, outcomeOf, settlementOf } from '../support/queueSuite/jobs.js'
import { startRedis } from '../support/redis.js'
import { describeWith } from '../support/tools.js'

const DAY = 86_400_000
const COMMON = {
  limit: 100,
  maxAge: DAY,
  retain: { count: 100, age: DAY, data: 'kept', keys: DAY },
  onChange: () => undefined,
  logger: SILENT,
} as const

/** A consumer with one slot. A delivery stays in it until `unblock()`, and can be cancelled before that. */
class BlockedConsumer implements Consumer {
  readonly slots = 1
  readonly delivered: string[] = []
  readonly #waiting: (() => void)[] = []
  #open = false
  #withdrawn = new Set<string>()

  async deliver(message: QueuedMessage): ReturnType<Consumer['deliver']> {
    const { id } = message.job
    if (!this.#open) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    if (this.#withdrawn.delete(id)) return settlementOf(message, outcomeOf('withdrawn'))
    this.delivered.push(id)
    return settlementOf(message, outcomeOf('sent'))
  }

  cancel(id: string): boolean {
    this.#withdrawn.add(id)
    return true
  }

  recover(): undefined {
    return undefined
  }

  get busy(): boolean {
    return this.#waiting.length > 0
  }

  unblock(): void {
    this.#open = true
    for (const resume of this.#waiting) resume()
  }
}

/** Cancels the delivery in progress and the next message while nothing can be stored; then each must be sent once. */
async function refusedAndSent(queue: QueueDriver, refuse: () => Promise<() => Promise<void>>): Promise<void> {
  onTestFinished(async () => {
    await queue.drain(1_000)
    await queue.close()
  })
  const jobs = [jobOf(), jobOf(), jobOf()]
  const ids = jobs.map(({ id }) => id)
  await queue.enqueue(jobs)
  const consumer = new BlockedConsumer()
  await queue.start(consumer)
  await expect.poll(() => consumer.busy).toBe(true)
  const allow = await refuse()
  const answers = await Promise.allSettled(ids.map((id) => queue.act(id, cancelManually)))
  await allow()
  for (const answer of answers)
    expect(answer).toMatchObject({ status: 'rejected', reason: { code: 'QUEUE_UNAVAILABLE' } })
  consumer.unblock()
  await expect.poll(async () => (await queue.stats()).sent).toBe(ids.length)
  expect(consumer.delivered.toSorted()).toEqual(ids.toSorted())
}

it('delivers a message that can’t be cancelled because the file is locked', async () => {
  const { SqliteQueue } = await builtSqlite()
  const file = path.join(await folderOf({}), 'outbox.db')
  const queue = await SqliteQueue.open({ ...COMMON, file })
  await refusedAndSent(queue, async () => {
    const other = new Sqlite(file)
    other.exec('BEGIN IMMEDIATE')
    return async () => {
      other.exec('ROLLBACK')
      other.close()
    }
  })
})

describeWith(['redis-server'], 'on Redis', ({ 'redis-server': tool }) => {
  it('delivers a message that can’t be cancelled because Redis has too few replicas to write', async () => {
    const redis = await startRedis(tool)
    onTestFinished(() => redis.close())
    const queue = await RedisQueue.open({ ...COMMON, url: redis.url, redis: {}, prefix: 'refused' })
    await refusedAndSent(queue, async () => {
      const client = new Redis(redis.url)
      await client.config('SET', 'min-replicas-to-write', '1')
      return async () => {
        await client.config('SET', 'min-replicas-to-write', '0')
        client.disconnect()
      }
    })
  })
})
