import type * as Bull from 'bullmq'
import type * as IORedis from 'ioredis'
import type { Redis } from 'ioredis'
import { ThreadpostError } from '../../errors.js'
import type { Logger } from '../../logging/logger.js'
import { AT_MAX_MEMORY, loadScripts } from './scripts.js'

export interface RedisConnectionOptions {
  /** `redis://` or `rediss://` */
  url: string
  /** Options of ioredis; they override those of the URL. */
  redis: Record<string, unknown>
}

/** Milliseconds within which a command for a caller must be answered. */
const COMMAND_TIMEOUT = 900
/** Milliseconds between two attempts to connect, at most. */
const MAX_RECONNECT_DELAY = 1_000
/** Milliseconds within which Redis must be reached at the start. */
const CONNECT_TIMEOUT = 5_000

export type BullMQ = typeof Bull

/**
 * The connections of one process to Redis. Commands on `quick`, for callers, fail within a second. Commands on `patient`, for
 * results that must be stored, wait until Redis is back.
 */
export class Connections {
  readonly quick: Redis
  readonly patient: Redis
  readonly bullmq: BullMQ
  #subscriber: Redis | undefined

  private constructor(quick: Redis, patient: Redis, bullmq: BullMQ) {
    this.quick = quick
    this.patient = patient
    this.bullmq = bullmq
  }

  /**
   * @param onProblem called with a problem once, and with undefined when Redis is available again
   * @param mayBeDown whether Redis may be unavailable at the start
   * @throws ThreadpostError `START_FAILED` if a package or a script is missing, or if Redis can't be reached or refuses
   */
  static async open(
    { url, redis }: RedisConnectionOptions,
    onProblem: (problem: string | undefined) => void,
    mayBeDown: boolean,
  ): Promise<Connections> {
    const scripts = await loadScripts()
    const [{ Redis }, bullmq] = await loadPeers()
    const common = {
      retryStrategy: (times: number) => Math.min(50 * 2 ** Math.min(times, 10), MAX_RECONNECT_DELAY),
      connectTimeout: CONNECT_TIMEOUT,
      ...redis,
      lazyConnect: true,
      scripts: Object.fromEntries(
        Object.entries(scripts).map(([name, lua]) => [name, { lua, numberOfKeys: 1 }]),
      ),
    }
    const quick = new Redis(url, {
      ...common,
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      autoResendUnfulfilledCommands: false,
      commandTimeout: COMMAND_TIMEOUT,
    })
    const patient = new Redis(url, { ...common, maxRetriesPerRequest: null })
    runAtMaxMemory(patient)
    let failing = false
    for (const redis of [quick, patient]) {
      redis.on('error', (error: Error) => {
        if (!failing) onProblem(error.message)
        failing = true
      })
    }
    quick.on('ready', () => {
      if (failing) onProblem(undefined)
      failing = false
    })
    const connections = new Connections(quick, patient, bullmq)
    try {
      await connections.#connect(mayBeDown)
    } catch (error) {
      connections.close()
      throw error
    }
    return connections
  }

  /** A connection for subscriptions, opened at the first use. */
  get subscriber(): Redis {
    if (this.#subscriber === undefined) {
      this.#subscriber = this.patient.duplicate({ lazyConnect: false })
      this.#subscriber.on('error', () => undefined)
    }
    return this.#subscriber
  }

  close(): void {
    this.quick.disconnect()
    this.patient.disconnect()
    this.#subscriber?.disconnect()
  }

  async #connect(mayBeDown: boolean): Promise<void> {
    let last = 'it does not answer'
    const note = (error: Error) => (last = error.message)
    for (const redis of [this.quick, this.patient]) {
      redis.on('error', note)
      redis.connect().catch(note)
    }
    const deadline = performance.now() + CONNECT_TIMEOUT
    while (!this.#ready) {
      if (/NOAUTH|WRONGPASS|invalid password|NOPERM/i.test(last)) throw startFailed(last)
      if (mayBeDown) break
      if (performance.now() > deadline) throw startFailed(last)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    for (const redis of [this.quick, this.patient]) redis.off('error', note)
  }

  get #ready(): boolean {
    return this.quick.status === 'ready' && this.patient.status === 'ready'
  }
}

/** Lets the scripts that BullMQ defines on a connection run when the memory of Redis is full: they wake up what is queued. */
function runAtMaxMemory(redis: Redis): void {
  const define = redis.defineCommand.bind(redis)
  redis.defineCommand = (name, definition) =>
    define(name, { ...definition, lua: AT_MAX_MEMORY + definition.lua })
}

function startFailed(problem: string): ThreadpostError {
  return new ThreadpostError('START_FAILED', `The queue can't start: Redis can't be used (${problem})`)
}

async function loadPeers(): Promise<[Pick<typeof IORedis, 'Redis'>, BullMQ]> {
  try {
    return await Promise.all([import('ioredis'), import('bullmq')])
  } catch (error) {
    throw new ThreadpostError(
      'START_FAILED',
      `A queue on Redis needs two packages that you install yourself: npm install bullmq ioredis (${(error as Error).message})`,
      { cause: error },
    )
  }
}

/** Older versions lack commands that the scripts or BullMQ need. */
const MIN_VERSION = [6, 2] as const

/** Warns if the settings of Redis may lose mail, or send it twice. Settings that can't be read are skipped. */
export async function warnAboutSettings(redis: Redis, logger: Logger): Promise<void> {
  let info: string
  try {
    info = await redis.info()
  } catch {
    return
  }
  const setting = (field: string): string | undefined =>
    new RegExp(`^${field}:(.*?)\\r?$`, 'm').exec(info)?.[1]

  const version = setting('redis_version')
  const [major = 0, minor = 0] = (version ?? '').split('.').map(Number)
  if (
    version !== undefined &&
    (major < MIN_VERSION[0] || (major === MIN_VERSION[0] && minor < MIN_VERSION[1]))
  )
    logger.warn(
      { version },
      `Redis ${version} is too old: version ${MIN_VERSION.join('.')} or later is needed`,
    )

  const policy = setting('maxmemory_policy')
  if (policy !== undefined && policy !== 'noeviction')
    logger.warn(
      { policy },
      `Redis evicts keys when its memory is full (maxmemory-policy ${policy}), so accepted mail may be lost. Set maxmemory-policy noeviction`,
    )

  if (setting('aof_enabled') === '0')
    logger.warn(
      { appendonly: 'no' },
      'Redis keeps no append-only file: if it stops, mail that was accepted since its last snapshot is lost, and mail that was ' +
        'sent since then may be sent again without a mark. Set appendonly yes',
    )
  else {
    const fsync = await redis.config('GET', 'appendfsync').then(
      (answer) => answer[1],
      () => undefined,
    )
    if (fsync === 'no')
      logger.warn(
        { appendfsync: fsync },
        'Redis leaves it to the operating system when its file is written to disk (appendfsync no), so half a minute of mail ' +
          'may be lost if the machine fails. Set appendfsync everysec or always',
      )
  }
}

/** The message for a caller whose command Redis did not answer. */
export function unavailableMessage(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  // These messages of ioredis are about its own options, and would not help the caller.
  const problem = /enableOfflineQueue|Connection is closed|max retries/i.test(text) ? 'no connection' : text
  return `The queue is unavailable: Redis does not answer (${problem}). Try again later`
}

/** Whether a script that failed may have run: Redis did not refuse it, and it was not held back for lack of a connection. */
export function mayHaveRun(error: unknown): boolean {
  return !(
    error instanceof Error &&
    (error.name === 'ReplyError' || error.message.includes('enableOfflineQueue'))
  )
}

/** Runs a command for a caller. @throws ThreadpostError `QUEUE_UNAVAILABLE` if Redis does not answer it */
export async function orUnavailable<T>(command: () => Promise<T>): Promise<T> {
  try {
    return await command()
  } catch (error) {
    throw new ThreadpostError('QUEUE_UNAVAILABLE', unavailableMessage(error), { cause: error })
  }
}
