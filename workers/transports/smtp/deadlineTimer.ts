/** What setTimeout can wait, in ms; it takes a longer time for none. */
export const LONGEST_TIMER = 2 ** 31 - 1

/**
 * A deadline that is moved often and seldom met: moving it costs nothing, for its timer is looked at only when it
 * runs out.
 */
export class DeadlineTimer {
  readonly #ring: () => void
  #at = Infinity
  #timer: NodeJS.Timeout | undefined
  #timerAt = Infinity

  constructor(ring: () => void) {
    this.#ring = ring
  }

  /** @param at when to ring, on `performance.now()`'s clock; `Infinity` for never */
  set(at: number): void {
    this.#at = at
    if (at >= this.#timerAt) return
    clearTimeout(this.#timer)
    this.#arm()
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#at = this.#timerAt = Infinity
  }

  #arm(): void {
    this.#timerAt = this.#at
    if (this.#at === Infinity) return
    const wait = Math.max(0, Math.ceil(this.#at - performance.now()))
    this.#timer = setTimeout(() => this.#look(), Math.min(wait, LONGEST_TIMER))
  }

  #look(): void {
    this.#timerAt = Infinity
    if (this.#at > performance.now()) {
      this.#arm()
      return
    }
    this.#at = Infinity
    this.#ring()
  }
}
