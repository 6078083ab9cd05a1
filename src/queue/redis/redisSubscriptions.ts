import type { Redis } from 'ioredis'
import { Subscriptions } from '../subscriptions.js'

/** Hears of the settlement of single messages, whichever process brings it about. */
export class RedisSubscriptions {
  readonly #channel: string
  readonly #owner: string
  readonly #settled: (id: string) => void
  readonly #open: () => Redis
  readonly #followed = new Subscriptions({
    // It may have been settled before the subscription stood.
    onFirst: (id) => void this.#listening().then(() => this.#settled(id)),
    onLast: () => {
      if (this.#followed.size === 0) this.#rest()
    },
  })
  #subscriber: Redis | undefined
  #subscribed: Promise<unknown> | undefined

  /** @param settled told when another process settled a followed message, or may have before it was followed */
  constructor(
    open: () => Redis,
    { prefix, owner, settled }: { prefix: string; owner: string; settled: (id: string) => void },
  ) {
    this.#open = open
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

  /** Who waits for nobody hears nothing. */
  #rest(): void {
    this.#subscribed = undefined
    this.#subscriber?.unsubscribe(this.#channel).catch(() => undefined)
  }

  #listening(): Promise<unknown> {
    this.#subscribed ??= this.#connection()
      .subscribe(this.#channel)
      .catch(() => undefined)
    return this.#subscribed
  }

  #connection(): Redis {
    if (this.#subscriber !== undefined) return this.#subscriber
    this.#subscriber = this.#open()
    this.#subscriber.on('message', (_channel: string, text: string) => {
      const [owner, ...ids] = text.split(' ')
      if (owner === this.#owner) return
      for (const id of ids) if (this.#followed.has(id)) this.#settled(id)
    })
    // What happened while Redis was away was published to nobody.
    this.#subscriber.on('ready', () => {
      for (const id of this.#followed.ids()) this.#settled(id)
    })
    return this.#subscriber
  }
}
