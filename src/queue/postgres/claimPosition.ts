import { MAX_PRIORITY } from '../../message/messageState.js'
import type { PostgresClaim } from './postgresRows.js'

/** Milliseconds after which a process looks from the beginning again: a message may have become ready before its position. */
const MAX_AGE = 1_000

/**
 * Where a process claims next. Each claim begins where the last one ended: the index keeps the entries of claimed messages until
 * a vacuum removes them, and would be read from its beginning each time. Only messages without a group have a position.
 */
export class ClaimPosition {
  /** The group of each rank that had the last turn in this process. */
  readonly #lastTurns: (string | null)[] = Array.from({ length: MAX_PRIORITY + 1 }, () => null)
  #from: { rank: number; seq: number } | undefined
  /** On `performance.now()`'s clock. */
  #beganAt = 0

  /** The parameters of `claim` that say where it begins. */
  get parameters(): readonly [readonly (string | null)[], number | null, number | null] {
    return [this.#lastTurns, this.#from?.rank ?? null, this.#from?.seq ?? null]
  }

  /**
   * @param messages those that a claim returned
   * @param most messages that it was to return
   * @returns whether there may be more
   */
  advance(messages: readonly PostgresClaim[], most: number): boolean {
    for (const { rank, turn } of messages) this.#lastTurns[rank] = turn
    const last = messages.at(-1)
    const began = this.#from
    if (began === undefined) this.#beganAt = performance.now()
    const continues =
      last?.turn === '' && messages.length === most && performance.now() - this.#beganAt < MAX_AGE
    this.#from = continues ? { rank: last.rank, seq: last.seq } : undefined
    return messages.length === most || began !== undefined
  }
}
