/** Empty places at the front that are worth a copy of the rest. */
const COMPACT_FROM = 1024

/**
 * A first-in, first-out queue. `Array.shift()` moves every remaining entry; this array has a moving head instead, and is
 * cut off once more than half of it is empty.
 *
 *      position   1   2   3   4   5   6
 *               ┌───┬───┬───┬───┬───┬───┐
 *               │   │   │ c │   │ e │ f │ ◀── push(f) = 6
 *               └───┴───┴───┴───┴───┴───┘
 *                         ▲       └ remove(4) left a hole, which the head passes over
 *                        head
 *
 * An entry is never `undefined`. Positions count from 1 and are never used twice, so 0 can stand for "not in the queue".
 * Each operation is amortized O(1).
 */
export class Fifo<T> {
  #entries: (T | undefined)[] = []
  /** Index of the first entry that may be present. */
  #head = 0
  /** Places that were cut off in front. */
  #cut = 0
  #size = 0

  get size(): number {
    return this.#size
  }

  /** Position of the entry that `peek()` returns; after all positions if the queue is empty. */
  get headPosition(): number {
    this.#skipHoles()
    return this.#cut + this.#head + 1
  }

  /** @returns the entry's position */
  push(entry: T): number {
    this.#size++
    return this.#cut + this.#entries.push(entry)
  }

  peek(): T | undefined {
    this.#skipHoles()
    return this.#entries[this.#head]
  }

  shift(): T | undefined {
    const entry = this.peek()
    if (entry === undefined) return undefined
    this.#entries[this.#head++] = undefined
    this.#size--
    return entry
  }

  /** Takes the entry at a position out of the queue, unless it has left already. */
  remove(position: number): void {
    const index = position - 1 - this.#cut
    if (this.#entries[index] === undefined) return
    this.#entries[index] = undefined
    this.#size--
  }

  #skipHoles(): void {
    while (this.#head < this.#entries.length && this.#entries[this.#head] === undefined) this.#head++
    if (this.#head <= COMPACT_FROM || this.#head * 2 <= this.#entries.length) return
    this.#entries = this.#entries.slice(this.#head)
    this.#cut += this.#head
    this.#head = 0
  }
}
