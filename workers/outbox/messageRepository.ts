import type { Database, Statement } from 'better-sqlite3'
import type { RequestOf } from '../../src/queue/sqlite/outboxProtocol.js'
import { type LoadedRow, STATUS_NUMBERS, type StoredRow } from '../../src/queue/storedRow.js'
import type { AttachmentStore } from './attachmentStore.js'
import type { Counters } from './counters.js'
import { MESSAGE_COLUMNS, type MessageRow, PLACE, toStored } from './schema.js'

/** Single messages: read, and given the state that the main thread decided on. */
export class MessageRepository {
  readonly #tally: Counters
  readonly #attachments: AttachmentStore
  readonly #find: Statement<[string], MessageRow>
  readonly #settledOf: Statement<[string], MessageRow>
  readonly #load: Statement<[string], { head: string; body: string | null; attachments: string | null }>
  readonly #write: Statement
  readonly #contentOf: Statement<[number], { attachments: string | null }>
  readonly #dropContent: Statement<[number]>

  constructor(db: Database, tally: Counters, attachments: AttachmentStore) {
    this.#tally = tally
    this.#attachments = attachments
    this.#find = db.prepare(`SELECT ${MESSAGE_COLUMNS} FROM message m WHERE m.id = ?`)
    this.#settledOf = db.prepare(
      `SELECT ${MESSAGE_COLUMNS} FROM message m WHERE m.id = ? AND m.settled_at IS NOT NULL`,
    )
    this.#load = db.prepare(
      'SELECT m.head, c.body, c.attachments FROM message m LEFT JOIN content c ON c.seq = m.seq WHERE m.id = ?',
    )
    this.#write = db.prepare(
      `UPDATE message SET status = @status, place = @place, losses = 0, due_at = @dueAt, expires_at = @expiresAt,
       next_attempt_at = @nextAttemptAt, settled_at = @settledAt, rest = @rest, token = NULL, rev = rev + 1
       WHERE seq = @seq AND rev = @rev`,
    )
    this.#contentOf = db.prepare('SELECT attachments FROM content WHERE seq = ?')
    this.#dropContent = db.prepare('DELETE FROM content WHERE seq = ?')
  }

  find(id: string): StoredRow | null {
    const row = this.#find.get(id)
    return row === undefined ? null : toStored(row)
  }

  load(id: string): LoadedRow | null {
    const row = this.#load.get(id)
    if (row === undefined) return null
    const { head, body, attachments } = row
    return { head, content: body, attachments: this.#attachments.load(attachments) }
  }

  /** The message if it is settled. */
  settled(id: string): StoredRow | null {
    const row = this.#settledOf.get(id)
    return row === undefined ? null : toStored(row)
  }

  /** Whatever the delivery came to, it got far enough to clear the message of the process deaths it was in. */
  write(request: RequestOf<'write'>, now: number): 'written' | 'stale' {
    const { state, seq, rev } = request
    const { changes } = this.#write.run({
      ...state,
      seq,
      rev,

      place: placeOf(state, now),
    })
    if (changes === 0) return 'stale'
    this.#tally.move(request.from, state.status)
    if (request.drop) this.drop(seq)
    return 'written'
  }

  /** Drops data, bodies and attachments. */
  drop(seq: number): void {
    const content = this.#contentOf.get(seq)
    if (content === undefined) return
    this.#attachments.release(content.attachments)
    this.#dropContent.run(seq)
  }
}

/** What is held waits for a person, unless it has a time. */
function placeOf({ status, nextAttemptAt }: RequestOf<'write'>['state'], now: number): number {
  const { queued, deferred, held } = STATUS_NUMBERS
  if (status !== queued && status !== deferred && (status !== held || nextAttemptAt === null))
    return PLACE.nowhere
  return nextAttemptAt !== null && nextAttemptAt > now ? PLACE.scheduled : PLACE.line
}
