/** Milliseconds: some commits. */
const MOMENT = 25
const LARGEST_STOCK = 256

/** How many deliveries end in a moment: as many must be in stock, so that slots don't wait for the disk. */
export class Pace {
  #since = 0
  #ended = 0
  #stock = 0

  count(): void {
    this.#ended++
  }

  /** At least as many as there are slots. */
  stock(slots: number): number {
    const now = performance.now()
    if (now - this.#since > MOMENT) {
      this.#stock = Math.min(LARGEST_STOCK, this.#ended)
      this.#ended = 0
      this.#since = now
    }
    return Math.max(slots, this.#stock)
  }
}
