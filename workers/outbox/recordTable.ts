import type { Database, Statement } from 'better-sqlite3'
import { parseJson } from '../../src/protocol/parseJson.js'
import {
  applyChange,
  type RecordChange,
  type RecordRange,
  type RecordValue,
  type SharedRecord,
} from '../../src/queue/records.js'

/** Expired records deleted with each write: more than one write can add. */
const PRUNE_STEP = 20

/** SQLite takes a negative limit as none. */
const ALL = -1

interface Row {
  key: string
  value: string
  written_at: number
}

/** The table of records that the processes share besides messages: see src/queue/records.ts. */
export class RecordTable {
  readonly #find: Statement<[string], { value: string }>
  readonly #put: Statement<[string, string, number, number]>
  readonly #remove: Statement<[string]>
  readonly #prune: Statement<[number]>
  readonly #range: Statement<[string, string, number, number], Row>

  constructor(db: Database) {
    this.#find = db.prepare('SELECT value FROM record WHERE key = ?')
    this.#put = db.prepare(
      `INSERT INTO record (key, value, written_at, keep_until) VALUES (?, ?, ?, ?)
       ON CONFLICT (key) DO UPDATE SET value = excluded.value, written_at = excluded.written_at,
         keep_until = excluded.keep_until`,
    )
    this.#remove = db.prepare('DELETE FROM record WHERE key = ?')
    this.#prune = db.prepare(
      `DELETE FROM record WHERE key IN
       (SELECT key FROM record WHERE keep_until <= ? ORDER BY keep_until LIMIT ${PRUNE_STEP})`,
    )
    this.#range = db.prepare(
      `SELECT key, value, written_at FROM record WHERE key >= ? AND key < ? AND keep_until > ?
       ORDER BY key LIMIT ?`,
    )
  }

  /** Must run in a transaction. */
  write(changes: readonly RecordChange[], now: number): void {
    for (const change of changes) {
      const { key, keepUntil } = change
      if (change.remove === true) {
        this.#remove.run(key)
        continue
      }
      const found = this.#find.get(key)
      const value: RecordValue =
        found === undefined ? { numbers: {} } : (parseJson(found.value) as RecordValue)
      applyChange(value, change)
      this.#put.run(key, JSON.stringify(value), now, keepUntil)
    }
    this.#prune.run(now)
  }

  read(ranges: readonly RecordRange[], now: number): SharedRecord[][] {
    return ranges.map(({ from, to, limit = ALL }) =>
      this.#range.all(from, to, now, limit).map(({ key, value, written_at: at }) => ({
        ...(parseJson(value) as RecordValue),
        key,
        age: Math.max(0, now - at),
      })),
    )
  }
}
