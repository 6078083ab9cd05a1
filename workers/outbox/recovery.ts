import { existsSync, readdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import type { Database, Statement } from 'better-sqlite3'
import { type Evidence, NOTHING_STARTED } from '../../src/protocol/evidence.js'
import { journalFile, type OrphanedRow } from '../../src/queue/sqlite/outboxProtocol.js'
import { STATUS_NUMBERS } from '../../src/queue/storedRow.js'
import { openJournal, readJournal } from '../deliveryJournal.js'
import { MESSAGE_COLUMNS, type MessageRow, toStored } from './schema.js'

type Journal = ReturnType<typeof readJournal>
type SendingRow = MessageRow & { id: string }

/**
 * Finds the messages of processes that died, with the evidence from their journals. A journal is kept until no message of its
 * process is left: a recovery that is itself interrupted starts over with the same evidence.
 */
export class Recovery {
  readonly #file: string
  readonly #token: string
  readonly #sending: Statement<[], SendingRow>
  readonly #claimedBy: Statement<[string], { one: number }>
  /** Tokens of dead processes whose journals still exist. */
  #old: string[] = []

  constructor(db: Database, file: string, token: string) {
    this.#file = file
    this.#token = token
    this.#sending = db.prepare(
      `SELECT ${MESSAGE_COLUMNS}, m.id FROM message m WHERE m.status = ${STATUS_NUMBERS.sending} ORDER BY m.seq`,
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
    const own = journalFile(this.#file, this.#token)
    // The journal exists already if only this thread died: the deliveries continue, and so does their journal.
    if (!existsSync(own)) openJournal(own, slots)
    const prefix = path.basename(journalFile(this.#file, ''))
    this.#old = readdirSync(path.dirname(this.#file))
      .filter((name) => name.startsWith(prefix))
      .map((name) => name.slice(prefix.length))
      .filter((token) => token !== this.#token)
  }

  /**
   * Returns all messages in `sending` that no process is delivering. If only the outbox thread died, messages of this process
   * may be among them: those that it hasn't claimed never left that thread, so they certainly were not sent.
   */
  orphans(isClaimed: (seq: number) => boolean): OrphanedRow[] {
    const journals = new Map<string, Journal>()
    return this.#sending
      .all()
      .filter(({ seq }) => !isClaimed(seq))
      .map((row) => ({ ...toStored(row), evidence: this.#evidenceOf(row, journals) }))
  }

  #evidenceOf({ token, id, rest }: SendingRow, journals: Map<string, Journal>): Evidence | null {
    if (token === this.#token) return NOTHING_STARTED
    if (token === null) return null
    if (!journals.has(token)) journals.set(token, readJournal(journalFile(this.#file, token)))
    const attempts = rest === null ? 0 : (JSON.parse(rest) as { attempts: unknown[] }).attempts.length
    return journals.get(token)?.(id, attempts + 1) ?? null
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
