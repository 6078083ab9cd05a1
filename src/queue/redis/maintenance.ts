import type { Logger } from '../../logging/logger.js'
import type { Retention } from '../driver.js'
import type { Found, RedisStore } from './store.js'

/** Milliseconds between two sweeps. */
const PAUSE = 500
/** Milliseconds for which a delivering process counts as alive after its last sweep. */
const ALIVE = 10_000
/** Milliseconds after which a message without a job is one that was forgotten. */
const ADDING = 10_000

export interface MaintenanceOptions {
  store: RedisStore
  retain: Retention
  logger: Logger
  /** Ends a message whose time has passed. */
  expire: (found: Found) => Promise<void>
  /** Gives jobs to messages whose process ended, or lost Redis, before it did. */
  adopt: (found: readonly Found[]) => void
}

/** What every delivering process does all the time: shows that it is alive, and looks for what nobody else looks after. */
export class Maintenance {
  readonly #options: MaintenanceOptions
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(options: MaintenanceOptions) {
    this.#options = options
  }

  async sweep(): Promise<void> {
    const { store, retain, logger, expire, adopt } = this.#options
    const { count, age } = retain
    try {
      const { expired, orphans } = await store.sweep({ alive: ALIVE, count, age, adding: ADDING })
      for (const found of expired) await expire(found)
      if (orphans.length > 0) adopt(orphans)
    } catch (error) {
      logger.debug({ problem: (error as Error).message }, 'The queue was not swept')
    }
    if (!this.#closed) this.#timer = setTimeout(() => void this.sweep(), PAUSE)
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }
}
