import type { Database, Statement } from 'better-sqlite3'
import type { StatsRow } from '../../src/queue/sqlite/outboxProtocol.js'
import { FIRST_SETTLED, STATUS_NAMES, type StatusNumber } from '../../src/queue/storedRow.js'

type CounterRow = Record<'accepted' | 'indexed' | 'paused' | `s${StatusNumber}`, number>

const STATUSES = STATUS_NAMES.map((_, number) => `s${number as StatusNumber}` as const)
const COLUMNS = ['accepted', 'indexed', 'paused', ...STATUSES] as const

/**
 * The counts of the file. Read at the beginning of a transaction that writes, changed in memory, and written once at
 * its end: valid between `load` and `store` only, since other processes change them too.
 */
export class Counters {
  readonly #read: Statement<[], CounterRow>
  readonly #write: Statement
  #row: CounterRow
  #changed = false

  constructor(db: Database) {
    this.#read = db.prepare(`SELECT ${COLUMNS.join()} FROM tally`)
    this.#write = db.prepare(`UPDATE tally SET ${COLUMNS.map((column) => `${column} = ?`).join()}`)
    this.#row = this.#read.get() as CounterRow
  }

  load(): void {
    this.#row = this.#read.get() as CounterRow
    this.#changed = false
  }

  /** Forgets the changes of a transaction that failed. */
  reload(): void {
    try {
      this.load()
    } catch {
      // The next transaction loads them, or fails as well.
    }
  }

  /** Writes the counts if one has changed: what changes nothing needs no room in the log. */
  store(): void {
    if (!this.#changed) return
    this.#changed = false
    this.#write.run(...COLUMNS.map((column) => this.#row[column]))
  }

  /** The place of the next message. */
  addAccepted(): number {
    this.#changed = true
    this.#row.s0++
    return ++this.#row.accepted
  }

  move(from: StatusNumber, to: StatusNumber): void {
    this.#changed = true
    this.#row[`s${from}`]--
    this.#row[`s${to}`]++
  }

  remove(status: StatusNumber): void {
    this.#changed = true
    this.#row[`s${status}`]--
  }

  /** Has the counts written even if none has changed: to find out whether the disk takes anything. */
  touch(): void {
    this.#changed = true
  }

  get accepted(): number {
    return this.#row.accepted
  }

  /** Messages up to this place are in the search index. */
  get indexed(): number {
    return this.#row.indexed
  }

  set indexed(seq: number) {
    this.#changed = true
    this.#row.indexed = seq
  }

  get paused(): boolean {
    return this.#row.paused === 1
  }

  set paused(paused: boolean) {
    this.#changed = true
    this.#row.paused = paused ? 1 : 0
  }

  get settled(): number {
    return STATUSES.slice(FIRST_SETTLED).reduce((sum, column) => sum + this.#row[column], 0)
  }

  get unsettled(): number {
    return STATUSES.slice(0, FIRST_SETTLED).reduce((sum, column) => sum + this.#row[column], 0)
  }

  counts(): StatsRow['counts'] {
    const counts = STATUS_NAMES.map((status, number) => [status, this.#row[`s${number as StatusNumber}`]])
    return Object.fromEntries(counts) as StatsRow['counts']
  }
}
