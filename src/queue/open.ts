import path from 'node:path'
import type { Clock } from '../clock.js'
import type { Logger } from '../observe/logger.js'
import type { QueueCommon, QueueDriver } from './driver.js'
import { MemoryQueue } from './memory.js'
import type { QueueSpec } from './options.js'
import { evidenceFile } from './sqlite/outboxWire.js'

/** Where the threads are to note how far each delivery got, if the queue reads that after a crash. */
export function notesOf(queue: QueueSpec, token: string): string | undefined {
  return queue.kind === 'sqlite' ? evidenceFile(path.resolve(queue.file), token) : undefined
}

/**
 * Opens the queue that the options name: only its driver is loaded, but for the one in memory.
 * @throws ThreadpostError `START_FAILED`
 */
export async function openQueue(
  queue: QueueSpec,
  common: QueueCommon & { logger: Logger; clock: Clock; token: string },
): Promise<QueueDriver> {
  const { clock, token, ...rest } = common
  switch (queue.kind) {
    case 'memory':
      return new MemoryQueue({ ...rest, clock })
    case 'sqlite': {
      const { kind: _, ...place } = queue
      return (await import('./sqlite.js')).SqliteQueue.open({ ...rest, ...place, token })
    }
    case 'redis': {
      const { kind: _, spool, ...place } = queue
      const redis = { ...rest, ...place }
      if (spool === undefined) return (await import('./redis.js')).RedisQueue.open(redis)
      return (await import('./redis/spooled.js')).SpooledQueue.open(redis, spool)
    }
  }
}
