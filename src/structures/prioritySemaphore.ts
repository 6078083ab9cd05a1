import { Fifo } from './fifo.js'

/**
 * Limits how many callers hold a permit at a time. A free permit goes to the waiting caller of the highest priority, and
 * within one priority to the one that has waited longest.
 *
 *     acquire(9) ─▶ 9 │ a │ d │            permits
 *     acquire(5) ─▶ 5 │ b │         ──▶  ┌───┬───┬───┐  ──▶ release()
 *     acquire(0) ─▶ 0 │ c │ e │          │ × │ × │ × │
 *                                        └───┴───┴───┘
 *
 * With a single priority it is a plain FIFO semaphore. `acquire()` is O(1); `release()` is O(number of priorities).
 */
export class PrioritySemaphore {
  readonly #permits: () => number
  #held = 0
  /** Waiting callers by priority. */
  readonly #waiting: (Fifo<(acquired: boolean) => void> | undefined)[] = []
  #closed = false

  /** @param permits how many there are; may change from one call to the next */
  constructor(permits: () => number) {
    this.#permits = permits
  }

  /** Permits that are held now. */
  get held(): number {
    return this.#held
  }

  /** Permits that nobody holds. */
  get free(): number {
    return Math.max(0, this.#permits() - this.#held)
  }

  /** Whether a caller waits for a permit. */
  get hasWaiting(): boolean {
    return this.#waiting.some((queue) => queue !== undefined && queue.size > 0)
  }

  /**
   * @param priority an integer from 0; a higher one goes first
   * @returns true once the caller holds a permit, which it must release; false if the semaphore is closed first
   */
  acquire(priority = 0): Promise<boolean> {
    if (this.#closed) return Promise.resolve(false)
    if (this.#held >= this.#permits())
      return new Promise((resolve) => (this.#waiting[priority] ??= new Fifo()).push(resolve))
    this.#held++
    return Promise.resolve(true)
  }

  /** Gives a permit back, and grants as many as are free now. */
  release(): void {
    this.#held--
    this.grant()
  }

  /** Grants as many permits as are free. Call this when their number has risen. */
  grant(): void {
    while (this.#held < this.#permits()) {
      const grant = this.#waiting.findLast((queue) => queue !== undefined && queue.size > 0)?.shift()
      if (grant === undefined) return
      this.#held++
      grant(true)
    }
  }

  /** Grants nothing more: waiting and later callers get false. Held permits can still be released. */
  close(): void {
    this.#closed = true
    for (const queue of this.#waiting.splice(0))
      for (let refuse = queue?.shift(); refuse !== undefined; refuse = queue?.shift()) refuse(false)
  }
}
