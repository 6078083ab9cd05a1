import { createHash } from 'node:crypto'
import type { Database, Statement } from 'better-sqlite3'
import {
  type InsertResult,
  ISOLATION_THRESHOLD,
  isCacheable,
  CACHED_JOBS,
  type RequestOf,
  type TransferResult,
  type TransferRow,
} from '../../src/queue/sqlite/outboxProtocol.js'
import {
  type AttachmentBytes,
  type KeyForm,
  type LoadedRow,
  type NewRow,
  type Replacement,
  type StateRow,
  STATUS_NUMBERS,
  type StoredRow,
} from '../../src/queue/storedRow.js'
import { GenerationalCache } from '../../src/structures/generationalCache.js'
import type { Capacity } from './capacity.js'
import type { Counters } from './counters.js'
import { MESSAGE_COLUMNS, type MessageRow, PLACE, toStored } from './schema.js'

/** A message's reference to an attachment: `t` for text or `b` for bytes, followed by the hash in hex. */
type Reference = `${'t' | 'b'}${string}`

/** The bytes of attachments. Each attachment is stored once, however many messages use it. */
export class AttachmentStore {
  readonly #add: Statement<[Buffer, Uint8Array]>
  readonly #drop: Statement<[Buffer]>
  readonly #sweep: Statement<[Buffer]>
  readonly #get: Statement<[Buffer], { bytes: Buffer }>

  constructor(db: Database) {
    this.#add = db.prepare(
      'INSERT INTO attachment (hash, uses, bytes) VALUES (?, 1, ?) ON CONFLICT DO UPDATE SET uses = uses + 1',
    )
    this.#drop = db.prepare('UPDATE attachment SET uses = uses - 1 WHERE hash = ?')
    this.#sweep = db.prepare('DELETE FROM attachment WHERE hash = ? AND uses <= 0')
    this.#get = db.prepare('SELECT bytes FROM attachment WHERE hash = ?')
  }

  /** @returns the references as JSON */
  store(attachments: readonly AttachmentBytes[]): string {
    return JSON.stringify(
      attachments.map(({ content }): Reference => {
        const bytes = typeof content === 'string' ? Buffer.from(content) : content
        const hash = createHash('sha256').update(bytes).digest()
        this.#add.run(hash, bytes)
        return `${typeof content === 'string' ? 't' : 'b'}${hash.toString('hex')}`
      }),
    )
  }

  load(references: string | null): AttachmentBytes[] {
    return parse(references).map((reference) => {
      const bytes = this.#get.get(hashOf(reference))?.bytes ?? Buffer.alloc(0)
      return { content: reference.startsWith('t') ? bytes.toString() : new Uint8Array(bytes) }
    })
  }

  release(references: string | null): void {
    for (const reference of parse(references)) {
      const hash = hashOf(reference)
      this.#drop.run(hash)
      this.#sweep.run(hash)
    }
  }
}

function parse(references: string | null): Reference[] {
  return references === null ? [] : (JSON.parse(references) as Reference[])
}

function hashOf(reference: Reference): Buffer {
  return Buffer.from(reference.slice(1), 'hex')
}

/** Reads single messages, and stores the states that the main thread decides on. */
export class MessageRepository {
  readonly #counters: Counters
  readonly #attachments: AttachmentStore
  readonly #find: Statement<[string], MessageRow>
  readonly #settledOf: Statement<[string], MessageRow>
  readonly #load: Statement<[string], { head: string; body: string | null; attachments: string | null }>
  readonly #write: Statement
  readonly #dropContent: Statement<[number], { attachments: string | null }>
  readonly #setHead: Statement<[string, number]>
  readonly #forgetKey: Statement<[string]>

  constructor(db: Database, counters: Counters, attachments: AttachmentStore) {
    this.#counters = counters
    this.#attachments = attachments
    this.#find = db.prepare(`SELECT ${MESSAGE_COLUMNS} FROM message m WHERE m.id = ?`)
    this.#settledOf = db.prepare(
      `SELECT ${MESSAGE_COLUMNS} FROM message m WHERE m.id = ? AND m.settled_at IS NOT NULL`,
    )
    this.#load = db.prepare(
      'SELECT m.head, c.body, c.attachments FROM message m LEFT JOIN content c ON c.seq = m.seq WHERE m.id = ?',
    )
    this.#write = db.prepare(
      `UPDATE message SET status = @status, place = @place, losses = @losses, due_at = @dueAt, expires_at = @expiresAt,
       next_attempt_at = @nextAttemptAt, settled_at = @settledAt, rest = @rest, token = NULL, rev = rev + 1
       WHERE seq = @seq AND rev = @rev`,
    )
    this.#setHead = db.prepare('UPDATE message SET head = ? WHERE seq = ?')
    this.#forgetKey = db.prepare('DELETE FROM idempotency WHERE key = ?')
    this.#dropContent = db.prepare('DELETE FROM content WHERE seq = ? RETURNING attachments')
  }

  /** @param id as a caller gave it: SQLite takes no objects */
  find(id: unknown): StoredRow | null {
    const row = this.#find.get(String(id))
    return row === undefined ? null : toStored(row)
  }

  load(id: unknown): LoadedRow | null {
    const row = this.#load.get(String(id))
    if (row === undefined) return null
    const { head, body, attachments } = row
    return { head, content: body, attachments: this.#attachments.load(attachments) }
  }

  /** Returns the message if it is settled. */
  findSettled(id: string): StoredRow | null {
    const row = this.#settledOf.get(id)
    return row === undefined ? null : toStored(row)
  }

  /** Stores a new state. Resets `losses` unless they are given: the delivery ended without the death of its process. */
  write(request: Omit<RequestOf<'write'>, 'n' | 'kind'>, now: number): 'written' | 'stale' {
    const { state, seq, rev, losses = 0 } = request
    const { changes } = this.#write.run({
      ...state,
      seq,
      rev,
      losses,
      place: placeOf(state, losses, now),
    })
    if (changes === 0) return 'stale'
    this.#counters.move(request.from, state.status)
    if (request.drop) this.dropContent(seq)
    return 'written'
  }

  /** Stores another head of a message, and forgets its idempotency key. */
  replace(seq: number, { head, forget }: Replacement): void {
    this.#setHead.run(head, seq)
    for (const key of forget) this.#forgetKey.run(key)
  }

  /** Deletes data, bodies and attachments. */
  dropContent(seq: number): void {
    const content = this.#dropContent.get(seq)
    if (content !== undefined) this.#attachments.release(content.attachments)
  }
}

/** A held message waits for an operator, unless it has a time for its next attempt. */
function placeOf({ status, nextAttemptAt }: StateRow, losses: number, now: number): number {
  const { queued, deferred, held } = STATUS_NUMBERS
  if (status !== queued && status !== deferred && (status !== held || nextAttemptAt === null))
    return PLACE.none
  if (nextAttemptAt !== null && nextAttemptAt > now) return PLACE.scheduled
  return losses >= ISOLATION_THRESHOLD ? PLACE.isolated : PLACE.ready
}

interface EarlierMessage {
  id: string
  messageId: string
  fingerprint: string | null
}

/** Inserts messages, each once. */
export class Inserter {
  /** Ids, by position, of the messages stored for this process: see {@link CACHED_JOBS}. A failed transaction may leave some behind. */
  readonly cachedIds = new GenerationalCache<number, string>(CACHED_JOBS)
  readonly #counters: Counters
  readonly #attachments: AttachmentStore
  readonly #capacity: Capacity
  readonly #limit: number
  readonly #byId: Statement<[string], EarlierMessage>
  readonly #byKey: Statement<[string, number], EarlierMessage>
  readonly #insert: Statement
  readonly #insertContent: Statement
  readonly #insertKey: Statement

  constructor(
    db: Database,
    counters: Counters,
    attachments: AttachmentStore,
    capacity: Capacity,
    limit: number,
  ) {
    this.#counters = counters
    this.#attachments = attachments
    this.#capacity = capacity
    this.#limit = limit
    this.#byId = db.prepare(
      "SELECT id, head ->> '$.messageId' AS messageId, head ->> '$.fingerprint' AS fingerprint FROM message WHERE id = ?",
    )
    this.#byKey = db.prepare(
      'SELECT id, message_id AS messageId, fingerprint FROM idempotency WHERE key = ? AND kept_until > ?',
    )
    this.#insert = db.prepare(
      `INSERT INTO message (seq, id, status, place, rank, turn, accepted_at, due_at, expires_at, next_attempt_at, head)
       VALUES (?, ?, ${STATUS_NUMBERS.queued}, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    this.#insertContent = db.prepare('INSERT INTO content (seq, body, attachments) VALUES (?, ?, ?)')
    this.#insertKey = db.prepare(
      'INSERT OR REPLACE INTO idempotency (key, fingerprint, id, message_id, kept_until) VALUES (?, ?, ?, ?, ?)',
    )
  }

  insert(row: NewRow, now: number): InsertResult {
    const { id } = row
    const forms = [row, ...(row.otherForms ?? [])]
    const earlier = this.#byId.get(id) ?? this.#withKeyOf(forms, now)
    if (earlier !== undefined) {
      const differ =
        earlier.fingerprint !== null &&
        row.fingerprint !== null &&
        forms.every(({ fingerprint }) => earlier.fingerprint !== fingerprint)
      if (differ) return { result: 'conflict' }
      return { result: 'duplicate', id: earlier.id, messageId: earlier.messageId }
    }
    if (this.#counters.unsettled >= this.#limit) return { result: 'full' }
    const problem = this.#capacity.admit(bytesOf(row))
    if (problem !== undefined) return { result: 'unavailable', problem }
    this.#store(row, now)
    return null
  }

  #withKeyOf(forms: readonly KeyForm[], now: number): EarlierMessage | undefined {
    for (const { key } of forms) {
      const earlier = key === null ? undefined : this.#byKey.get(key, now)
      if (earlier !== undefined) return earlier
    }
    return undefined
  }

  /** Stores a message of another queue, as queued. @returns its position */
  transfer({ row, state }: TransferRow, now: number): number | Exclude<TransferResult, 'stored'> {
    const { id } = row
    if (this.#byId.get(id) !== undefined) return 'known'
    const taken = this.#withKeyOf([row, ...(row.otherForms ?? [])], now) !== undefined
    if (taken && state.settledAt === null) return 'conflict'
    if (this.#capacity.admit(bytesOf(row)) !== undefined) return 'full'
    return this.#store(taken ? { ...row, key: null } : row, now)
  }

  #store(row: NewRow, now: number): number {
    const { id, messageId, head, content, attachments, rank, group, acceptedAt, notBefore, expiresAt } = row
    const { key, fingerprint, keyUntil } = row
    const seq = this.#counters.addAccepted()
    const waits = notBefore !== null && notBefore > now
    this.#insert.run(
      seq,
      id,
      waits ? PLACE.scheduled : PLACE.ready,
      rank,
      group,
      acceptedAt,
      Math.max(notBefore ?? 0, acceptedAt),
      expiresAt,
      waits ? notBefore : null,
      head,
    )
    this.#insertContent.run(seq, content, attachments === null ? null : this.#attachments.store(attachments))
    if (!waits && isCacheable(row)) this.cachedIds.add(seq, id)
    if (key !== null) this.#insertKey.run(key, fingerprint, id, messageId, keyUntil)
    return seq
  }
}

/** Returns the approximate size of a message in the file, in bytes. */
function bytesOf({ head, content, attachments }: NewRow): number {
  const bytes = head.length + content.length
  return attachments === null ? bytes : attachments.reduce((sum, part) => sum + part.content.length, bytes)
}
