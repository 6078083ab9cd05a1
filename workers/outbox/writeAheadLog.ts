import { statSync } from 'node:fs'
import type { Database } from 'better-sqlite3'
import { BUSY_TIMEOUT } from './databaseFile.js'

/** Bytes of the log from which no message is accepted. Only a reader that doesn't end lets it grow so far. */
const MAX_SIZE = 128 * 1024 * 1024
/** Milliseconds between two attempts to empty the log while there is traffic, and when there is none. */
const PAUSE = { busy: 10_000, idle: 500 }

/**
 * SQLite's write-ahead log. It still contains what was dropped from the file, so it is emptied soon after that: a checkpoint
 * that ends with SQLite starting over is not enough, because the old frames stay until they are overwritten.
 *
 * As long as another program reads an old state of the file, SQLite can't reuse the log, and it grows with every commit.
 */
export class WriteAheadLog {
  readonly #db: Database
  readonly #file: string
  #hasDropped = false
  #triedAt = 0
  #full = false

  constructor(db: Database, file: string) {
    this.#db = db
    this.#file = `${file}-wal`
  }

  /** Content was deleted in a commit. */
  noteDropped(): void {
    this.#hasDropped = true
  }

  /** Whether the log is so long that nothing more may be accepted; ends when it has at most half of that length. */
  get full(): boolean {
    const size = statSync(this.#file, { throwIfNoEntry: false })?.size ?? 0
    this.#full = size > (this.#full ? MAX_SIZE / 2 : MAX_SIZE)
    return this.#full
  }

  /** Empties the log if it contains something that was dropped, or is too long. Called regularly. */
  tick(idle: boolean): void {
    if (!this.#hasDropped && !this.#full) return
    const now = performance.now()
    if (now - this.#triedAt < PAUSE[idle ? 'idle' : 'busy']) return
    this.#triedAt = now
    this.#empty()
  }

  /** Doesn't wait for readers or for other processes. */
  #empty(): void {
    this.#db.pragma('busy_timeout = 0')
    try {
      const [result] = this.#db.pragma('wal_checkpoint(TRUNCATE)') as [{ busy: number }?]
      if (result?.busy === 0) this.#hasDropped = false
    } finally {
      this.#db.pragma(`busy_timeout = ${BUSY_TIMEOUT}`)
    }
  }
}
