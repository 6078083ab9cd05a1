/**
 * The entries that were added last: at least `count` of them and at most twice as many. Two maps of which the older is
 * dropped as a whole, since taking the oldest out of one map again and again means passing over all that was there.
 */
export class GenerationalCache<K, V> {
  readonly #count: number
  #young = new Map<K, V>()
  #old = new Map<K, V>()

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

  /** Takes an entry out. */
  take(key: K): V | undefined {
    const from = this.#young.has(key) ? this.#young : this.#old
    const value = from.get(key)
    from.delete(key)
    return value
  }
}
