import { Lately } from '../structures/lately.js'

/** Deliveries at hand for each that may be under way, at most. */
const MOST_AHEAD = 3

/**
 * How many deliveries the threads may have at hand: those that can be under way, and as many more as ended within
 * the last moment, so that a thread never waits for its next message. Behind a slow server there are none of those,
 * and a message of high priority waits for nobody.
 */
export class Credit {
  readonly #underWay: number
  readonly #lately = new Lately()

  constructor(underWay: number) {
    this.#underWay = underWay
  }

  static most(underWay: number): number {
    return underWay * (1 + MOST_AHEAD)
  }

  get slots(): number {
    return this.#underWay + Math.min(this.#lately.ended, this.#underWay * MOST_AHEAD)
  }

  /** A delivery ended. */
  count(now: number): void {
    this.#lately.count(now)
  }
}
