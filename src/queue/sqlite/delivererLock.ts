import type { Database } from 'better-sqlite3'
import { ThreadpostError } from '../../errors.js'
import { createPrivateFile } from './outboxProtocol.js'

/** Milliseconds between attempts to acquire a lock that another process holds. */
const RETRY = 500

/**
 * Makes sure that one process at a time delivers from a file. The deliverer holds an exclusive transaction open on an empty
 * database next to the file. SQLite upholds it with a lock of the operating system, which ends with the process, however
 * that ends. The main thread holds the lock, not the outbox thread: deliveries continue if that thread dies, and no other
 * process may mistake them for those of a dead process.
 *
 *     waiting ── #tryAcquire() at start, then every 500 ms ──► lock held ── 'deliver' request ──► taking over ──► delivering
 *        │       succeeds once the holder releases or dies         │      Recovery reports the       │  ReadyQueue     │
 *        │                                                         │      orphaned messages          │  claims messages│
 *        └───────────────────────────── release() ─────────────────┴─────────────────────────────────┴─────────────────┘
 *
 * Taking over (`#beginDelivery()` in workers/outbox/outboxEngine.ts) is tried again with each tick until the disk allows it; nothing
 * is claimed before. A new outbox thread in the same process starts at "lock held": the driver sends it the claims that
 * continue, so that it doesn't take them for orphans.
 */
export class DelivererLock {
  readonly #db: Database
  #held = false
  #timer: NodeJS.Timeout | undefined

  private constructor(db: Database) {
    this.#db = db
  }

  /** Opens the lock file next to the queue's file. @throws ThreadpostError `START_FAILED` if the lock file can't be used */
  static async open(file: string): Promise<DelivererLock> {
    const { default: Sqlite } = await import('better-sqlite3')
    try {
      createPrivateFile(`${file}-lock`)
      const lock = new DelivererLock(new Sqlite(`${file}-lock`, { timeout: 0 }))
      lock.#tryAcquire()
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

  /** Calls `acquired` once this process holds the lock; at once if it does already. */
  onceHeld(acquired: () => void): void {
    if (this.#held) {
      acquired()
      return
    }
    this.#timer = setInterval(() => {
      try {
        if (!this.#tryAcquire()) return
      } catch {
        // The disk has a problem, which the outbox thread reports.
        return
      }
      clearInterval(this.#timer)
      acquired()
    }, RETRY).unref()
  }

  release(): void {
    clearInterval(this.#timer)
    this.#held = false
    this.#db.close()
  }

  #tryAcquire(): boolean {
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
