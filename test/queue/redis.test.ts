import { Redis } from 'ioredis'
import { resolveLogger } from '../../src/logging/logger.js'
import { RedisQueue } from '../../src/queue/redis/driver.js'
import { Validator } from '../../src/validation.js'
import { queueSuite } from '../support/queueSuite.js'
import { testEncryption } from '../support/queueSuite/encryption.js'
import { testGroupsOfFleet } from '../support/queueSuite/groups.js'
import { testSharing } from '../support/queueSuite/sharing.js'
import { useRedis } from '../support/redis.js'
import { describeWith } from '../support/tools.js'

/** The command that reads all of a key, by its type. */
const READ: Record<string, [command: string, ...args: string[]]> = {
  string: ['GET'],
  hash: ['HGETALL'],
  list: ['LRANGE', '0', '-1'],
  set: ['SMEMBERS'],
  zset: ['ZRANGE', '0', '-1'],
  stream: ['XRANGE', '-', '+'],
}

/** All values of all keys. */
async function dump(url: string): Promise<Buffer> {
  const client = new Redis(url)
  const parts: string[] = []
  for (const key of await client.keys('*')) {
    // A key that has just expired has no type.
    const [command, ...args] = READ[await client.type(key)] ?? ['GET']
    parts.push(`${key} ${JSON.stringify(await client.call(command, key, ...args))}`)
  }
  client.disconnect()
  return Buffer.from(parts.join('\n'))
}

const logger = resolveLogger(new Validator('INVALID_OPTIONS'), undefined)

describeWith(['redis-server'], 'a queue on Redis', ({ 'redis-server': tool }) => {
  const redis = useRedis(tool)

  queueSuite('redis', (options) => RedisQueue.open({ ...options, ...redis.place(), redis: {}, logger }))

  let same: ReturnType<typeof redis.place> | undefined
  testGroupsOfFleet((options) =>
    RedisQueue.open({ ...options, ...(same ??= redis.place()), redis: {}, logger }),
  )
  testSharing(() => {
    const place = redis.place()
    return (options) => RedisQueue.open({ ...options, ...place, redis: {}, logger })
  })

  testEncryption(() => {
    const place = redis.place()
    return {
      open: (options) => RedisQueue.open({ ...options, ...place, redis: {}, logger }),
      bytes: () => dump(redis.url),
    }
  })
})
