/** Milliseconds. Longer than a turn of a busy event loop, shorter than anybody would notice. */
const MOMENT = 10

/** How many deliveries ended within the last while: so many more may well be wanted within the next. */
export class WindowCounter {
  readonly #while: number
  #since = 0
  #counted = 0
  #ended = 0

  /** @param ms how long the while is */
  constructor(ms = MOMENT) {
    this.#while = ms
  }

  /** None after a pause. */
  get ended(): number {
    return this.#ended
  }

  /** A delivery ended. @param now on `performance.now()`'s clock */
  count(now: number): void {
    this.#counted++
    if (now - this.#since < this.#while) return
    this.#ended = now - this.#since < 2 * this.#while ? this.#counted : 0
    this.#since = now
    this.#counted = 0
  }
}
