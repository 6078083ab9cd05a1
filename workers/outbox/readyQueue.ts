import type { Database, Statement } from 'better-sqlite3'
import { ISOLATION_THRESHOLD, type CachedRow } from '../../src/queue/sqlite/outboxProtocol.js'
import {
  STATUS_NUMBERS,
  type StatusNumber,
  type StoredRow,
  type ClaimedRow,
} from '../../src/queue/storedRow.js'
import type { GenerationalCache } from '../../src/structures/generationalCache.js'
import type { Counters } from './counters.js'
import type { AttachmentStore } from './messageRepository.js'
import { MESSAGE_COLUMNS, type MessageRow, PLACE, toStored } from './schema.js'

/** Rows moved in one transaction at most, so that none of them takes long. */
const STEP = 500
/** Milliseconds for which a message is left alone: longer than the rendering that may have brought a process down. */
const ALONE = 15_000
/** Bytes of content handed out in one transaction, after which the next waits for another. */
const HANDOVER_BYTES = 8 * 1024 * 1024

type LanePlace = typeof PLACE.line | typeof PLACE.alone

interface Waiting {
  seq: number
  id: string
  rev: number
  status: StatusNumber
}

interface Lane {
  next: Statement<[number, number], Waiting>
  any: Statement<[], { one: number }>
}

/** The place stands in the statement, so that the partial index for it can be used. */
function laneOf(db: Database, place: LanePlace): Lane {
  return {
    next: db.prepare(
      `SELECT seq, id, rev, status FROM message
       WHERE place = ${place} AND expires_at > ? ORDER BY rank, seq LIMIT ?`,
    ),
    any: db.prepare(`SELECT 1 AS one FROM message WHERE place = ${place} LIMIT 1`),
  }
}

/**
 * The way of a message from its acceptance into the hands of this process. A message that several processes died with
 * is handed out alone: only when nothing else is in hand, and nothing else is until it is back, or has been out for long enough.
 */
export class ReadyQueue {
  readonly #counters: Counters
  readonly #attachments: AttachmentStore
  readonly #known: GenerationalCache<number, string>
  readonly #token: string
  readonly #inHand = new Set<number>()
  #alone: number | undefined
  #aloneUntil = 0
  readonly #lanes: Record<LanePlace, Lane>
  readonly #take: Statement<[string, number]>
  readonly #release: Statement<[number, number, number, number]>
  readonly #promote: Statement<[number, number]>
  readonly #wakeHeld: Statement<[number, string, number]>
  readonly #hasten: Statement<[number, number]>
  readonly #expire: Statement<[number, number]>
  readonly #bySeq: Statement<[number], MessageRow>
  readonly #whole: Statement<[number], MessageRow & { body: string | null; attachments: string | null }>
  readonly #expiring: Statement<[number, number], { seq: number; status: MessageRow['status'] }>
  readonly #longestDue: Statement<[], { at: number | null }>
  readonly #nextDue: Statement<[], { at: number | null }>
  readonly #nextExpiry: Statement<[], { at: number | null }>

  /** @param known ids by `seq` of what its process has at hand */
  constructor(
    db: Database,
    counters: Counters,
    attachments: AttachmentStore,
    known: GenerationalCache<number, string>,
    token: string,
  ) {
    this.#counters = counters
    this.#attachments = attachments
    this.#known = known
    this.#token = token
    this.#lanes = { [PLACE.line]: laneOf(db, PLACE.line), [PLACE.alone]: laneOf(db, PLACE.alone) }
    this.#take = db.prepare(
      `UPDATE message SET status = ${STATUS_NUMBERS.sending}, place = ${PLACE.nowhere}, next_attempt_at = NULL,
       token = ?, rev = rev + 1 WHERE seq = ?`,
    )
    this.#release = db.prepare(
      `UPDATE message SET status = ${STATUS_NUMBERS.queued}, losses = losses + ?, rev = rev + 1, token = NULL,
       place = CASE WHEN losses + ? >= ${ISOLATION_THRESHOLD} THEN ${PLACE.alone} ELSE ${PLACE.line} END
       WHERE seq = ? AND rev = ? AND status = ${STATUS_NUMBERS.sending}`,
    )
    this.#promote = db.prepare(
      `UPDATE message SET next_attempt_at = NULL, rev = rev + 1,
       place = CASE WHEN losses >= ${ISOLATION_THRESHOLD} THEN ${PLACE.alone} ELSE ${PLACE.line} END
       WHERE seq IN (SELECT seq FROM message WHERE place = ${PLACE.scheduled} AND due_at <= ? ORDER BY due_at LIMIT ?)`,
    )
    // The transport, the place and the status stand as in the index for it.
    this.#wakeHeld = db.prepare(
      `UPDATE message SET due_at = ?, next_attempt_at = NULL, rev = rev + 1, place = ${PLACE.line}
       WHERE seq IN (SELECT seq FROM message WHERE json_extract(head, '$.transport') = ?
         AND place = ${PLACE.scheduled} AND status = ${STATUS_NUMBERS.held} AND json_extract(rest, '$.heldReason') = 'budget'
         ORDER BY rank, due_at LIMIT ?)`,
    )
    this.#hasten = db.prepare(
      `UPDATE message SET due_at = due_at - ?, next_attempt_at = next_attempt_at - ?, rev = rev + 1
       WHERE place = ${PLACE.scheduled} AND status <> ${STATUS_NUMBERS.queued}`,
    )
    this.#expiring = db.prepare(
      `SELECT seq, status FROM message WHERE settled_at IS NULL AND expires_at <= ?
       AND status <> ${STATUS_NUMBERS.sending} ORDER BY expires_at LIMIT ?`,
    )
    this.#expire = db.prepare(
      `UPDATE message SET status = ${STATUS_NUMBERS.expired}, place = ${PLACE.nowhere}, next_attempt_at = NULL,
       settled_at = ?, rev = rev + 1 WHERE seq = ?`,
    )
    this.#whole = db.prepare(
      `SELECT ${MESSAGE_COLUMNS}, c.body, c.attachments FROM message m LEFT JOIN content c ON c.seq = m.seq
       WHERE m.seq = ?`,
    )
    this.#bySeq = db.prepare(`SELECT ${MESSAGE_COLUMNS} FROM message m WHERE m.seq = ?`)
    this.#longestDue = db.prepare(
      `SELECT min(at) AS at FROM (SELECT min(due_at) AS at FROM message WHERE place = ${PLACE.line}
       UNION ALL SELECT min(due_at) FROM message WHERE place = ${PLACE.alone})`,
    )
    this.#nextDue = db.prepare(`SELECT min(due_at) AS at FROM message WHERE place = ${PLACE.scheduled}`)
    this.#nextExpiry = db.prepare(
      `SELECT expires_at AS at FROM message WHERE settled_at IS NULL AND status <> ${STATUS_NUMBERS.sending}
       ORDER BY expires_at LIMIT 1`,
    )
  }

  /** Hands out up to so many that are due, higher priority first, then the older. */
  claim(slots: number, now: number): (ClaimedRow | CachedRow)[] {
    if (this.#isAlone(now)) return []
    if (this.#has(PLACE.alone)) {
      if (this.#inHand.size > 0) return []
      const [row] = this.#takeFrom(PLACE.alone, 1, now)
      this.#alone = row?.seq
      this.#aloneUntil = now + ALONE
      return row === undefined ? [] : [row]
    }
    return this.#takeFrom(PLACE.line, slots, now)
  }

  #takeFrom(place: LanePlace, slots: number, now: number): (ClaimedRow | CachedRow)[] {
    const taken: (ClaimedRow | CachedRow)[] = []
    let bytes = 0
    try {
      for (const hasReady of this.#lanes[place].next.all(now, slots)) {
        const { seq, status } = hasReady
        const row = this.#asKnown(hasReady) ?? this.#read(seq)
        this.#take.run(this.#token, seq)
        this.#counters.move(status, STATUS_NUMBERS.sending)
        this.#inHand.add(seq)
        taken.push(row)
        if ('id' in row) continue
        const { head, content, attachments } = row
        bytes += attachments.reduce((sum, part) => sum + part.content.length, head.length + content.length)
        if (bytes > HANDOVER_BYTES) break
      }
    } catch (error) {
      this.undoClaims(taken)
      throw error
    }
    return taken
  }

  /** What nobody changed since it was accepted its process has at hand. */
  #asKnown({ seq, id, rev }: Waiting): CachedRow | undefined {
    const known = this.#known.take(seq)
    return rev === 0 && known === id ? { seq, id, rev: 1 } : undefined
  }

  #read(seq: number): ClaimedRow {
    const row = this.#whole.get(seq)
    if (row === undefined) throw new Error('a message left the line while it was taken from it')
    return {
      ...toStored(row),
      status: STATUS_NUMBERS.sending,
      rev: row.rev + 1,
      nextAttemptAt: null,
      content: row.body ?? '{}',
      attachments: this.#attachments.load(row.attachments),
    }
  }

  /** Puts a message back in line. `lost`: a process died with it. */
  requeue(seq: number, rev: number, lost: boolean): void {
    const losses = lost ? 1 : 0
    if (this.#release.run(losses, losses, seq, rev).changes > 0)
      this.#counters.move(STATUS_NUMBERS.sending, STATUS_NUMBERS.queued)
  }

  /** What is in the hands of this process already, when its thread starts anew. */
  restoreClaims(seqs: readonly number[]): void {
    for (const seq of seqs) this.#inHand.add(seq)
  }

  /** The message is no longer in the hands of this process. */
  endClaim(seq: number): void {
    this.#inHand.delete(seq)
    if (this.#alone === seq) this.#alone = undefined
  }

  /** Undoes hand-outs of a transaction that failed. */
  undoClaims(taken: readonly { seq: number }[]): void {
    for (const { seq } of taken) this.endClaim(seq)
  }

  isClaimed(seq: number): boolean {
    return this.#inHand.has(seq)
  }

  /** Lets messages into the line whose time has come. @returns how many. */
  promote(now: number, most = STEP): number {
    return this.#promote.run(now, Math.min(most, STEP)).changes
  }

  /** Lets messages into the line that are held for the budget of one of these transports. @returns how many. */
  wakeHeld(transports: readonly string[], most: number, now: number): number {
    let left = most
    for (const transport of transports) {
      if (left === 0) break
      left -= this.#wakeHeld.run(now, transport, left).changes
    }
    return most - left
  }

  /** The wall clock was set back: retries are due earlier by as much; the time a message is meant for stays. */
  clockSetBack(by: number): void {
    this.#aloneUntil -= by
    this.#hasten.run(by, by)
  }

  /** Ends messages that are too late. */
  expire(now: number, most = STEP): StoredRow[] {
    return this.#expiring.all(now, Math.min(most, STEP)).flatMap(({ seq, status }) => {
      this.#counters.move(status, STATUS_NUMBERS.expired)
      this.#expire.run(now, seq)
      const row = this.#bySeq.get(seq)
      return row === undefined ? [] : [toStored(row)]
    })
  }

  /** Whether anything could be handed out now. */
  waiting(now: number): boolean {
    if (this.#isAlone(now)) return false
    return this.#has(PLACE.alone) ? this.#inHand.size === 0 : this.#has(PLACE.line)
  }

  /** Milliseconds that the longest-waiting message in line has waited. */
  longestWait(now: number): number {
    return Math.max(0, now - (this.#longestDue.get()?.at ?? now))
  }

  /** When the next message becomes due or too late, in ms since the epoch. */
  nextChange(): number {
    return Math.min(this.#nextDue.get()?.at ?? Infinity, this.#nextExpiry.get()?.at ?? Infinity)
  }

  #isAlone(now: number): boolean {
    if (this.#alone !== undefined && now >= this.#aloneUntil) this.endClaim(this.#alone)
    return this.#alone !== undefined
  }

  #has(place: LanePlace): boolean {
    return this.#lanes[place].any.get() !== undefined
  }
}
