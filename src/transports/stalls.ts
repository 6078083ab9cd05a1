import type { Clock } from '../clock.js'

/** Milliseconds after which a delivery leaves its slot to another one. */
const LEND_AFTER = 1_000
/** Milliseconds from then on after which the server counts as slow. */
const SLOW_AFTER = 1_000
/** Milliseconds after the last slow delivery in which few may begin: one, and twice as many each second. */
const RECENT = 10_000
/** Longest time that a message is held before it is looked at again, in ms. */
const MAX_DELAY = 15 * 60_000

/**
 * The slow deliveries of one transport. While there is one, the transport's next messages are held, so that a slow server
 * keeps few of the slots that all transports share. After it, they start slowly.
 */
export class Stalls {
  readonly #clock: Clock
  #inProgress = 0
  #slow = 0
  /** When the last slow delivery ended. */
  #endedAt = -Infinity
  /** When the message that was held last is due. */
  #lastDue = 0
  /** Milliseconds of a slow delivery, as a moving average. */
  #duration = LEND_AFTER + SLOW_AFTER

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Whether the next messages have to wait. */
  get active(): boolean {
    return this.room <= 0
  }

  /** Messages that may begin now. */
  get room(): number {
    if (this.#slow > 0) return 0
    return this.#recent ? 2 ** Math.floor(this.#sinceSlow / 1_000) - this.#inProgress : Infinity
  }

  get #sinceSlow(): number {
    return this.#clock.now() - this.#endedAt
  }

  get #recent(): boolean {
    return this.#sinceSlow < RECENT
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
   * @param lend called once if it takes long, or probably will
   * @returns must be called when it has ended; returns whether messages that were held may begin
   */
  watch(lend: () => void): () => boolean {
    const start = performance.now()
    let slow = false
    const onSlow = (): void => {
      slow = true
      this.#slow++
    }
    const onLong = (): void => {
      timer = setTimeout(onSlow, SLOW_AFTER).unref()
      lend()
    }
    let timer = setTimeout(onLong, this.#slow > 0 || this.#recent ? 0 : LEND_AFTER).unref()
    this.#inProgress++
    return () => {
      clearTimeout(timer)
      this.#inProgress--
      if (slow) {
        this.#slow--
        this.#endedAt = this.#clock.now()
        this.#duration = 0.8 * this.#duration + 0.2 * (performance.now() - start)
      }
      return this.#recent && !this.active
    }
  }
}
