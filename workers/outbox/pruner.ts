import type { Database, Statement } from 'better-sqlite3'
import type { OutboxSetup } from '../../src/queue/sqlite/outboxProtocol.js'
import { STATUS_NUMBERS, type StatusNumber } from '../../src/queue/storedRow.js'
import type { Counters } from './counters.js'
import type { MessageRepository } from './messageRepository.js'
import type { PendingWork } from './pendingWork.js'
import type { SearchIndex } from './searchIndex.js'

/** Keys deleted per step. */
const KEYS_PER_STEP = 100
/** Free pages kept in the file for the next messages: returning and reallocating them would cost more. */
const SPARE_PAGES = 256
const VACUUM_PAGES = 64

interface Removed {
  seq: number
  status: StatusNumber
  head: string
}

/** Deletes settled messages and expired keys in small steps, and returns the space to the disk. */
export class Pruner {
  readonly #db: Database
  readonly #counters: Counters
  readonly #messages: MessageRepository
  readonly #searchIndex: SearchIndex
  readonly #pendingWork: PendingWork
  readonly #retain: OutboxSetup['retain']
  readonly #oldest: Statement<[number], Removed & { settled_at: number }>
  readonly #unchanged: Statement<[number, number], Removed>
  readonly #delete: Statement<[number]>
  readonly #nextKey: Statement<[], { at: number | null }>
  readonly #oldKeys: Statement<[number]>

  constructor(
    db: Database,
    counters: Counters,
    messages: MessageRepository,
    searchIndex: SearchIndex,
    pendingWork: PendingWork,
    retain: OutboxSetup['retain'],
  ) {
    this.#db = db
    this.#counters = counters
    this.#messages = messages
    this.#searchIndex = searchIndex
    this.#pendingWork = pendingWork
    this.#retain = retain
    this.#oldest = db.prepare(
      `SELECT seq, status, settled_at, head FROM message WHERE settled_at IS NOT NULL ORDER BY settled_at, seq LIMIT ?`,
    )
    this.#unchanged = db.prepare(
      `SELECT seq, status, head FROM message WHERE seq = ? AND rev = ? AND status <> ${STATUS_NUMBERS.sending}`,
    )
    this.#delete = db.prepare('DELETE FROM message WHERE seq = ?')
    this.#nextKey = db.prepare('SELECT min(kept_until) AS at FROM idempotency')
    this.#oldKeys = db.prepare(
      `DELETE FROM idempotency WHERE key IN
       (SELECT key FROM idempotency WHERE kept_until <= ? ORDER BY kept_until LIMIT ${KEYS_PER_STEP})`,
    )
  }

  /** Deletes up to `most` settled messages beyond the maximum count or age, oldest first. @returns how many */
  prune(most: number, now: number): number {
    const { count, age } = this.#retain
    let surplus = this.#counters.settled - count
    let deleted = 0
    if (surplus <= 0 && !this.isDue(now)) return 0
    for (const row of this.#oldest.all(surplus > 0 ? Math.min(surplus, most) : most)) {
      if (surplus <= 0 && now - row.settled_at <= age) break
      this.#remove(row)
      surplus--
      deleted++
    }
    return deleted
  }

  /** Deletes a message unless it is being sent or has another revision. @returns whether it was deleted */
  discard(seq: number, rev: number): boolean {
    const row = this.#unchanged.get(seq, rev)
    if (row !== undefined) this.#remove(row)
    return row !== undefined
  }

  #remove({ seq, status, head }: Removed): void {
    this.#messages.dropContent(seq)
    if (seq <= this.#counters.indexed) this.#searchIndex.remove(seq, head)
    this.#delete.run(seq)
    this.#pendingWork.invalidate()
    this.#counters.remove(status)
  }

  /** Whether a settled message is beyond the maximum count or age. Only reads. */
  isDue(now: number): boolean {
    const { count, age } = this.#retain
    return this.#counters.settled > count || now - this.#pendingWork.oldestSettled > age
  }

  areKeysDue(now: number): boolean {
    return (this.#nextKey.get()?.at ?? Infinity) <= now
  }

  pruneKeys(now: number): number {
    return this.#oldKeys.run(now).changes
  }

  /** Returns some free pages to the file system. @returns whether there are more */
  shrink(): boolean {
    const free = this.#db.pragma('freelist_count', { simple: true }) as number
    if (free <= SPARE_PAGES) return false
    this.#db.pragma(`incremental_vacuum(${VACUUM_PAGES})`)
    return true
  }
}
