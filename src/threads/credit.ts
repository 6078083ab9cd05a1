import { Lately } from '../structures/lately.js'

/** Deliveries at hand for each that may be under way, at most. */
const MOST_AHEAD = 3
/** Milliseconds that a message of high priority may be made to wait by one that is at hand before it, on each connection. */
const BEHIND = 500

/**
 * How many deliveries the threads may have at hand: those that can be under way, and more, so that neither a thread nor a
 * connection waits for its next message. As many more as ended within the last moment; and one for each connection, as
 * long as so many end within half a second: over a long line an envelope rides behind the message before it, which takes
 * one round trip in place of two. Behind a slow server there are none of those, and a message of high priority waits for
 * nobody.
 */
export class Credit {
  readonly #underWay: number
  readonly #lately = new Lately()
  readonly #awhile = new Lately(BEHIND)

  constructor(underWay: number) {
    this.#underWay = underWay
  }

  static most(underWay: number): number {
    return underWay * (1 + MOST_AHEAD)
  }

  get slots(): number {
    const many = Math.min(this.#lately.ended, this.#underWay * MOST_AHEAD)
    const one = Math.min(this.#awhile.ended, this.#underWay)
    return this.#underWay + Math.max(many, one)
  }

  /** A delivery ended. @param now on `performance.now()`'s clock */
  count(now: number): void {
    this.#lately.count(now)
    this.#awhile.count(now)
  }
}
