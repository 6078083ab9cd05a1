import { closeSync, openSync } from 'node:fs'
import type { Database } from 'better-sqlite3'

/** How better-sqlite3 opens a file; the thread loads it only when asked for. */
export type OpenFile = (file: string, options: { timeout: number }) => Database

/**
 * Who may deliver from a file: the process that holds an exclusive transaction open on an empty database beside it.
 * SQLite keeps it with a lock of the operating system, which ends with the process, however that ends.
 */
export class DelivererLock {
  readonly #db: Database
  #held = false

  constructor(file: string, open: OpenFile) {
    const lockFile = `${file}-lock`
    closeSync(openSync(lockFile, 'a', 0o600))
    this.#db = open(lockFile, { timeout: 0 })
  }

  get held(): boolean {
    return this.#held
  }

  /** @returns whether this process delivers from now on. */
  tryTake(): boolean {
    if (this.#held) return true
    try {
      this.#db.exec('BEGIN EXCLUSIVE')
      this.#held = true
    } catch (error) {
      if (!isBusy(error)) throw error
    }
    return this.#held
  }

  release(): void {
    this.#held = false
    this.#db.close()
  }
}

function isBusy(error: unknown): boolean {
  const code = (error as { code?: unknown }).code
  return typeof code === 'string' && code.startsWith('SQLITE_BUSY')
}
