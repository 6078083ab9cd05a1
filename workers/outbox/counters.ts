import type { Database, Statement } from 'better-sqlite3'
import type { StatsRow } from '../../src/queue/sqlite/outboxProtocol.js'
import { FIRST_SETTLED, STATUS_NAMES, type StatusNumber } from '../../src/queue/storedRow.js'

type CounterRow = Record<'accepted' | 'indexed' | 'paused' | 'claims' | `s${StatusNumber}`, number>

const STATUS_COLUMNS = STATUS_NAMES.map((_, number) => `s${number as StatusNumber}` as const)
const COLUMNS = ['accepted', 'indexed', 'paused', 'claims', ...STATUS_COLUMNS] as const

/**
 * The message counts of the file. They are read at the start of a write transaction, changed in memory, and written once at
 * its end; they are valid only between `load` and `store`, since other processes change them too.
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

  /** Discards the changes of a failed transaction. */
  reload(): void {
    try {
      this.load()
    } catch {
      // The next transaction loads them, or fails too.
    }
  }

  /** Writes the counts if any has changed, so that a transaction without changes needs no space in the log. */
  store(): void {
    if (!this.#changed) return
    this.#changed = false
    this.#write.run(...COLUMNS.map((column) => this.#row[column]))
  }

  /** Counts an accepted message. @returns its position */
  addAccepted(): number {
    this.#changed = true
    this.#row.s0++
    return ++this.#row.accepted
  }

  move(from: StatusNumber, to: StatusNumber, count = 1): void {
    this.#changed = true
    this.#row[`s${from}`] -= count
    this.#row[`s${to}`] += count
  }

  remove(status: StatusNumber): void {
    this.#changed = true
    this.#row[`s${status}`]--
  }

  /** Forces the next `store` to write, to find out whether the disk accepts writes. */
  touch(): void {
    this.#changed = true
  }

  get accepted(): number {
    return this.#row.accepted
  }

  /** Messages up to this position are in the search index. */
  get indexed(): number {
    return this.#row.indexed
  }

  set indexed(seq: number) {
    this.#changed = true
    this.#row.indexed = seq
  }

  /** Claims ever made on this file. */
  get claims(): number {
    return this.#row.claims
  }

  addClaims(count: number): void {
    this.#changed = true
    this.#row.claims += count
  }

  get paused(): boolean {
    return this.#row.paused === 1
  }

  set paused(paused: boolean) {
    this.#changed = true
    this.#row.paused = paused ? 1 : 0
  }

  get settled(): number {
    return STATUS_COLUMNS.slice(FIRST_SETTLED).reduce((sum, column) => sum + this.#row[column], 0)
  }

  get unsettled(): number {
    return STATUS_COLUMNS.slice(0, FIRST_SETTLED).reduce((sum, column) => sum + this.#row[column], 0)
  }

  counts(): StatsRow['counts'] {
    const counts = STATUS_NAMES.map((status, number) => [status, this.#row[`s${number as StatusNumber}`]])
    return Object.fromEntries(counts) as StatsRow['counts']
  }
}
