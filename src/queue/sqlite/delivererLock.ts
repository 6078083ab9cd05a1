import type { Database } from 'better-sqlite3'
import { ThreadpostError } from '../../errors.js'
import { createPrivateFile } from './outboxProtocol.js'

/** How often a lock that another process holds is asked for, in ms. */
const AGAIN = 500

/**
 * Who may deliver from a file: the process that holds an exclusive transaction open on an empty database beside it.
 * SQLite keeps it with a lock of the operating system, which ends with the process, however that ends. The main thread
 * holds it: the outbox thread may die while deliveries go on, and nobody may take them for those of a dead process.
 */
export class DelivererLock {
  readonly #db: Database
  #held = false
  #timer: NodeJS.Timeout | undefined

  private constructor(db: Database) {
    this.#db = db
  }

  /** @throws ThreadpostError `START_FAILED` when the lock's file can't be used. */
  static async open(file: string): Promise<DelivererLock> {
    const { default: Sqlite } = await import('better-sqlite3')
    try {
      createPrivateFile(`${file}-lock`)
      const lock = new DelivererLock(new Sqlite(`${file}-lock`, { timeout: 0 }))
      lock.#tryTake()
      return lock
    } catch (error) {
      throw new ThreadpostError(
        'START_FAILED',
        `The queue can't start: ${file}-lock can't be locked (${(error as Error).message})`,
      )
    }
  }

  get held(): boolean {
    return this.#held
  }

  /** Calls back once this process delivers from now on, at once where it does already. */
  onceHeld(taken: () => void): void {
    if (this.#held) {
      taken()
      return
    }
    this.#timer = setInterval(() => {
      try {
        if (!this.#tryTake()) return
      } catch {
        // The disk is unwell; the outbox tells of that.
        return
      }
      clearInterval(this.#timer)
      taken()
    }, AGAIN).unref()
  }

  release(): void {
    clearInterval(this.#timer)
    this.#held = false
    this.#db.close()
  }

  #tryTake(): boolean {
    try {
      this.#db.exec('BEGIN EXCLUSIVE')
      this.#held = true
    } catch (error) {
      if (!isBusy(error)) throw error
    }
    return this.#held
  }
}

function isBusy(error: unknown): boolean {
  const code = (error as { code?: unknown }).code
  return typeof code === 'string' && code.startsWith('SQLITE_BUSY')
}
