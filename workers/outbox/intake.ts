import type { Database, Statement } from 'better-sqlite3'
import type { Enqueued } from '../../src/queue/driver.js'
import { type NewRow, STATUS_NUMBERS } from '../../src/queue/outboxWire.js'
import type { Attachments } from './attachments.js'
import { PLACE } from './schema.js'
import type { Tally } from './tally.js'

interface Known {
  id: string
  messageId: string
  fingerprint: string | null
}

/** Takes messages in, each once. */
export class Intake {
  readonly #tally: Tally
  readonly #attachments: Attachments
  readonly #limit: number
  readonly #byId: Statement<[string], { messageId: string }>
  readonly #byKey: Statement<[string, number], Known>
  readonly #insert: Statement
  readonly #insertContent: Statement
  readonly #insertKey: Statement

  constructor(db: Database, tally: Tally, attachments: Attachments, limit: number) {
    this.#tally = tally
    this.#attachments = attachments
    this.#limit = limit
    this.#byId = db.prepare("SELECT head ->> '$.messageId' AS messageId FROM message WHERE id = ?")
    this.#byKey = db.prepare(
      'SELECT id, message_id AS messageId, fingerprint FROM idempotency WHERE key = ? AND kept_until > ?',
    )
    this.#insert = db.prepare(
      `INSERT INTO message (seq, id, status, place, rank, accepted_at, due_at, expires_at, next_attempt_at, head)
       VALUES (?, ?, ${STATUS_NUMBERS.queued}, ?, ?, ?, ?, ?, ?, ?)`,
    )
    this.#insertContent = db.prepare('INSERT INTO content (seq, body, attachments) VALUES (?, ?, ?)')
    this.#insertKey = db.prepare(
      'INSERT OR REPLACE INTO idempotency (key, fingerprint, id, message_id, kept_until) VALUES (?, ?, ?, ?, ?)',
    )
  }

  accept(row: NewRow, now: number): Enqueued {
    const sameId = this.#byId.get(row.id)
    if (sameId !== undefined) return { result: 'duplicate', id: row.id, messageId: sameId.messageId }
    const known = row.key === null ? undefined : this.#byKey.get(row.key, now)
    if (known !== undefined) {
      if (known.id !== row.id && known.fingerprint !== row.fingerprint) return { result: 'conflict' }
      return { result: 'duplicate', id: known.id, messageId: known.messageId }
    }
    if (this.#tally.unsettled >= this.#limit) return { result: 'full' }
    this.#store(row, now)
    return { result: 'queued' }
  }

  #store(row: NewRow, now: number): void {
    const seq = this.#tally.accept()
    const waits = row.notBefore !== null && row.notBefore > now
    this.#insert.run(
      seq,
      row.id,
      waits ? PLACE.scheduled : PLACE.line,
      row.rank,
      row.acceptedAt,
      row.notBefore ?? row.acceptedAt,
      row.expiresAt,
      waits ? row.notBefore : null,
      row.head,
    )
    this.#insertContent.run(seq, row.content, this.#attachments.store(row.attachments))
    if (row.key !== null)
      this.#insertKey.run(row.key, row.fingerprint, row.id, row.messageId, row.keyUntil)
  }
}
