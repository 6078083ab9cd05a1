/** The shortest time from which a rate is computed, in ms. */
const MIN_SPAN = 100

/**
 * Measures how many messages are counted per second. Seconds begin with the first message after a pause. The first
 * second has no history, so its rate so far is extrapolated.
 */
export class Throughput {
  readonly #least: number
  #start = -Infinity
  #current = 0
  #previous = 0

  /** @param least messages per second that are assumed: a lower count doesn't show what the receiver accepts */
  constructor(least: number) {
    this.#least = least
  }

  /** Counts a message. @param time when it started, in ms */
  count(time: number): void {
    const passed = Math.floor((time - this.#start) / 1_000)
    if (passed !== 0) {
      this.#previous = passed === 1 ? this.#current : 0
      this.#start = passed === 1 ? this.#start + 1_000 : time
      this.#current = 0
    }
    this.#current++
  }

  /** @param time the current time, in ms */
  perSecond(time: number): number {
    if (this.#previous > 0) return Math.max(this.#least, this.#previous, this.#current)
    const elapsed = Math.min(1_000, Math.max(MIN_SPAN, time - this.#start))
    return Math.max(this.#least, (this.#current * 1_000) / elapsed)
  }
}
