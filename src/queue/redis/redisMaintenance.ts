import type { Logger } from '../../logging/logger.js'
import type { Retention } from '../driver.js'
import type { FoundMessage } from './redisRows.js'
import type { RedisStore } from './redisStore.js'

/** Milliseconds between two runs. */
const INTERVAL = 500
/** Milliseconds for which a delivering process counts as alive after its last run. */
const ALIVE = 10_000
/** Milliseconds after which a message without a job is an orphan. */
const ORPHANED_AFTER = 10_000

export interface MaintenanceOptions {
  store: RedisStore
  retain: Retention
  logger: Logger
  /** Settles a message as expired. */
  expire: (found: FoundMessage) => Promise<void>
  /** Adds jobs for messages whose process ended, or lost Redis, before it did. */
  adopt: (found: readonly FoundMessage[]) => void
}

/**
 * The periodic work of each delivering process: it shows that it is alive, removes old messages, expires messages and finds
 * those without a job.
 */
export class Maintenance {
  readonly #options: MaintenanceOptions
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(options: MaintenanceOptions) {
    this.#options = options
  }

  /** Resolves after the first run; the next ones follow by themselves. */
  async start(): Promise<void> {
    const { store, retain, logger, expire, adopt } = this.#options
    const { count, age } = retain
    try {
      const { expired, orphans } = await store.maintain({
        alive: ALIVE,
        count,
        age,
        orphanedAfter: ORPHANED_AFTER,
      })
      for (const found of expired) await expire(found)
      if (orphans.length > 0) adopt(orphans)
    } catch (error) {
      logger.debug({ problem: (error as Error).message }, 'Maintenance of the queue failed')
    }
    if (!this.#closed) this.#timer = setTimeout(() => void this.start(), INTERVAL)
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }
}
