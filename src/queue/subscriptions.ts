/** Told when somebody begins to follow an id that nobody followed, and when nobody follows it any more. */
export interface SubscriptionHooks {
  begun(id: string): void
  ended(id: string): void
}

/** The messages that somebody waits for, each for as long as anybody does. */
export class Subscriptions {
  readonly #hooks: SubscriptionHooks
  readonly #followers = new Map<string, number>()

  constructor(hooks: SubscriptionHooks) {
    this.#hooks = hooks
  }

  /** @returns the end of it, which may be told twice */
  follow(id: string): () => void {
    const followers = this.#followers.get(id) ?? 0
    this.#followers.set(id, followers + 1)
    if (followers === 0) this.#hooks.begun(id)
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
      this.#hooks.ended(id)
    }
  }
}
