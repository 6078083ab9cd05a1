import type { Database, Statement } from 'better-sqlite3'
import type { StatusNumber } from '../../src/queue/storedRow.js'
import { PLACE } from './schema.js'

/** A message that is ready to be claimed. */
export interface Waiting {
  seq: number
  id: string
  rev: number
  status: StatusNumber
}

interface WaitingInTurn extends Waiting {
  rank: number
  turn: string
}

/**
 * Reads the ready messages so that, within a rank, the groups take turns. The group after the one that had the last turn is next, in the order of
 * their names; each message costs one look into the index.
 */
export class Turns {
  /** The next messages, in the order of rank and group. */
  readonly #first: Statement<[number, number], WaitingInTurn>
  /** Whether a rank has messages of a group after the given one. */
  readonly #others: Statement<[number, string], { one: number }>
  /** The next message of the first group after the given one, and of the first group of all. */
  readonly #after: Statement<[number, string, number], WaitingInTurn>
  readonly #lowest: Statement<[number, number], WaitingInTurn>
  /** The first rank after the given one. */
  readonly #rank: Statement<[number, number], { rank: number }>
  /** The group of each rank that had the last turn. */
  readonly #lastTurn = new Map<number, string>()

  constructor(db: Database) {
    const ready = `FROM message WHERE place = ${PLACE.ready}`
    const waiting = `SELECT seq, id, rev, status, rank, turn ${ready}`
    this.#first = db.prepare(`${waiting} AND expires_at > ? ORDER BY rank, turn, seq LIMIT ?`)
    this.#others = db.prepare(`SELECT 1 AS one ${ready} AND rank = ? AND turn > ? LIMIT 1`)
    this.#after = db.prepare(
      `${waiting} AND rank = ? AND turn > ? AND expires_at > ? ORDER BY turn, seq LIMIT 1`,
    )
    this.#lowest = db.prepare(`${waiting} AND rank = ? AND expires_at > ? ORDER BY turn, seq LIMIT 1`)
    this.#rank = db.prepare(`SELECT rank ${ready} AND rank > ? AND expires_at > ? ORDER BY rank LIMIT 1`)
  }

  /**
   * Yields up to `most` ready messages: by rank, and within a rank one of each group in turn. Each must be claimed before the
   * next is read, unless all of a rank are of one group, which is the usual case.
   */
  *take(most: number, now: number): Generator<Waiting, void, undefined> {
    const first = this.#first.all(now, most)
    const [head] = first
    if (head === undefined) return
    const last = first.at(-1) ?? head
    const single = head.rank === last.rank && head.turn === last.turn
    if (single && this.#others.get(head.rank, head.turn) === undefined) {
      // With fewer than asked for, these are all; otherwise the rest of the rank is of the same group.
      yield* first
      return
    }
    let left = most
    for (
      let rank = head.rank as number | undefined;
      rank !== undefined && left > 0;
      rank = this.#rank.get(rank, now)?.rank
    )
      for (; left > 0; left--) {
        const turn = this.#lastTurn.get(rank)
        const next =
          (turn === undefined ? undefined : this.#after.get(rank, turn, now)) ?? this.#lowest.get(rank, now)
        if (next === undefined) break
        this.#lastTurn.set(rank, next.turn)
        yield next
      }
  }
}
