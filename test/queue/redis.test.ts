import { afterAll, beforeAll } from 'vitest'
import { resolveLogger } from '../../src/logger.js'
import { Checker } from '../../src/check.js'
import { RedisQueue } from '../../src/queue/redis.js'
import { queueSuite } from '../support/queueSuite.js'
import { type RedisServer, startRedis } from '../support/redis.js'
import { describeWith } from '../support/tools.js'

const logger = resolveLogger(new Checker('INVALID_OPTIONS'), undefined)

describeWith(['redis-server'], 'on Redis', ({ 'redis-server': tool }) => {
  let redis: RedisServer
  let queues = 0
  beforeAll(async () => {
    redis = await startRedis(tool)
  })
  afterAll(() => redis.close())

  queueSuite(
    'redis',
    (options) =>
      RedisQueue.open({ ...options, url: redis.url, redis: {}, prefix: `queue-${++queues}`, logger }),
    { search: false },
  )
})
