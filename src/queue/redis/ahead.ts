/** Milliseconds: what Redis takes to begin a message, on a busy machine. */
const MOMENT = 10
const MOST = 50

/**
 * How many messages are begun before a slot is free: as many as ended within the last moment, so that slots don't wait
 * for Redis. Behind a slow server that is none.
 */
export class Ahead {
  #since = 0
  #ended = 0
  #messages = 0

  get messages(): number {
    return this.#messages
  }

  /** A delivery ended. @param now on `performance.now()`'s clock */
  count(now: number): void {
    this.#ended++
    if (now - this.#since < MOMENT) return
    this.#messages = now - this.#since < 2 * MOMENT ? Math.min(this.#ended, MOST) : 0
    this.#since = now
    this.#ended = 0
  }
}
