import { randomInt } from 'node:crypto'
import { Deadline } from '../../clock.js'
import { ThreadpostError } from '../../errors.js'
import { ConditionLog } from '../../logging/conditionLog.js'
import type { Logger } from '../../logging/logger.js'
import { type MailJob, waitsForTransport } from '../../message/messageState.js'
import type {
  Consumer,
  DriverOptions,
  EnqueueResult,
  QueueDriver,
  QueueTransfer,
  Transaction,
} from '../driver.js'
import { unpackHead } from '../rowCodec.js'
import { type ServerOperations, serverOperations } from '../serverOperations.js'
import { prepareSchema } from './migrate.js'
import { PostgresAcceptor } from './postgresAcceptor.js'
import {
  orPostgresUnavailable,
  type PostgresConnectionOptions,
  PostgresConnections,
} from './postgresConnections.js'
import { PostgresConsumer } from './postgresConsumer.js'
import { PostgresMaintenance } from './postgresMaintenance.js'
import { PostgresStore } from './postgresStore.js'
import { PostgresSubscriptions } from './postgresSubscriptions.js'
import { postgresTransfer } from './postgresTransfer.js'
import { channelsOf } from './statements.js'

export interface PostgresQueueOptions extends PostgresConnectionOptions, DriverOptions {
  /** Schema of the tables. */
  schema: string
  /** Whether the schema is brought to the version of this package. */
  migrate: boolean
  logger: Logger
}

/** Milliseconds for the last statements once everything else has ended. */
const CLOSE_GRACE = 1_000
/** Milliseconds between two heartbeats of a process that follows messages and delivers none. */
const FOLLOWER_HEARTBEAT = 2_000

/**
 * A queue in Postgres for many processes on many machines: each may accept mail, also in a transaction of the application, and
 * each may deliver. Notifications wake processes up; they also look by themselves, so that a lost notification costs time only.
 */
export class PostgresQueue implements Omit<QueueDriver, keyof ServerOperations> {
  readonly transfer: QueueTransfer
  readonly #options: PostgresQueueOptions
  readonly #connections: PostgresConnections
  readonly #store: PostgresStore
  readonly #acceptor: PostgresAcceptor
  readonly #operations: ServerOperations
  readonly #subscriptions: PostgresSubscriptions
  #consumer: PostgresConsumer | undefined
  #maintenance: PostgresMaintenance | undefined
  #followerTimer: NodeJS.Timeout | undefined
  #endListening: (() => void) | undefined
  #closed = false

  private constructor(options: PostgresQueueOptions, connections: PostgresConnections) {
    this.#options = options
    this.#connections = connections
    const { schema, limit, retain, onChange, listen } = options
    const owner = String(randomInt(2 ** 47))
    const cipher = options.encryption?.rows
    const store = new PostgresStore(connections, {
      schema,
      owner,
      count: retain.count,
      keepKey: retain.keys,
      cipher,
    })
    this.#store = store
    this.transfer = postgresTransfer(store, connections, schema, retain.keys, cipher)
    this.#acceptor = new PostgresAcceptor(store, { limit, changed: onChange })
    const { operations, announce } = serverOperations(store, {
      ...options,
      guard: orPostgresUnavailable,
      write: (mutation) => {
        const { row, state } = mutation
        const held = waitsForTransport(state) ? { heldFor: unpackHead(row).transport } : {}
        return store.update({ ...mutation, ...held, losses: 0 })
      },
      cancelDelivery: (id) => this.#consumer?.cancelDelivery(id),
    })
    this.#operations = operations
    this.#subscriptions = new PostgresSubscriptions({
      owner,
      listen,
      follow: () => this.#follow(),
      settledOf: (ids) => store.settled(ids),
      settled: (id) => announce(id, (id) => this.#subscriptions.has(id)),
    })
  }

  /** @throws ThreadpostError `START_FAILED` if pg is missing, or if Postgres or the schema can't be used */
  static async open(options: PostgresQueueOptions): Promise<PostgresQueue & ServerOperations> {
    const { logger, schema, migrate } = options
    const outage = new ConditionLog(logger, {
      begins: 'Postgres is unavailable',
      level: 'error',
      ends: 'Postgres is available again',
    })
    const connections = await PostgresConnections.open(options, (problem) => outage.report(problem))
    try {
      await prepareSchema(connections, schema, migrate)
      await warnAboutDurability(connections, logger)
    } catch (error) {
      await connections.close()
      throw error
    }
    const queue = new PostgresQueue(options, connections)
    return Object.assign(queue, queue.#operations)
  }

  async enqueue(jobs: readonly MailJob[]): Promise<EnqueueResult[]> {
    const results = await this.#acceptor.accept(jobs)
    this.#consumer?.wake()
    return results
  }

  enqueueIn(tx: Transaction, jobs: readonly MailJob[]): Promise<EnqueueResult[]> {
    return this.#acceptor.acceptIn(
      async ({ text }, values) => rowsOf(await tx.query(text, [...values])),
      jobs,
    )
  }

  async start(consumer: Consumer): Promise<void> {
    const { onChange, recordsOf, retain, logger, listen, admit } = this.#options
    this.#consumer = new PostgresConsumer(consumer, {
      store: this.#store,
      changed: onChange,
      recordsOf,
      data: retain.data,
      admit,
      logger,
      listen,
      revive: () => this.#heartbeat(),
    })
    this.#maintenance = new PostgresMaintenance({
      store: this.#store,
      consumer: this.#consumer,
      retain,
      logger,
      heartbeat: () => this.#heartbeat(),
    })
    await this.#maintenance.start()
    this.#listen()
    this.#consumer.start()
  }

  async pause(): Promise<void> {
    await orPostgresUnavailable(() => this.#store.pause())
  }

  async resume(): Promise<void> {
    await orPostgresUnavailable(() => this.#store.resume())
    this.#consumer?.wake()
  }

  async wakeHeld(transports: readonly string[], most: number): Promise<number> {
    const woken = await this.#store.wakeHeld(transports, most)
    if (woken > 0) this.#consumer?.wake()
    return woken
  }

  subscribe(id: string): () => void {
    return this.#subscriptions.follow(id)
  }

  async drain(deadline: number): Promise<void> {
    await this.#consumer?.drain(deadline)
  }

  /** Ends soon even if Postgres is unavailable: other processes later recover the results that could not be stored. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    const grace = new Deadline(CLOSE_GRACE)
    this.#subscriptions.close()
    clearInterval(this.#followerTimer)
    this.#maintenance?.close()
    await this.#consumer?.close(grace)
    await grace.until(this.#store.deregister())
    this.#endListening?.()
    await grace.until(this.#connections.close())
  }

  #heartbeat(): Promise<void> {
    return this.#store.heartbeat(this.#subscriptions.active)
  }

  /** A process that delivers has its own heartbeat. */
  async #follow(): Promise<void> {
    this.#listen()
    if (this.#consumer === undefined)
      this.#followerTimer ??= setInterval(() => {
        if (this.#subscriptions.active) this.#heartbeat().catch(() => undefined)
      }, FOLLOWER_HEARTBEAT).unref()
    await this.#heartbeat()
  }

  #listen(): void {
    if (!this.#options.listen || this.#closed) return
    const { wake, done } = channelsOf(this.#options.schema)
    this.#endListening ??= this.#connections.listen(
      [wake, done],
      (channel, payload) => {
        if (channel === wake) this.#consumer?.wake()
        else this.#subscriptions.notified(payload)
      },
      () => {
        this.#consumer?.wake()
        void this.#subscriptions.check()
      },
    )
  }
}

/** The rows in the result of a caller's client: an array, or a field of an object. */
function rowsOf(result: unknown): unknown[] {
  const rows: unknown = Array.isArray(result) ? result : (result as { rows?: unknown } | null)?.rows
  if (Array.isArray(rows)) return rows as unknown[]
  throw new ThreadpostError('INVALID_OPTIONS', 'tx.query: must return the rows, or an object with rows', {
    path: 'tx.query',
  })
}

/** Warns if the settings of Postgres may lose mail. */
async function warnAboutDurability(connections: PostgresConnections, logger: Logger): Promise<void> {
  const [settings] = await connections.query<{ fsync: string; commit: string }>(
    "SELECT current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS commit",
    [],
    'patient',
  )
  if (settings?.fsync === 'off')
    logger.warn(
      { fsync: 'off' },
      'Postgres does not write through to the disk, so accepted mail may be lost. Set fsync on',
    )
  if (settings?.commit === 'off')
    logger.warn(
      { synchronous_commit: 'off' },
      'Postgres confirms commits before they are on disk, so accepted mail may be lost. Set synchronous_commit on',
    )
}
