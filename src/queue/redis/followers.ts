import type { Redis } from 'ioredis'

/** Hears of the settlement of single messages, whichever process brings it about. */
export class Followers {
  readonly #prefix: string
  readonly #owner: string
  readonly #settled: (id: string) => void
  readonly #open: () => Redis
  readonly #followed = new Map<string, number>()
  #subscriber: Redis | undefined

  /** @param settled told when another process settled a followed message, or may have before it was followed */
  constructor(
    open: () => Redis,
    { prefix, owner, settled }: { prefix: string; owner: string; settled: (id: string) => void },
  ) {
    this.#open = open
    this.#prefix = `${prefix}done:`
    this.#owner = owner
    this.#settled = settled
  }

  follow(id: string): () => void {
    const followers = this.#followed.get(id) ?? 0
    this.#followed.set(id, followers + 1)
    if (followers === 0) {
      // It may have been settled before the subscription stood.
      this.#connection()
        .subscribe(this.#prefix + id)
        .then(() => this.#settled(id))
        .catch(() => undefined)
    }
    let following = true
    return () => {
      if (!following) return
      following = false
      const left = (this.#followed.get(id) ?? 1) - 1
      if (left > 0) {
        this.#followed.set(id, left)
        return
      }
      this.#followed.delete(id)
      this.#subscriber?.unsubscribe(this.#prefix + id).catch(() => undefined)
    }
  }

  has(id: string): boolean {
    return this.#followed.has(id)
  }

  #connection(): Redis {
    if (this.#subscriber !== undefined) return this.#subscriber
    this.#subscriber = this.#open()
    this.#subscriber.on('message', (channel: string, owner: string) => {
      if (owner !== this.#owner) this.#settled(channel.slice(this.#prefix.length))
    })
    // What happened while Redis was away was published to nobody.
    this.#subscriber.on('ready', () => {
      for (const id of this.#followed.keys()) this.#settled(id)
    })
    return this.#subscriber
  }
}
