import type { Redis } from 'ioredis'
import { Subscriptions } from '../subscriptions.js'

/** Reports the settlement of single messages by any process. */
export class RedisSubscriptions {
  readonly #channel: string
  readonly #owner: string
  readonly #settled: (id: string) => Promise<void>
  readonly #openConnection: () => Redis
  readonly #followed = new Subscriptions({
    // Another process may have settled the message before the subscription began.
    onFirst: (id) => void this.#subscribe().then(() => this.#settled(id)),
    onLast: () => {
      if (this.#followed.size === 0) this.#unsubscribe()
    },
  })
  #subscriber: Redis | undefined
  #subscribed: Promise<unknown> | undefined

  /** @param settled called when another process settled a followed message, or may have settled it earlier */
  constructor(
    open: () => Redis,
    { prefix, owner, settled }: { prefix: string; owner: string; settled: (id: string) => Promise<void> },
  ) {
    this.#openConnection = open
    this.#channel = `${prefix}done`
    this.#owner = owner
    this.#settled = settled
  }

  follow(id: string): () => void {
    return this.#followed.subscribe(id)
  }

  has(id: string): boolean {
    return this.#followed.has(id)
  }

  /** Without followed messages there is nothing to receive. */
  #unsubscribe(): void {
    this.#subscribed = undefined
    this.#subscriber?.unsubscribe(this.#channel).catch(() => undefined)
  }

  #subscribe(): Promise<unknown> {
    this.#subscribed ??= this.#connection()
      .subscribe(this.#channel)
      .catch(() => undefined)
    return this.#subscribed
  }

  #connection(): Redis {
    if (this.#subscriber !== undefined) return this.#subscriber
    this.#subscriber = this.#openConnection()
    this.#subscriber.on('message', (_channel: string, text: string) => {
      const [owner, ...ids] = text.split(' ')
      if (owner === this.#owner) return
      for (const id of ids) if (this.#followed.has(id)) void this.#settled(id)
    })
    // Settlements that were published while the connection was down did not arrive.
    this.#subscriber.on('ready', () => {
      for (const id of this.#followed.ids()) void this.#settled(id)
    })
    return this.#subscriber
  }
}
