/**
 * Pending entries, each under a number by which its reply finds it. A number is used again once it is free, so a few dozen
 * slots serve forever.
 *
 *     slot    0   1   2   3
 *           ┌───┬───┬───┬───┐
 *           │ a │   │ c │   │    free: 1, 3 ◀── the next add() uses 3
 *           └───┴───┴───┴───┘
 *
 * See {@link IndexedBag} for what a Map would cost the garbage collector. `add()` and `take()` are O(1).
 */
export class SlotMap<T extends object> {
  #slots: (T | undefined)[] = []
  #free: number[] = []

  get size(): number {
    return this.#slots.length - this.#free.length
  }

  /** @returns the entry's number */
  add(entry: T): number {
    const slot = this.#free.pop() ?? this.#slots.length
    this.#slots[slot] = entry
    return slot
  }

  /** Removes the entry and frees its number. */
  take(slot: number): T | undefined {
    const entry = this.#slots[slot]
    if (entry === undefined) return undefined
    this.#slots[slot] = undefined
    this.#free.push(slot)
    return entry
  }

  /** Removes all entries and returns them. */
  takeAll(): T[] {
    const entries = this.#slots.filter((entry) => entry !== undefined)
    this.#slots = []
    this.#free = []
    return entries
  }
}
