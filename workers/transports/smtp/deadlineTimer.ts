/** The longest delay that setTimeout accepts, in ms; it treats a longer one as 1 ms. */
export const LONGEST_TIMER = 2 ** 31 - 1

/**
 * A deadline that moves often and rarely expires. Moving it later costs nothing: the running timer stays, and starts
 * again with the remaining time when it fires early.
 */
export class DeadlineTimer {
  readonly #onExpired: () => void
  #at = Infinity
  #timer: NodeJS.Timeout | undefined
  #timerAt = Infinity

  constructor(onExpired: () => void) {
    this.#onExpired = onExpired
  }

  /** @param at the time of expiry, on `performance.now()`'s clock; `Infinity` for never */
  set(at: number): void {
    this.#at = at
    if (at >= this.#timerAt) return
    clearTimeout(this.#timer)
    this.#start()
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#at = this.#timerAt = Infinity
  }

  #start(): void {
    this.#timerAt = this.#at
    if (this.#at === Infinity) return
    const wait = Math.max(0, Math.ceil(this.#at - performance.now()))
    this.#timer = setTimeout(() => this.#onTimer(), Math.min(wait, LONGEST_TIMER))
  }

  #onTimer(): void {
    this.#timerAt = Infinity
    if (this.#at > performance.now()) {
      this.#start()
      return
    }
    this.#at = Infinity
    this.#onExpired()
  }
}
