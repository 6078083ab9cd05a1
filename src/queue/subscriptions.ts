/** Told when somebody begins to follow an id that nobody followed, and when nobody follows it any more. */
export interface SubscriptionHooks {
  onFirst(id: string): void
  onLast(id: string): void
}

/** The messages that somebody waits for, each for as long as anybody does. */
export class Subscriptions {
  readonly #hooks: SubscriptionHooks
  readonly #followers = new Map<string, number>()

  constructor(hooks: SubscriptionHooks) {
    this.#hooks = hooks
  }

  /** @returns the end of it, which may be told twice */
  subscribe(id: string): () => void {
    const followers = this.#followers.get(id) ?? 0
    this.#followers.set(id, followers + 1)
    if (followers === 0) this.#hooks.onFirst(id)
    let following = true
    return () => {
      if (following) this.#end(id)
      following = false
    }
  }

  has(id: string): boolean {
    return this.#followers.has(id)
  }

  get size(): number {
    return this.#followers.size
  }

  ids(): Iterable<string> {
    return this.#followers.keys()
  }

  #end(id: string): void {
    const left = (this.#followers.get(id) ?? 1) - 1
    if (left > 0) this.#followers.set(id, left)
    else {
      this.#followers.delete(id)
      this.#hooks.onLast(id)
    }
  }
}
