/** What a {@link Retained} holds: something that knows its own place there. */
export interface Settled {
  /** Kept by the row; -1 outside it. */
  place: number
}

/**
 * Settled messages, the one settled first in front. An array with a moving head: a Set would pass over the places of
 * all that it ever forgot whenever it is asked for its first.
 */
export class Retained<T extends Settled> {
  #entries: (T | undefined)[] = []
  /** Index of the first that may be there. */
  #head = 0
  /** How many were cut off in front. */
  #cut = 0
  #size = 0

  get size(): number {
    return this.#size
  }

  add(entry: T): void {
    entry.place = this.#cut + this.#entries.push(entry) - 1
    this.#size++
  }

  remove(entry: T): void {
    if (entry.place < 0) return
    this.#entries[entry.place - this.#cut] = undefined
    entry.place = -1
    this.#size--
  }

  get oldest(): T | undefined {
    while (this.#head < this.#entries.length && this.#entries[this.#head] === undefined) this.#head++
    if (this.#head > 1024 && this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head)
      this.#cut += this.#head
      this.#head = 0
    }
    return this.#entries[this.#head]
  }
}
