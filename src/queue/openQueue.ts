import { existsSync, realpathSync } from 'node:fs'
import path from 'node:path'
import type { Clock } from '../clock.js'
import type { Logger } from '../logging/logger.js'
import { type Validator, isPlainObject } from '../validation.js'
import type { DriverOptions, QueueDriver } from './driver.js'
import { MemoryQueue } from './memory/driver.js'
import { journalFile } from './sqlite/outboxProtocol.js'

/** The queue as an object, where more than its URL is to be said. */
export interface QueueOptions {
  /** `memory`, `sqlite:PATH`, or `redis://user:password@host:6379/0` (`rediss:` with TLS) */
  url: string
  /** Bytes an SQLite file may have; then mail is refused with `QUEUE_UNAVAILABLE` until some has been sent. @default no limit but the disk's */
  maxSize?: number
  /** What all keys in Redis begin with; queues of other prefixes know nothing of each other. @default 'threadpost' */
  prefix?: string
  /** Options of ioredis, over what the URL says: `{ tls, username, keepAlive, … }`. @default none */
  redis?: Record<string, unknown>
  /** `sqlite:PATH`: where mail is kept while Redis is away, to be handed on when it is back. @default none: it is refused then */
  spool?: string
}

export type QueueSpec = { kind: 'memory' } | { kind: 'sqlite'; file: string; maxSize?: number } | RedisSpec

interface RedisSpec {
  kind: 'redis'
  url: string
  prefix: string
  redis: Record<string, unknown>
  /** Path of the file. */
  spool?: string
}

const SQLITE = 'sqlite:'
const REDIS = /^rediss?:\/\//
/** An empty file and the log of one commit fit into this many bytes. */
const SMALLEST = 1024 * 1024

export function resolveQueue(check: Validator, value: unknown): QueueSpec {
  const given = isPlainObject(value)
    ? check.object(value, 'queue', ['url', 'maxSize', 'prefix', 'redis', 'spool'])
    : { url: value }
  const path = isPlainObject(value) ? 'queue.url' : 'queue'
  const url = check.string(given['url'], path)
  const kind = url.startsWith(SQLITE) ? 'sqlite' : REDIS.test(url) ? 'redis' : 'memory'
  if (kind === 'memory' && url !== 'memory')
    check.fail(path, "must be 'memory', 'sqlite:PATH' or 'redis://HOST:PORT'")
  for (const [field, owner] of Object.entries(FIELDS)) {
    if (given[field] !== undefined && kind !== owner)
      check.fail(`queue.${field}`, `is for ${owner}: only${field === 'maxSize' ? '; see limits.queue' : ''}`)
  }
  switch (kind) {
    case 'memory':
      return { kind }
    case 'sqlite': {
      const file = fileOf(check, url, path)
      if (given['maxSize'] === undefined) return { kind, file }
      return { kind, file, maxSize: check.integer(given['maxSize'], 'queue.maxSize', SMALLEST) }
    }
    case 'redis':
      return redisOf(check, given, url, path)
  }
}

/** Fields that only one kind of queue knows. */
const FIELDS = { maxSize: 'sqlite', prefix: 'redis', redis: 'redis', spool: 'redis' } as const

function redisOf(check: Validator, given: Record<string, unknown>, url: string, path: string): RedisSpec {
  if (!URL.canParse(url)) check.fail(path, "is no URL of Redis: write 'redis://user:password@host:6379/0'")
  const prefix = check.string(given['prefix'] ?? 'threadpost', 'queue.prefix', 64)
  if (!/^[\w.-]+$/.test(prefix)) check.fail('queue.prefix', 'is letters, digits, dot, dash and underscore')
  const redis = given['redis'] ?? {}
  if (!isPlainObject(redis)) check.fail('queue.redis', 'must be an object of ioredis options')
  if (redis['keyPrefix'] !== undefined)
    check.fail('queue.redis.keyPrefix', 'is not for BullMQ: use queue.prefix')
  const spec: RedisSpec = { kind: 'redis', url, prefix, redis }
  if (given['spool'] !== undefined) {
    const spool = check.string(given['spool'], 'queue.spool')
    if (!spool.startsWith(SQLITE)) check.fail('queue.spool', "must be 'sqlite:PATH'")
    spec.spool = fileOf(check, spool, 'queue.spool')
  }
  return spec
}

function fileOf(check: Validator, url: string, path: string): string {
  const file = url.slice(SQLITE.length).replace(/^\/\/(?=\/)/, '')
  if (file === '') check.fail(path, "names no file: write 'sqlite:./outbox.db'")
  if (file.startsWith(':memory:')) check.fail(path, "must name a file; for a queue in memory write 'memory'")
  if (file.includes('\0')) check.fail(path, 'must not contain NUL')
  // Its lock stands beside it: processes that come by a link must find the same one.
  return existsSync(file) ? realpathSync(file) : file
}

/** Where the threads are to note how far each delivery got, if the queue reads that after a crash. */
export function journalFileOf(queue: QueueSpec, token: string): string | undefined {
  return queue.kind === 'sqlite' ? journalFile(path.resolve(queue.file), token) : undefined
}

/**
 * Opens the queue that the options name: only its driver is loaded, but for the one in memory.
 * @throws ThreadpostError `START_FAILED`
 */
export async function openQueue(
  queue: QueueSpec,
  common: DriverOptions & { logger: Logger; clock: Clock; token: string },
): Promise<QueueDriver> {
  const { clock, token, ...rest } = common
  switch (queue.kind) {
    case 'memory':
      return new MemoryQueue({ ...rest, clock })
    case 'sqlite': {
      const { kind: _, ...place } = queue
      return (await import('./sqlite/driver.js')).SqliteQueue.open({ ...rest, ...place, token })
    }
    case 'redis': {
      const { kind: _, spool, ...place } = queue
      const redis = { ...rest, ...place }
      if (spool === undefined) return (await import('./redis/driver.js')).RedisQueue.open(redis)
      return (await import('./redis/spooledQueue.js')).SpooledQueue.open(redis, spool)
    }
  }
}
