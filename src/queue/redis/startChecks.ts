import type { Redis } from 'ioredis'
import type { Logger } from '../../observe/logger.js'

/** What is older lacks commands that are needed here, or by BullMQ. */
const OLDEST = [6, 2] as const

/** Warns of a Redis that may lose mail, or hand it out twice. What can't be told is passed over. */
export async function warnOfSettings(redis: Redis, logger: Logger): Promise<void> {
  let info: string
  try {
    info = await redis.info()
  } catch {
    return
  }
  const of = (field: string): string | undefined => new RegExp(`^${field}:(.*?)\\r?$`, 'm').exec(info)?.[1]

  const version = of('redis_version')
  const [major = 0, minor = 0] = (version ?? '').split('.').map(Number)
  if (version !== undefined && (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])))
    logger.warn({ version }, `Redis ${version} is too old: ${OLDEST.join('.')} is needed`)

  const policy = of('maxmemory_policy')
  if (policy !== undefined && policy !== 'noeviction')
    logger.warn(
      { policy },
      `Redis throws away keys when its memory is full (maxmemory-policy ${policy}): mail that was accepted may be lost. Set noeviction`,
    )

  if (of('aof_enabled') === '0')
    logger.warn(
      { appendonly: 'no' },
      'Redis keeps no append-only file: what was accepted since its last snapshot is lost when it ends, and mail ' +
        'sent since then may be sent again, unmarked. Set appendonly yes',
    )
  else {
    const fsync = await redis.config('GET', 'appendfsync').then(
      (answer) => answer[1],
      () => undefined,
    )
    if (fsync === 'no')
      logger.warn(
        { appendfsync: fsync },
        'Redis leaves it to the system when its file is written (appendfsync no): half a minute of mail may be lost ' +
          'when the machine fails. Set everysec, or always',
      )
  }
}
