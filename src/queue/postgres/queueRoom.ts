/** Milliseconds after which the messages are counted again. */
const MAX_AGE = 500

/**
 * Room for more messages. The open messages are counted once in a while, and those that this process has inserted since are
 * added, so that most calls cost no count.
 */
export class QueueRoom {
  readonly #limit: number
  readonly #count: () => Promise<number>
  #room = 0
  #countedAt = -Infinity

  /**
   * @param limit open messages at most
   * @param count returns the number of open messages
   */
  constructor(limit: number, count: () => Promise<number>) {
    this.#limit = limit
    this.#count = count
  }

  /**
   * Returns whether there was room for the messages at the last count, and counts them as inserted. If not, Postgres has to count.
   * This doesn't wait for Postgres: a caller's transaction may hold the only connection.
   */
  take(messages: number): boolean {
    if (performance.now() - this.#countedAt > MAX_AGE) void this.#recount()
    if (this.#room < messages) return false
    this.#room -= messages
    return true
  }

  async #recount(): Promise<void> {
    this.#countedAt = performance.now()
    const before = this.#room
    try {
      const open = await this.#count()
      // Messages taken in the meantime may not be counted yet.
      this.#room = this.#limit - open - Math.max(0, before - this.#room)
    } catch {
      this.#room = 0
    }
  }
}
