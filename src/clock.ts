/** What time it is for the messages of a mailer. Tests move it ahead, and nothing else does. */
export class Clock {
  #ahead = 0

  /** Milliseconds since the epoch. */
  now(): number {
    return Date.now() + this.#ahead
  }

  /** As `performance.now()`: it isn't set back with the wall clock. */
  steady(): number {
    return performance.now() + this.#ahead
  }

  advance(ms: number): void {
    this.#ahead += ms
  }
}
