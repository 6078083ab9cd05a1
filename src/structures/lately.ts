/** Milliseconds. Longer than a turn of a busy event loop, shorter than anybody would notice. */
const MOMENT = 10

/** How many deliveries ended within the last moment: so many more may well be wanted within the next. */
export class Lately {
  #since = 0
  #counted = 0
  #ended = 0

  /** None behind a slow server, or after a pause. */
  get ended(): number {
    return this.#ended
  }

  /** A delivery ended. @param now on `performance.now()`'s clock */
  count(now: number): void {
    this.#counted++
    if (now - this.#since < MOMENT) return
    this.#ended = now - this.#since < 2 * MOMENT ? this.#counted : 0
    this.#since = now
    this.#counted = 0
  }
}
