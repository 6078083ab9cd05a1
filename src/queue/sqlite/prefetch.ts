/** Milliseconds: some commits. */
const MOMENT = 25
const LARGEST_STOCK = 256

/** How many deliveries end in a moment: as many must be in stock, so that slots don't wait for the disk. */
export class PrefetchEstimator {
  #since = 0
  #ended = 0
  #stock = 0

  recordCompletion(): void {
    this.#ended++
  }

  /** At least as many as there are slots. */
  target(slots: number): number {
    const now = performance.now()
    if (now - this.#since > MOMENT) {
      this.#stock = Math.min(LARGEST_STOCK, this.#ended)
      this.#ended = 0
      this.#since = now
    }
    return Math.max(slots, this.#stock)
  }
}

/** Places in the file of notes: each is one delivery's from its beginning until what it came to is stored. */
export class SlotAllocator {
  readonly #free: number[] = []
  #made = 0

  acquire(): number {
    return this.#free.pop() ?? this.#made++
  }

  release(place: number): void {
    this.#free.push(place)
  }
}
