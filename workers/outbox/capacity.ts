import { statSync } from 'node:fs'
import type { Database, Statement } from 'better-sqlite3'
import { isStorageError } from './databaseFile.js'
import type { Reserve } from './reserve.js'

/** Bytes kept free for each message that is not settled: what its attempts add to its row. */
const OUTCOME = 1024
/** Milliseconds until the reserve is made whole again at the earliest; doubled while the disk refuses, or it is soon needed again. */
const RESTORE_PAUSE = 500
const LONGEST_PAUSE = 30_000
/** Once there was no room, this part of the reserve, and of a file's limit, must be free before messages are taken in again. */
const REOPENING_SHARE = { reserve: 4, limit: 16 } as const

const ALMOST_FULL =
  'the disk is almost full, and what is left is kept for delivering the messages that were accepted'
const RESERVE_IN_USE =
  'the disk is full, and the space set aside is in use for delivering the messages that were accepted'
const LOG_STUCK =
  'the file can’t grow, and its log is kept for delivering the messages that were accepted; it is full'
const FILE_FULL = 'the queue’s file is full (queue.maxSize)'

interface Pages {
  count: number
  spare: number
}

/**
 * Decides whether there is room for another message. Room is a condition of acceptance alone: what was accepted is
 * handed out and settled from the reserve.
 *
 *     open ──── no room is left, or the reserve is in use ────► refusing
 *       ▲                                                          │
 *       └──────── the reserve is whole, and more than the ─────────┘
 *                 least room is free (a hysteresis)
 */
export class Capacity {
  readonly #db: Database
  readonly #file: string
  readonly #reserve: Reserve
  readonly #pageSize: number
  readonly #maxSize: number | undefined
  readonly #pages: Statement<[], Pages>
  #refusal: string | undefined
  /** Bytes that the disk has for new messages, their way through the log included. */
  #left = Infinity
  /** Bytes that the limit of the file leaves. */
  #leftInFile = Infinity
  #inUse: boolean
  /** The log could not be carried over into the file when that was last tried. */
  #logStuck = false
  #releasedAt = -Infinity
  #restoreAt = 0
  #pause = RESTORE_PAUSE

  /** @param maxSize bytes; undefined for no limit */
  constructor(db: Database, file: string, reserve: Reserve, maxSize: number | undefined) {
    this.#db = db
    this.#file = file
    this.#reserve = reserve
    this.#maxSize = maxSize
    this.#pageSize = db.pragma('page_size', { simple: true }) as number
    this.#pages = db.prepare(
      'SELECT page_count AS count, freelist_count AS spare FROM pragma_page_count(), pragma_freelist_count()',
    )
    this.#inUse = !reserve.restore()
  }

  /** Why new messages are refused; undefined while they are taken in. */
  get refusal(): string | undefined {
    return this.#refusal
  }

  /** Whether the reserve is in use: then everything is done in small steps. */
  get inUse(): boolean {
    return this.#inUse
  }

  /** Measures the room. To be called inside each transaction that takes in messages. */
  measure(unsettled: number): void {
    const { count, spare } = this.#pages.get() ?? { count: 0, spare: 0 }
    this.#inUse = !this.#reserve.whole
    this.#left = this.#reserve.free() - this.#leastFree(count, unsettled)
    this.#leftInFile =
      this.#maxSize === undefined ? Infinity : this.#maxSize - (count - spare) * this.#pageSize
    this.#refusal = this.#problem()
  }

  /** Counts a message in, or says why it can't be taken in. A large one may be refused where a small one is not. */
  admit(bytes: number): string | undefined {
    if (this.#refusal !== undefined) return this.#refusal
    if (this.#leftInFile <= 0) return (this.#refusal = FILE_FULL)
    // It is written twice: into the log, and from there into the file.
    const cost = 2 * (bytes + OUTCOME)
    if (cost > this.#left) {
      if (cost <= this.#slack) this.#refusal = ALMOST_FULL
      return ALMOST_FULL
    }
    this.#left -= cost
    this.#leftInFile -= bytes
    return undefined
  }

  /**
   * A write failed. Carries the log over into the file, so that the log begins anew in the blocks it has; the
   * deliverer gives the reserve to the disk first, for the file may have to grow.
   */
  freeSpace(delivers: boolean): void {
    if (delivers && !this.#inUse) {
      this.#reserve.release()
      this.#inUse = true
      this.#refusal ??= RESERVE_IN_USE
      const now = performance.now()
      this.#pause =
        now - this.#releasedAt < 2 * LONGEST_PAUSE ? Math.min(LONGEST_PAUSE, 2 * this.#pause) : RESTORE_PAUSE
      this.#releasedAt = now
      this.#restoreAt = now + this.#pause
    }
    this.#carryOver()
  }

  /** Looks whether there is room again. To be called every now and then. */
  tick(unsettled: number): void {
    if (!this.#reserve.whole) this.#restore(unsettled)
    const { count } = this.#pages.get() ?? { count: 0 }
    const overdue = this.#growth(count) > this.#reserve.size / 2
    if (this.#refusal === undefined && this.#reserve.whole && !overdue) return
    // What was deleted is given back to the disk by a checkpoint.
    this.#carryOver()
    this.measure(unsettled)
  }

  /** What a quota hides from free() is found out by writing, which is therefore tried less and less often. */
  #restore(unsettled: number): void {
    const now = performance.now()
    if (now < this.#restoreAt) return
    const { count } = this.#pages.get() ?? { count: 0 }
    const needed = this.#reserve.size + this.#leastFree(count, unsettled)
    if (this.#reserve.free() < needed) return
    if (this.#reserve.restore()) return
    this.#pause = Math.min(LONGEST_PAUSE, 2 * this.#pause)
    this.#restoreAt = now + this.#pause
  }

  /** Waits for no reader: as long as one looks at an old state, the log grows, first by what is free, then by the reserve. */
  #carryOver(): void {
    try {
      this.#db.pragma('wal_checkpoint(PASSIVE)')
      this.#logStuck = false
    } catch (error) {
      this.#logStuck = isStorageError(error)
    }
  }

  /** Bytes that must stay free: what the log still has to carry into the file, the outcomes, and some for others. */
  #leastFree(pages: number, unsettled: number): number {
    return this.#growth(pages) + unsettled * OUTCOME + this.#reserve.size / 2
  }

  /** Bytes by which the file has to grow for what is still in the log alone. */
  #growth(pages: number): number {
    const size = statSync(this.#file, { throwIfNoEntry: false })?.size ?? 0
    return Math.max(0, pages * this.#pageSize - size)
  }

  get #slack(): number {
    return this.#reserve.size / REOPENING_SHARE.reserve
  }

  #problem(): string | undefined {
    if (this.#inUse) return RESERVE_IN_USE
    const refusing = this.#refusal !== undefined
    if (this.#logStuck) return LOG_STUCK
    if (this.#left <= (refusing ? this.#slack : 0)) return ALMOST_FULL
    if (this.#leftInFile <= (refusing ? (this.#maxSize ?? 0) / REOPENING_SHARE.limit : 0)) return FILE_FULL
    return undefined
  }
}
