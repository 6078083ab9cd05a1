import { existsSync, realpathSync } from 'node:fs'
import path from 'node:path'
import type { Clock } from '../clock.js'
import { ThreadpostError } from '../errors.js'
import type { Logger } from '../logging/logger.js'
import { Validator, isPlainObject } from '../validation.js'
import type { DriverOptions, QueueDriver } from './driver.js'
import { checkKeys, type EncryptionOptions, resolveKeys } from './encryptionKeys.js'
import { MemoryQueue } from './memory/driver.js'
import { journalFile } from './sqlite/outboxProtocol.js'

/** The option `queue` as an object, for settings beyond the URL. */
export interface QueueOptions {
  /** `memory`, `sqlite:PATH`, `redis://user:password@host:6379/0` (`rediss:` with TLS), or `postgres://user:password@host:5432/database` */
  url: string
  /** Maximum size of the SQLite file in bytes. A full queue refuses mail with `QUEUE_UNAVAILABLE` until some has been sent. @default limited by the disk only */
  maxSize?: number
  /** Prefix of all keys in Redis. Queues with different prefixes are independent. @default 'threadpost' */
  prefix?: string
  /** Options for ioredis, which override the URL: `{ tls, username, keepAlive, … }`. @default none */
  redis?: Record<string, unknown>
  /** `sqlite:PATH` of a file that stores mail while Redis is unreachable and forwards it afterwards. @default none: mail is refused meanwhile */
  spool?: string
  /** Schema of the tables in Postgres. Queues in different schemas are independent. @default 'threadpost' */
  schema?: string
  /** Whether the tables in Postgres are created and brought to the version of this package at the start. @default true */
  migrate?: boolean
  /**
   * Whether Postgres announces messages with NOTIFY, so that they leave at once. `false` for PgBouncer in transaction mode: then
   * processes look for messages ten times a second. @default true
   */
  listen?: boolean
  /** Options for pg's Pool, which override the URL: `{ ssl, max, … }`. @default none */
  postgres?: Record<string, unknown>
  /** Encrypts what the queue stores of addresses and content. A queue in memory stores nothing and ignores it. @default none: stored clear */
  encryption?: EncryptionOptions
}

export type QueueSpec = (
  { kind: 'memory' } | { kind: 'sqlite'; file: string; maxSize?: number } | RedisSpec | PostgresSpec
) & {
  /** Keys of 32 bytes each. */
  encryptionKeys?: readonly Uint8Array[]
}

interface PostgresSpec {
  kind: 'postgres'
  url: string
  schema: string
  migrate: boolean
  listen: boolean
  postgres: Record<string, unknown>
}

interface RedisSpec {
  kind: 'redis'
  url: string
  prefix: string
  redis: Record<string, unknown>
  /** Path of the spool file. */
  spool?: string
}

const SQLITE = 'sqlite:'
const REDIS = /^rediss?:\/\//
const POSTGRES = /^postgres(?:ql)?:\/\//
/** Room for an empty file and the log of one commit. */
const MIN_SIZE = 1024 * 1024

/** Checks the option `queue` and fills in the defaults. */
export function resolveQueue(check: Validator, value: unknown): QueueSpec {
  const input = isPlainObject(value)
    ? check.object(value, 'queue', ['url', 'encryption', ...Object.keys(FIELDS)])
    : { url: value }
  const path = isPlainObject(value) ? 'queue.url' : 'queue'
  const url = check.string(input['url'], path)
  const kind = kindOf(url)
  if (kind === 'memory' && url !== 'memory')
    check.fail(
      path,
      "must be 'memory', 'sqlite:PATH', 'redis://HOST:PORT' or 'postgres://HOST:PORT/DATABASE'",
    )
  for (const [field, owner] of Object.entries(FIELDS)) {
    if (input[field] !== undefined && kind !== owner)
      check.fail(
        `queue.${field}`,
        `applies to ${owner}: queues only${field === 'maxSize' ? '; see limits.queue' : ''}`,
      )
  }
  const spec = specOf(check, input, kind, url, path)
  if (input['encryption'] !== undefined) spec.encryptionKeys = resolveKeys(check, input['encryption'])
  return spec
}

function specOf(
  check: Validator,
  input: Record<string, unknown>,
  kind: QueueSpec['kind'],
  url: string,
  path: string,
): QueueSpec {
  switch (kind) {
    case 'memory':
      return { kind }
    case 'sqlite': {
      const file = fileOf(check, url, path)
      if (input['maxSize'] === undefined) return { kind, file }
      return { kind, file, maxSize: check.integer(input['maxSize'], 'queue.maxSize', MIN_SIZE) }
    }
    case 'redis':
      return redisOf(check, input, url, path)
    case 'postgres':
      return postgresOf(check, input, url, path)
  }
}

function kindOf(url: string): QueueSpec['kind'] {
  if (url.startsWith(SQLITE)) return 'sqlite'
  if (REDIS.test(url)) return 'redis'
  return POSTGRES.test(url) ? 'postgres' : 'memory'
}

/** Fields that apply to one kind of queue only. */
const FIELDS = {
  maxSize: 'sqlite',
  prefix: 'redis',
  redis: 'redis',
  spool: 'redis',
  schema: 'postgres',
  migrate: 'postgres',
  listen: 'postgres',
  postgres: 'postgres',
} as const

function postgresOf(
  check: Validator,
  input: Record<string, unknown>,
  url: string,
  path: string,
): PostgresSpec {
  if (!URL.canParse(url))
    check.fail(path, "must be a Postgres URL: write 'postgres://user:password@host:5432/database'")
  const schema = check.string(input['schema'] ?? 'threadpost', 'queue.schema', 40)
  if (!/^[a-z_][a-z0-9_]*$/.test(schema) || schema.startsWith('pg_'))
    check.fail(
      'queue.schema',
      "must consist of lowercase letters, digits and underscores, and not begin with 'pg_'",
    )
  const postgres = input['postgres'] ?? {}
  if (!isPlainObject(postgres)) check.fail('queue.postgres', 'must be an object of pg Pool options')
  return {
    kind: 'postgres',
    url,
    schema,
    migrate: check.boolean(input['migrate'] ?? true, 'queue.migrate'),
    listen: check.boolean(input['listen'] ?? true, 'queue.listen'),
    postgres,
  }
}

function redisOf(check: Validator, input: Record<string, unknown>, url: string, path: string): RedisSpec {
  if (!URL.canParse(url)) check.fail(path, "must be a Redis URL: write 'redis://user:password@host:6379/0'")
  const prefix = check.string(input['prefix'] ?? 'threadpost', 'queue.prefix', 64)
  if (!/^[\w.-]+$/.test(prefix))
    check.fail('queue.prefix', 'must consist of letters, digits, dots, dashes and underscores')
  const redis = input['redis'] ?? {}
  if (!isPlainObject(redis)) check.fail('queue.redis', 'must be an object of ioredis options')
  if (redis['keyPrefix'] !== undefined)
    check.fail('queue.redis.keyPrefix', 'is not supported by BullMQ: use queue.prefix')
  const spec: RedisSpec = { kind: 'redis', url, prefix, redis }
  if (input['spool'] !== undefined) {
    const spool = check.string(input['spool'], 'queue.spool')
    if (!spool.startsWith(SQLITE)) check.fail('queue.spool', "must be 'sqlite:PATH'")
    spec.spool = fileOf(check, spool, 'queue.spool')
  }
  return spec
}

function fileOf(check: Validator, url: string, path: string): string {
  const file = url.slice(SQLITE.length).replace(/^\/\/(?=\/)/, '')
  if (file === '') check.fail(path, "must name a file: write 'sqlite:./outbox.db'")
  if (file.startsWith(':memory:')) check.fail(path, "must name a file; write 'memory' for a queue in memory")
  if (file.includes('\0')) check.fail(path, 'must not contain NUL')
  // The lock file lies next to it: processes that open the file through a link must find the same lock.
  return existsSync(file) ? realpathSync(file) : file
}

/** Returns the path of the delivery journal, if the queue reads that after a crash. */
export function journalFileOf(queue: QueueSpec, token: string): string | undefined {
  return queue.kind === 'sqlite' ? journalFile(path.resolve(queue.file), token) : undefined
}

type OpenOptions = DriverOptions & { logger: Logger; clock: Clock; token: string }

/**
 * Opens the queue that the options name. Loads only that driver; the one for memory is always loaded.
 * @throws ThreadpostError `START_FAILED`
 */
export async function openQueue(queue: QueueSpec, options: OpenOptions): Promise<QueueDriver> {
  const { encryptionKeys, ...spec } = queue
  if (spec.kind === 'memory') return openDriver(spec, options)
  const encryption =
    encryptionKeys && (await import('./encryption/queueEncryption.js')).createEncryption(encryptionKeys)
  const { recordsOf } = options
  const driver = await openDriver(
    spec,
    encryption === undefined
      ? options
      : {
          ...options,
          encryption,
          recordsOf: recordsOf && ((message) => encryption.seal(recordsOf(message))),
        },
  )
  try {
    await checkKeys(driver, encryption, options.logger)
  } catch (error) {
    await driver.close()
    throw error
  }
  return driver
}

async function openDriver(spec: QueueSpec, options: OpenOptions): Promise<QueueDriver> {
  const { clock, token, ...rest } = options
  switch (spec.kind) {
    case 'memory':
      return new MemoryQueue({ ...rest, clock })
    case 'sqlite': {
      const { kind: _, ...location } = spec
      return (await import('./sqlite/driver.js')).SqliteQueue.open({ ...rest, ...location, token })
    }
    case 'redis': {
      const { kind: _, spool, ...location } = spec
      const redis = { ...rest, ...location }
      if (spool === undefined) return (await import('./redis/driver.js')).RedisQueue.open(redis)
      return (await import('./redis/spooledQueue.js')).SpooledQueue.open(redis, spool)
    }
    case 'postgres': {
      const { kind: _, ...location } = spec
      return (await import('./postgres/driver.js')).PostgresQueue.open({ ...rest, ...location })
    }
  }
}

/**
 * Brings the tables of a queue on Postgres to the version of this package.
 * @param print whether to return the script instead of running it
 * @returns the titles of the migrations that were applied, or the script
 * @throws ThreadpostError `INVALID_OPTIONS` for another queue; `START_FAILED`
 */
export async function migrateQueue(queue: unknown, print: boolean): Promise<string[]> {
  const spec = resolveQueue(new Validator('INVALID_OPTIONS'), queue)
  if (spec.kind !== 'postgres')
    throw new ThreadpostError(
      'INVALID_OPTIONS',
      'queue: only a queue on Postgres has tables to migrate: postgres://HOST:PORT/DATABASE',
      {
        path: 'queue',
      },
    )
  const { migratePostgres, migrationScript } = await import('./postgres/migrate.js')
  return print ? [migrationScript(spec.schema)] : migratePostgres(spec)
}
