/** Milliseconds. Longer than a turn of a busy event loop, shorter than anybody would notice. */
const MOMENT = 10
/** Deliveries at hand for each that may be under way, at most. */
const MOST_AHEAD = 3

/**
 * How many deliveries the threads may have at hand: those that can be under way, and as many more as ended within
 * the last moment, so that a thread never waits for its next message. Behind a slow server there are none of those,
 * and a message of high priority waits for nobody.
 */
export class Credit {
  readonly #underWay: number
  #since = 0
  #ended = 0
  #ahead = 0

  constructor(underWay: number) {
    this.#underWay = underWay
  }

  static most(underWay: number): number {
    return underWay * (1 + MOST_AHEAD)
  }

  get slots(): number {
    return this.#underWay + this.#ahead
  }

  /** A delivery ended. */
  count(now: number): void {
    this.#ended++
    if (now - this.#since < MOMENT) return
    this.#ahead = now - this.#since < 2 * MOMENT ? Math.min(this.#ended, this.#underWay * MOST_AHEAD) : 0
    this.#since = now
    this.#ended = 0
  }
}
