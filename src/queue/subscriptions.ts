/** Called when an id gets its first subscriber, and when it loses its last. */
export interface SubscriptionHooks {
  onFirst(id: string): void
  onLast(id: string): void
}

/** Counts the subscribers of each message. */
export class Subscriptions {
  readonly #hooks: SubscriptionHooks
  readonly #counts = new Map<string, number>()

  constructor(hooks: SubscriptionHooks) {
    this.#hooks = hooks
  }

  /** @returns a function that ends the subscription; calling it again has no effect */
  subscribe(id: string): () => void {
    const count = this.#counts.get(id) ?? 0
    this.#counts.set(id, count + 1)
    if (count === 0) this.#hooks.onFirst(id)
    let active = true
    return () => {
      if (active) this.#end(id)
      active = false
    }
  }

  has(id: string): boolean {
    return this.#counts.has(id)
  }

  get size(): number {
    return this.#counts.size
  }

  ids(): Iterable<string> {
    return this.#counts.keys()
  }

  #end(id: string): void {
    const left = (this.#counts.get(id) ?? 1) - 1
    if (left > 0) this.#counts.set(id, left)
    else {
      this.#counts.delete(id)
      this.#hooks.onLast(id)
    }
  }
}
