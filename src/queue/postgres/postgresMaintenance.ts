import type { Logger } from '../../logging/logger.js'
import type { Retention } from '../driver.js'
import type { PostgresConsumer } from './postgresConsumer.js'
import type { PostgresStore } from './postgresStore.js'
import { ALIVE } from './statements.js'

/** Milliseconds between two runs. */
const INTERVAL = 500
/** Runs between two heartbeats, between two searches for dead processes, and between two deletions of old entries. */
const HEARTBEAT_EVERY = 3
const RECOVER_EVERY = 4
const PRUNE_EVERY = 10
/** Milliseconds after the start in which no process counts as dead: after a failover, each has shown that it is alive by then. */
const START_GRACE = 3_000

export interface PostgresMaintenanceOptions {
  store: PostgresStore
  consumer: PostgresConsumer
  retain: Retention
  logger: Logger
  /** Shows that this process is alive. */
  heartbeat: () => Promise<void>
}

/**
 * The periodic work of each delivering process: it shows that it is alive, expires messages, deletes old ones, adds up the
 * counts, and recovers the messages of processes that died.
 */
export class PostgresMaintenance {
  readonly #options: PostgresMaintenanceOptions
  #timer: NodeJS.Timeout | undefined
  #runs = 0
  /** On `performance.now()`'s clock: until then no process counts as dead, since its heartbeats failed as this one's did. */
  #graceUntil = performance.now() + START_GRACE
  #closed = false

  constructor(options: PostgresMaintenanceOptions) {
    this.#options = options
  }

  /** Resolves after the first run; the next ones follow by themselves. */
  async start(): Promise<void> {
    try {
      await this.#run()
    } catch (error) {
      this.#graceUntil = performance.now() + ALIVE
      this.#options.logger.debug({ problem: (error as Error).message }, 'Maintenance of the queue failed')
    }
    this.#runs++
    if (!this.#closed) this.#timer = setTimeout(() => void this.start(), INTERVAL)
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }

  async #run(): Promise<void> {
    const { store, consumer, retain, heartbeat } = this.#options
    if (this.#runs % HEARTBEAT_EVERY === 0) await heartbeat()
    const expired = await store.expired()
    if (expired.length > 0) await consumer.expire(expired)
    await store.fold()
    if (this.#runs % RECOVER_EVERY === 0 && performance.now() >= this.#graceUntil) {
      const lost = await store.lost()
      if (lost.length > 0) await consumer.recover(lost)
      await store.unclaim(consumer.known)
    }
    if (this.#runs % PRUNE_EVERY === 0) {
      let more = true
      while (more && !this.#closed) more = await store.prune(retain.age)
    }
  }
}
