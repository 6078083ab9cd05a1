import type { Database, Statement } from 'better-sqlite3'
import { type Acceptance, isKept, KNOWN } from '../../src/queue/sqlite/outboxProtocol.js'
import { type NewRow, STATUS_NUMBERS } from '../../src/queue/storedRow.js'
import { GenerationalCache } from '../../src/structures/generationalCache.js'
import type { AttachmentStore } from './attachmentStore.js'
import type { Capacity } from './capacity.js'
import type { Counters } from './counters.js'
import { PLACE } from './schema.js'

interface Known {
  id: string
  messageId: string
  fingerprint: string | null
}

/** Takes messages in, each once. */
export class Inserter {
  /** Ids by `seq` of what was stored for this process: see {@link KNOWN}. A transaction that failed may leave some behind. */
  readonly known = new GenerationalCache<number, string>(KNOWN)
  readonly #tally: Counters
  readonly #attachments: AttachmentStore
  readonly #room: Capacity
  readonly #limit: number
  readonly #byId: Statement<[string], Known>
  readonly #byKey: Statement<[string, number], Known>
  readonly #insert: Statement
  readonly #insertContent: Statement
  readonly #insertKey: Statement

  constructor(db: Database, tally: Counters, attachments: AttachmentStore, room: Capacity, limit: number) {
    this.#tally = tally
    this.#attachments = attachments
    this.#room = room
    this.#limit = limit
    this.#byId = db.prepare(
      "SELECT id, head ->> '$.messageId' AS messageId, head ->> '$.fingerprint' AS fingerprint FROM message WHERE id = ?",
    )
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

  accept(row: NewRow, now: number): Acceptance {
    const [id, , , , , , , , , key, fingerprint] = row
    const known = this.#byId.get(id) ?? (key === null ? undefined : this.#byKey.get(key, now))
    if (known !== undefined) {
      const differ = known.fingerprint !== null && fingerprint !== null && known.fingerprint !== fingerprint
      if (differ) return { result: 'conflict' }
      return { result: 'duplicate', id: known.id, messageId: known.messageId }
    }
    if (this.#tally.unsettled >= this.#limit) return { result: 'full' }
    const problem = this.#room.admit(bytesOf(row))
    if (problem !== undefined) return { result: 'unavailable', problem }
    this.#store(row, now)
    return null
  }

  #store(row: NewRow, now: number): void {
    const [
      id,
      messageId,
      head,
      content,
      attachments,
      rank,
      acceptedAt,
      notBefore,
      expiresAt,
      key,
      fingerprint,
      keyUntil,
    ] = row
    const seq = this.#tally.accept()
    const waits = notBefore !== null && notBefore > now
    this.#insert.run(
      seq,
      id,
      waits ? PLACE.scheduled : PLACE.line,
      rank,
      acceptedAt,
      Math.max(notBefore ?? 0, acceptedAt),
      expiresAt,
      waits ? notBefore : null,
      head,
    )
    this.#insertContent.run(seq, content, attachments === null ? null : this.#attachments.store(attachments))
    if (!waits && isKept(row)) this.known.add(seq, id)
    if (key !== null) this.#insertKey.run(key, fingerprint, id, messageId, keyUntil)
  }
}

/** Roughly the bytes of a message in the file. */
function bytesOf([, , head, content, attachments]: NewRow): number {
  const bytes = head.length + content.length
  return attachments === null ? bytes : attachments.reduce((sum, part) => sum + part.content.length, bytes)
}
