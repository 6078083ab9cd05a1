import type * as Bull from 'bullmq'
import type * as IORedis from 'ioredis'
import type { Redis } from 'ioredis'
import { ThreadpostError } from '../../errors.js'
import type { Logger } from '../../logging/logger.js'
import { SCRIPTS } from './scripts.js'

export interface RedisPlace {
  /** `redis://` or `rediss://` */
  url: string
  /** Options of ioredis, over what the URL says. */
  redis: Record<string, unknown>
}

/** Milliseconds a command is waited for where a caller waits. */
const PATIENCE = 900
/** Milliseconds between two tries to connect, at most. */
const LONGEST_PAUSE = 1_000
/** Milliseconds in which Redis must be reached at the start. */
const START = 5_000

export type BullMQ = typeof Bull

/**
 * The ways to Redis of one process. `quick` is for callers: it fails within a second. `patient` is for what must be
 * stored however long it takes: it waits until Redis is back.
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
   * @param trouble told of what is wrong with a connection, once until it is well again
   * @param mayWait whether Redis may be away at the start
   * @throws ThreadpostError `START_FAILED` without the packages, or when Redis can't be reached or refuses
   */
  static async open(
    { url, redis }: RedisPlace,
    trouble: (problem: string | undefined) => void,
    mayWait: boolean,
  ): Promise<Connections> {
    const [{ Redis }, bullmq] = await loadPeers()
    const common = {
      retryStrategy: (times: number) => Math.min(50 * 2 ** Math.min(times, 10), LONGEST_PAUSE),
      connectTimeout: START,
      ...redis,
      lazyConnect: true,
      scripts: Object.fromEntries(
        Object.entries(SCRIPTS).map(([name, lua]) => [name, { lua, numberOfKeys: 1 }]),
      ),
    }
    const quick = new Redis(url, {
      ...common,
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      autoResendUnfulfilledCommands: false,
      commandTimeout: PATIENCE,
    })
    const patient = new Redis(url, { ...common, maxRetriesPerRequest: null })
    let troubled = false
    for (const redis of [quick, patient]) {
      redis.on('error', (error: Error) => {
        if (!troubled) trouble(error.message)
        troubled = true
      })
    }
    quick.on('ready', () => {
      if (troubled) trouble(undefined)
      troubled = false
    })
    const connections = new Connections(quick, patient, bullmq)
    try {
      await connections.#reach(mayWait)
    } catch (error) {
      connections.close()
      throw error
    }
    return connections
  }

  /** A connection that only listens; made when it is first asked for. */
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

  async #reach(mayWait: boolean): Promise<void> {
    let last = 'it does not answer'
    const note = (error: Error) => (last = error.message)
    for (const redis of [this.quick, this.patient]) {
      redis.on('error', note)
      redis.connect().catch(note)
    }
    const deadline = performance.now() + START
    while (!this.#ready) {
      if (/NOAUTH|WRONGPASS|invalid password|NOPERM/i.test(last)) throw startFailed(last)
      if (mayWait) break
      if (performance.now() > deadline) throw startFailed(last)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    for (const redis of [this.quick, this.patient]) redis.off('error', note)
  }

  get #ready(): boolean {
    return this.quick.status === 'ready' && this.patient.status === 'ready'
  }
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
      `A queue on Redis needs two packages of your own: npm install bullmq ioredis (${(error as Error).message})`,
      { cause: error },
    )
  }
}

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

/** How a problem with Redis is told to who wants something of it. */
export function refusal(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  // What the client says of itself is no help to who reads it.
  const problem = /enableOfflineQueue|Connection is closed|max retries/i.test(text) ? 'no connection' : text
  return `The queue can't be reached just now: Redis does not answer (${problem}). Try again later`
}

/** What can't be asked just now is told as that. @throws ThreadpostError `QUEUE_UNAVAILABLE` */
export async function ask<T>(question: () => Promise<T>): Promise<T> {
  try {
    return await question()
  } catch (error) {
    throw new ThreadpostError('QUEUE_UNAVAILABLE', refusal(error), { cause: error })
  }
}
