import type { Clock } from '../clock.js'

/** Milliseconds after which a delivery is taken to wait for a slow server. */
const STALLED_AFTER = 1_000
/** Messages that may begin in a second, once no delivery waits any longer. */
const RESTART = 4
/** Milliseconds after the last slow delivery in which no more may begin. */
const RECENT = 10_000
/** Longest time that a message is held before it is looked at again, in ms. */
const MAX_DELAY = 15 * 60_000

/**
 * The slow deliveries of one transport. While there is one, the transport's next messages are held, so that a slow server
 * keeps few of the slots that all transports share.
 */
export class Stalls {
  readonly #clock: Clock
  #stalled = 0
  /** When the last slow delivery ended. */
  #endedAt = -Infinity
  /** When the message that was held last is due. */
  #lastDue = 0
  /** Milliseconds of a slow delivery, as a moving average. */
  #duration = STALLED_AFTER

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Whether a delivery waits for the server. */
  get active(): boolean {
    return this.#stalled > 0
  }

  /** Held messages that may begin now. */
  get room(): number {
    if (this.active) return 0
    return this.#clock.now() - this.#endedAt < RECENT ? RESTART : Infinity
  }

  /** Returns when a message that has to wait is due again, in ms since the epoch. */
  nextDue(): number {
    const now = this.#clock.now()
    const due = Math.max(this.#lastDue, now) + this.#duration
    if (due > now + MAX_DELAY) return now + MAX_DELAY * (0.5 + Math.random() / 2)
    this.#lastDue = due
    return due
  }

  /**
   * Watches a delivery that begins now.
   * @param onStalled called once if it takes long
   * @returns must be called when it has ended; returns whether it was the last slow one
   */
  watch(onStalled: () => void): () => boolean {
    const start = performance.now()
    let stalled = false
    const timer = setTimeout(() => {
      stalled = true
      this.#stalled++
      onStalled()
    }, STALLED_AFTER).unref()
    return () => {
      clearTimeout(timer)
      if (!stalled) return false
      this.#stalled--
      this.#endedAt = this.#clock.now()
      this.#duration = 0.8 * this.#duration + 0.2 * (performance.now() - start)
      return !this.active
    }
  }
}
