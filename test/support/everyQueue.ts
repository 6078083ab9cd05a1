import path from 'node:path'
import type { MailerOptions } from 'threadpost'
import { describe } from 'vitest'
import { folderOf } from './folder.js'
import { usePostgres } from './postgres.js'
import { useRedis } from './redis.js'
import { describeWith } from './tools.js'

/**
 * Describes the same behavior of a mailer on each kind of queue.
 * @param define defines the tests; its argument returns the option `queue` for a new, empty queue
 */
export function describeOnEveryQueue(
  name: string,
  define: (newQueue: () => Promise<NonNullable<MailerOptions['queue']>>, durable: boolean) => void,
): void {
  describe(`${name}, on a queue in memory`, () => define(() => Promise.resolve('memory'), false))
  describe(`${name}, on a queue in SQLite`, () =>
    define(async () => `sqlite:${path.join(await folderOf({}), 'outbox.db')}`, true))
  describeWith(['redis-server'], `${name}, on a queue in Redis`, ({ 'redis-server': tool }) => {
    const redis = useRedis(tool)
    define(() => Promise.resolve(redis.place()), true)
  })
  describeWith(['postgres'], `${name}, on a queue in Postgres`, ({ postgres: tool }) => {
    const postgres = usePostgres(tool)
    define(() => Promise.resolve(postgres.place()), true)
  })
}
