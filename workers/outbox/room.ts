import type { Database, Statement } from 'better-sqlite3'

/**
 * Whether a file of limited size can take in another message. The limit is for acceptance alone: what was accepted
 * must be handed out and settled, even if that takes a few pages more.
 */
export class Room {
  readonly #most: number | undefined
  readonly #pages: Statement<[], { used: number }>

  /** @param maxSize bytes; undefined for no limit */
  constructor(db: Database, maxSize: number | undefined) {
    const pageSize = db.pragma('page_size', { simple: true }) as number
    this.#most = maxSize === undefined ? undefined : Math.floor(maxSize / pageSize)
    this.#pages = db.prepare(
      'SELECT page_count - freelist_count AS used FROM pragma_page_count(), pragma_freelist_count()',
    )
  }

  /** Why nothing more can be taken in; undefined when there is room. */
  problem(): string | undefined {
    if (this.#most === undefined || (this.#pages.get()?.used ?? 0) < this.#most) return undefined
    return 'the queue’s file is full (queue.maxSize)'
  }
}
