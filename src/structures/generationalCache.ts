/**
 * The entries that were added last: at least `count` of them, and at most twice as many.
 *
 *      old      young                        old      young
 *     │ a b c │ d e f │   ──▶ add(g) ──▶    │ d e f │ g     │       count = 3
 *
 * Two maps, of which the older is dropped as a whole: taking the oldest entry out of one map again and again would pass over
 * the places of all that left before. Each operation is O(1).
 */
export class GenerationalCache<K, V> {
  readonly #count: number
  #young = new Map<K, V>()
  #old = new Map<K, V>()

  /** @param count entries that are kept at least */
  constructor(count: number) {
    this.#count = count
  }

  add(key: K, value: V): void {
    if (this.#young.size >= this.#count) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(key, value)
  }

  has(key: K): boolean {
    return this.#young.has(key) || this.#old.has(key)
  }

  /** Removes an entry and returns it; undefined if it isn't there, or is no longer kept. */
  take(key: K): V | undefined {
    const generation = this.#young.has(key) ? this.#young : this.#old
    const value = generation.get(key)
    generation.delete(key)
    return value
  }
}
