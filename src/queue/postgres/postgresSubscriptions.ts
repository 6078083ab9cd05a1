import { Subscriptions } from '../subscriptions.js'

/** Milliseconds between two looks at the followed messages, for settlements that no notification announced. */
const POLL_INTERVAL = 2_000
/** The same without notifications. */
const BUSY_POLL_INTERVAL = 200

export interface PostgresSubscriptionsOptions {
  owner: string
  listen: boolean
  /** Makes other processes announce settlements; resolves when they do. */
  follow: () => Promise<void>
  /** Returns those of the ids whose message is settled. */
  settledOf: (ids: readonly string[]) => Promise<string[]>
  /** Called when another process settled a followed message, or may have settled it earlier. */
  settled: (id: string) => Promise<void>
}

/** Reports the settlement of single messages by any process. */
export class PostgresSubscriptions {
  readonly #options: PostgresSubscriptionsOptions
  readonly #followed = new Subscriptions({
    onFirst: () => this.#begin(),
    onLast: () => {
      if (this.#followed.size === 0) this.close()
    },
  })
  #timer: NodeJS.Timeout | undefined

  constructor(options: PostgresSubscriptionsOptions) {
    this.#options = options
  }

  follow(id: string): () => void {
    return this.#followed.subscribe(id)
  }

  has(id: string): boolean {
    return this.#followed.has(id)
  }

  /** Whether messages are followed. */
  get active(): boolean {
    return this.#followed.size > 0
  }

  /** A notification: a process, and the ids of messages that it settled. */
  notified(payload: string): void {
    const [owner, ...ids] = payload.split(' ')
    if (owner === this.#options.owner) return
    for (const id of ids) if (this.#followed.has(id)) void this.#options.settled(id)
  }

  /** Looks at the followed messages: some may have been settled without a notification. */
  async check(): Promise<void> {
    const ids = [...this.#followed.ids()]
    if (ids.length === 0) return
    try {
      for (const id of await this.#options.settledOf(ids))
        if (this.#followed.has(id)) void this.#options.settled(id)
    } catch {
      // Postgres is unavailable; the next look comes soon.
    }
  }

  close(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #begin(): void {
    if (this.#timer !== undefined) return
    const interval = this.#options.listen ? POLL_INTERVAL : BUSY_POLL_INTERVAL
    this.#timer = setInterval(() => void this.check(), interval)
    // Another process may have settled a message before this one was known to follow it.
    void this.#options.follow().then(
      () => this.check(),
      () => undefined,
    )
  }
}
