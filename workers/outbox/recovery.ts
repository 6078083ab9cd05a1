import { existsSync, readdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import type { Database, Statement } from 'better-sqlite3'
import { type Evidence, NOTHING_STARTED } from '../../src/protocol/evidence.js'
import { evidenceFile, type LostRow } from '../../src/queue/sqlite/outboxProtocol.js'
import { STATUS_NUMBERS } from '../../src/queue/storedRow.js'
import { openJournal, readJournal } from '../deliveryJournal.js'
import { MESSAGE_COLUMNS, type MessageRow, toStored } from './schema.js'

type Notes = ReturnType<typeof readJournal>
type SendingRow = MessageRow & { id: string }

/**
 * Messages that were in another process's hands when it died, and what its notes say of them. Notes are kept until
 * nothing is left in those hands: a recovery that is itself interrupted begins anew with the same evidence.
 */
export class Recovery {
  readonly #file: string
  readonly #token: string
  readonly #sending: Statement<[], SendingRow>
  readonly #inHandsOf: Statement<[string], { one: number }>
  /** Tokens of dead processes whose notes are still there. */
  #old: string[] = []

  constructor(db: Database, file: string, token: string) {
    this.#file = file
    this.#token = token
    this.#sending = db.prepare(
      `SELECT ${MESSAGE_COLUMNS}, m.id FROM message m WHERE m.status = ${STATUS_NUMBERS.sending} ORDER BY m.seq`,
    )
    this.#inHandsOf = db.prepare(
      `SELECT 1 AS one FROM message WHERE status = ${STATUS_NUMBERS.sending} AND token = ? LIMIT 1`,
    )
  }

  /**
   * To be called by the process that has just become the deliverer: all other notes are of dead processes.
   * @param notes how many this process may need at a time
   */
  begin(notes: number): void {
    const own = evidenceFile(this.#file, this.#token)
    // It is there already if only this thread died: then the deliveries go on, and so do their notes.
    if (!existsSync(own)) openJournal(own, notes)
    const prefix = path.basename(evidenceFile(this.#file, ''))
    this.#old = readdirSync(path.dirname(this.#file))
      .filter((name) => name.startsWith(prefix))
      .map((name) => name.slice(prefix.length))
      .filter((token) => token !== this.#token)
  }

  /**
   * All that is being sent by nobody. Messages of this process may be among them, where only its outbox thread died:
   * those not in hand never left that thread, so they certainly were not sent.
   */
  lost(isInHand: (seq: number) => boolean): LostRow[] {
    const notes = new Map<string, Notes>()
    return this.#sending
      .all()
      .filter(({ seq }) => !isInHand(seq))
      .map((row) => ({ ...toStored(row), evidence: this.#evidenceOf(row, notes) }))
  }

  #evidenceOf({ token, id, rest }: SendingRow, notes: Map<string, Notes>): Evidence | null {
    if (token === this.#token) return NOTHING_STARTED
    if (token === null) return null
    if (!notes.has(token)) notes.set(token, readJournal(evidenceFile(this.#file, token)))
    const attempts = rest === null ? 0 : (JSON.parse(rest) as { attempts: unknown[] }).attempts.length
    return notes.get(token)?.(id, attempts + 1) ?? null
  }

  discardOld(): void {
    this.#old = this.#old.filter((token) => !this.#discard(token))
  }

  discardOwn(): void {
    this.#discard(this.#token)
  }

  #discard(token: string): boolean {
    if (this.#inHandsOf.get(token) !== undefined) return false
    rmSync(evidenceFile(this.#file, token), { force: true })
    return true
  }
}
