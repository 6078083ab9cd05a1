import { statSync } from 'node:fs'
import type { Database, Statement } from 'better-sqlite3'
import { isStorageError } from './databaseFile.js'
import type { Reserve } from './reserve.js'
import type { WriteAheadLog } from './writeAheadLog.js'

/** Bytes kept free for each unsettled message, for what its attempts add to its row. */
const OUTCOME_SIZE = 1024
/** Minimum milliseconds before the reserve is restored; doubled while the disk refuses, or if the reserve is soon needed again. */
const RESTORE_PAUSE = 500
const MAX_RESTORE_PAUSE = 30_000
/** After a refusal, this share of the reserve (1/4), and of the file's limit (1/16), must be free before messages are accepted again. */
const REOPENING_SHARE = { reserve: 4, limit: 16 } as const

const ALMOST_FULL =
  'the disk is almost full, and the remaining space is reserved for delivering the accepted messages'
const RESERVE_IN_USE =
  'the disk is full, and the reserved space is in use for delivering the accepted messages'
const LOG_STUCK = 'the file can’t grow, and its log is full and reserved for delivering the accepted messages'
const LOG_HELD =
  'another program has been reading the queue’s file for so long that its log can’t be emptied and has become too long'
const FILE_ALMOST_FULL =
  'the queue’s file has almost reached the file size limit of this process (ulimit -f), and the rest is reserved for delivering the accepted messages'
const FILE_FULL = 'the queue’s file is full (queue.maxSize)'

export interface FileLimits {
  /** Bytes that the file should have at most; undefined for no limit. */
  maxSize: number | undefined
  /** Bytes that the file can have: see `fileSizeLimit()`. */
  fileLimit: number
}

interface Pages {
  count: number
  spare: number
}

/**
 * Decides whether there is space for another message. Only acceptance depends on space: accepted messages are claimed and
 * settled from the reserve.
 *
 *     open ─── no space is left, or the reserve is in use ───► refusing
 *       ▲                                                         │
 *       └─────── the reserve is whole, and more than the ─────────┘
 *                minimum is free (hysteresis)
 */
export class Capacity {
  readonly #db: Database
  readonly #file: string
  readonly #reserve: Reserve
  readonly #log: WriteAheadLog
  readonly #pageSize: number
  readonly #limits: FileLimits
  readonly #pages: Statement<[], Pages>
  #refusal: string | undefined
  /** Bytes that the disk has for new messages, including their copy in the log. */
  #left = Infinity
  /** Bytes left within the file's size limit. Outcomes may exceed it. */
  #leftInFile = Infinity
  /** Bytes by which new messages may let the file grow, so that the outcomes still fit into it. */
  #growable = Infinity
  #inUse: boolean
  /** Whether the last checkpoint failed. */
  #logStuck = false
  #releasedAt = -Infinity
  #restoreAt = 0
  #pause = RESTORE_PAUSE

  constructor(db: Database, file: string, reserve: Reserve, log: WriteAheadLog, limits: FileLimits) {
    this.#db = db
    this.#file = file
    this.#reserve = reserve
    this.#log = log
    this.#limits = limits
    this.#pageSize = db.pragma('page_size', { simple: true }) as number
    this.#pages = db.prepare(
      'SELECT page_count AS count, freelist_count AS spare FROM pragma_page_count(), pragma_freelist_count()',
    )
    this.#inUse = !reserve.restore()
  }

  /** The reason why new messages are refused; undefined while they are accepted. */
  get refusal(): string | undefined {
    return this.#refusal
  }

  /** Whether the reserve is in use: then all work is done in small steps. */
  get inUse(): boolean {
    return this.#inUse
  }

  /** Measures the free space. Called inside each transaction that accepts messages. */
  measure(unsettled: number): void {
    const { count, spare } = this.#pages.get() ?? { count: 0, spare: 0 }
    this.#inUse = !this.#reserve.whole
    this.#left = this.#reserve.free() - this.#minimumFree(count, unsettled)
    const { maxSize = Infinity, fileLimit } = this.#limits
    const used = (count - spare) * this.#pageSize
    this.#leftInFile = maxSize - used
    this.#growable = fileLimit - used - unsettled * OUTCOME_SIZE - this.#reserve.size
    this.#refusal = this.#problem()
  }

  /** Reserves space for a message. @returns why it can't be accepted. A large message may be refused when a small one is not */
  admit(bytes: number): string | undefined {
    if (this.#refusal !== undefined) return this.#refusal
    if (this.#leftInFile <= 0) return (this.#refusal = FILE_FULL)
    const grown = bytes + OUTCOME_SIZE
    // A message is written twice: into the log, and from there into the file.
    const cost = 2 * grown
    if (cost > this.#left) {
      if (cost <= this.#slack) this.#refusal = ALMOST_FULL
      return ALMOST_FULL
    }
    if (grown > this.#growable) {
      if (grown <= this.#slack) this.#refusal = FILE_ALMOST_FULL
      return FILE_ALMOST_FULL
    }
    this.#left -= cost
    this.#growable -= grown
    this.#leftInFile -= bytes
    return undefined
  }

  /**
   * Frees space after a failed write. A checkpoint moves the log into the file, so that the log starts over in its existing
   * blocks. The deliverer releases the reserve first, because the file may have to grow.
   */
  freeSpace(delivers: boolean): void {
    if (delivers && !this.#inUse) {
      this.#reserve.release()
      this.#inUse = true
      this.#refusal ??= RESERVE_IN_USE
      const now = performance.now()
      this.#pause =
        now - this.#releasedAt < 2 * MAX_RESTORE_PAUSE
          ? Math.min(MAX_RESTORE_PAUSE, 2 * this.#pause)
          : RESTORE_PAUSE
      this.#releasedAt = now
      this.#restoreAt = now + this.#pause
    }
    this.#checkpoint()
  }

  /** Checks whether there is space again. Called regularly. */
  tick(unsettled: number): void {
    if (!this.#reserve.whole) this.#restore(unsettled)
    const { count } = this.#pages.get() ?? { count: 0 }
    const overdue = this.#growth(count) > this.#reserve.size / 2
    if (this.#refusal === undefined && this.#reserve.whole && !overdue) return
    // A checkpoint returns the space of deleted messages to the disk.
    this.#checkpoint()
    this.measure(unsettled)
  }

  /** A quota may hide from free() that space is short. Only writing reveals it, so restoring is tried less and less often. */
  #restore(unsettled: number): void {
    const now = performance.now()
    if (now < this.#restoreAt) return
    const { count } = this.#pages.get() ?? { count: 0 }
    const needed = this.#reserve.size + this.#minimumFree(count, unsettled)
    if (this.#reserve.free() < needed) return
    if (this.#reserve.restore()) return
    this.#pause = Math.min(MAX_RESTORE_PAUSE, 2 * this.#pause)
    this.#restoreAt = now + this.#pause
  }

  /** Doesn't wait for readers: while one reads an old state, the log grows, first into free space, then into the reserve. */
  #checkpoint(): void {
    try {
      this.#db.pragma('wal_checkpoint(PASSIVE)')
      this.#logStuck = false
    } catch (error) {
      this.#logStuck = isStorageError(error)
    }
  }

  /** Bytes that must stay free: for the file's growth at the next checkpoint, the outcomes, and other processes. */
  #minimumFree(pages: number, unsettled: number): number {
    return this.#growth(pages) + unsettled * OUTCOME_SIZE + this.#reserve.size / 2
  }

  /** Bytes by which the file will grow for pages that are only in the log. */
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
    if (this.#log.full) return LOG_HELD
    if (this.#left <= (refusing ? this.#slack : 0)) return ALMOST_FULL
    if (this.#growable <= (refusing ? this.#slack : 0)) return FILE_ALMOST_FULL
    const { maxSize = 0 } = this.#limits
    if (this.#leftInFile <= (refusing ? maxSize / REOPENING_SHARE.limit : 0)) return FILE_FULL
    return undefined
  }
}
