import { resolveLogger } from '../../src/logging/logger.js'
import { RedisQueue } from '../../src/queue/redis/driver.js'
import { Validator } from '../../src/validation.js'
import { queueSuite } from '../support/queueSuite.js'
import { testGroupsOfFleet } from '../support/queueSuite/groups.js'
import { useRedis } from '../support/redis.js'
import { describeWith } from '../support/tools.js'

const logger = resolveLogger(new Validator('INVALID_OPTIONS'), undefined)

describeWith(['redis-server'], 'a queue on Redis', ({ 'redis-server': tool }) => {
  const redis = useRedis(tool)

  queueSuite('redis', (options) => RedisQueue.open({ ...options, ...redis.place(), redis: {}, logger }))

  let same: ReturnType<typeof redis.place> | undefined
  testGroupsOfFleet((options) =>
    RedisQueue.open({ ...options, ...(same ??= redis.place()), redis: {}, logger }),
  )
})
