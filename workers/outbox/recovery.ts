import { existsSync, readdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import type { Database, Statement } from 'better-sqlite3'
import type { JournaledAttempt } from '../../src/protocol/evidence.js'
import { journalFile, type OrphanedRow, type OutboxSetup } from '../../src/queue/sqlite/outboxProtocol.js'
import { STATUS_NUMBERS, type StatusNumber } from '../../src/queue/storedRow.js'
import { openJournal, readJournal } from '../deliveryJournal.js'
import type { ClaimCounter } from './claimCounter.js'
import type { Counters } from './counters.js'
import { MESSAGE_COLUMNS, type MessageRow, PLACE, toStored } from './schema.js'

type Journal = ReturnType<typeof readJournal>
type SendingRow = MessageRow & { id: string }

/** Token of messages from a restored copy: no process of today has claimed them. */
const RESTORED = 'restored'
/** Messages that are reported at a time. */
const MAX_ORPHANS = 1_000

/**
 * Finds the messages of processes that died, with the evidence from their journals. A journal is kept until no message of its
 * process is left: a recovery that is itself interrupted starts over with the same evidence.
 */
export class Recovery {
  readonly #file: string
  readonly #token: string
  readonly #db: Database
  readonly #counters: Counters
  readonly #claimCounter: ClaimCounter
  readonly #sending: Statement<[number], SendingRow>
  readonly #claimedBy: Statement<[string], { one: number }>
  /** Tokens of dead processes whose journals still exist. */
  #old: string[] = []
  /** Position of the last message that was reported as an orphan. */
  #reported = 0
  #begun = false

  constructor(db: Database, counters: Counters, claimCounter: ClaimCounter, setup: OutboxSetup) {
    this.#db = db
    this.#counters = counters
    this.#claimCounter = claimCounter
    this.#file = setup.file
    this.#token = setup.token
    this.#sending = db.prepare(
      `SELECT ${MESSAGE_COLUMNS}, m.id FROM message m WHERE m.status = ${STATUS_NUMBERS.sending} AND m.seq > ?
       ORDER BY m.seq LIMIT ${MAX_ORPHANS}`,
    )
    this.#claimedBy = db.prepare(
      `SELECT 1 AS one FROM message WHERE status = ${STATUS_NUMBERS.sending} AND token = ? LIMIT 1`,
    )
  }

  /**
   * Called when this process becomes the deliverer: all other journals belong to dead processes.
   * @param slots maximum number of deliveries that this process records at a time
   */
  begin(slots: number): void {
    if (this.#begun) return
    if (this.#isRestored()) this.#doubtAll()
    const own = journalFile(this.#file, this.#token)
    // The journal exists already if only this thread died: the deliveries continue, and so does their journal.
    if (!existsSync(own)) openJournal(own, slots)
    const prefix = path.basename(journalFile(this.#file, ''))
    this.#old = readdirSync(path.dirname(this.#file))
      .filter((name) => name.startsWith(prefix))
      .map((name) => name.slice(prefix.length))
      .filter((token) => token !== this.#token)
    this.#claimCounter.follow(this.#counters.claims)
    this.#begun = true
  }

  /** Whether the file is a copy from before messages were claimed. If only this thread died, the counter next to it still fits. */
  #isRestored(): boolean {
    this.#counters.load()
    return this.#claimCounter.isAhead(this.#counters.claims)
  }

  /** Every message that waits may have been sent since the copy was made, except those whose time is still to come. */
  #doubtAll(): void {
    const { queued, sending } = STATUS_NUMBERS
    const waits = `place <> ${PLACE.none} AND NOT (status = ${queued} AND place = ${PLACE.scheduled} AND due_at > ?)`
    this.#db
      .transaction(() => {
        this.#counters.load()
        const now = Date.now()
        const found = this.#db
          .prepare<[number], { status: StatusNumber; count: number }>(
            `SELECT status, count(*) AS count FROM message WHERE ${waits} GROUP BY status`,
          )
          .all(now)
        for (const { status, count } of found) this.#counters.move(status, sending, count)
        this.#db
          .prepare(
            `UPDATE message SET status = ${sending}, place = ${PLACE.none}, rev = rev + 1, next_attempt_at = NULL, token = '${RESTORED}'
             WHERE ${waits}`,
          )
          .run(now)
        this.#db.prepare(`UPDATE message SET token = '${RESTORED}' WHERE status = ${sending}`).run()
        this.#counters.store()
      })
      .immediate()
  }

  /**
   * Returns the next messages in `sending` that no process is delivering; none once all were returned. If only the outbox thread
   * died, messages of this process may be among them: those that it hasn't claimed never left that thread, so they
   * certainly were not sent.
   */
  orphans(isClaimed: (seq: number) => boolean): OrphanedRow[] {
    const journals = new Map<string, Journal>()
    for (;;) {
      const rows = this.#sending.all(this.#reported)
      const last = rows.at(-1)
      if (last === undefined) return []
      const orphans = rows
        .filter(({ seq }) => !isClaimed(seq))
        .map((row) => ({
          ...toStored(row),
          journaled: this.#journaled(row, journals),
          restored: row.token === RESTORED,
        }))
      this.#reported = last.seq
      if (orphans.length > 0) return orphans
    }
  }

  #journaled({ token, id }: SendingRow, journals: Map<string, Journal>): JournaledAttempt[] | null {
    if (token === this.#token) return []
    if (token === null || token === RESTORED) return null
    if (!journals.has(token)) journals.set(token, readJournal(journalFile(this.#file, token)))
    return journals.get(token)?.(id) ?? null
  }

  discardOld(): void {
    this.#old = this.#old.filter((token) => !this.#discard(token))
  }

  discardOwn(): void {
    this.#discard(this.#token)
  }

  #discard(token: string): boolean {
    if (this.#claimedBy.get(token) !== undefined) return false
    rmSync(journalFile(this.#file, token), { force: true })
    return true
  }
}
