import type { Database, Statement } from 'better-sqlite3'
import { STATUS_NUMBERS } from '../../src/queue/storedRow.js'
import { PLACE } from './schema.js'

/** The work of the deliverer. Times are in ms since the epoch; null for none. */
interface Agenda {
  ready: 0 | 1
  isolated: 0 | 1
  due: number | null
  expiry: number | null
  settled: number | null
}

/**
 * Tells what there is to do in the file, and when. The thread asks several times between two commits, so all of it is read
 * in one statement and kept until a message changes: each change of this process, and of another one, invalidates it.
 */
export class PendingWork {
  readonly #read: Statement<[], Agenda>
  #agenda: Agenda | undefined

  /** The statement contains the places as literals, so that SQLite can use the partial index for each. */
  constructor(db: Database) {
    this.#read = db.prepare(
      `SELECT EXISTS (SELECT 1 FROM message WHERE place = ${PLACE.ready}) AS ready,
       EXISTS (SELECT 1 FROM message WHERE place = ${PLACE.isolated}) AS isolated,
       (SELECT min(due_at) FROM message WHERE place = ${PLACE.scheduled}) AS due,
       (SELECT expires_at FROM message WHERE settled_at IS NULL AND status <> ${STATUS_NUMBERS.sending}
        ORDER BY expires_at LIMIT 1) AS expiry,
       (SELECT min(settled_at) FROM message WHERE settled_at IS NOT NULL) AS settled`,
    )
  }

  invalidate(): void {
    this.#agenda = undefined
  }

  /** Whether messages are ready for delivery. */
  get ready(): boolean {
    return this.#current().ready === 1
  }

  /** Whether messages are ready for delivery in isolation. */
  get isolated(): boolean {
    return this.#current().isolated === 1
  }

  /** When the next scheduled message becomes due. */
  get nextDue(): number {
    return this.#current().due ?? Infinity
  }

  /** When the next message expires. */
  get nextExpiry(): number {
    return this.#current().expiry ?? Infinity
  }

  /** When the message was settled that has been settled for longest. */
  get oldestSettled(): number {
    return this.#current().settled ?? Infinity
  }

  #current(): Agenda {
    return (this.#agenda ??= this.#read.get() as Agenda)
  }
}
