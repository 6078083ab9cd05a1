import type { Database, Statement } from 'better-sqlite3'
import { type CachedRow, ISOLATION_THRESHOLD, lengthOf } from '../../src/queue/sqlite/outboxProtocol.js'
import { STATUS_NUMBERS, type StoredRow, type ClaimedRow } from '../../src/queue/storedRow.js'
import type { GenerationalCache } from '../../src/structures/generationalCache.js'
import type { AttachmentStore, StoredFiles } from './attachmentStore.js'
import type { Counters } from './counters.js'
import type { PendingWork } from './pendingWork.js'
import { MESSAGE_COLUMNS, type MessageRow, PLACE, toStored } from './schema.js'
import { Turns, type Waiting } from './turns.js'

/** Maximum number of rows changed per transaction, so that none takes long. */
const STEP = 500
/** Milliseconds for which an isolated message is delivered alone: longer than a rendering that may have crashed its process. */
const ISOLATION_TIME = 15_000
/** Bytes of content claimed in one transaction; beyond it, claiming continues in the next one. */
const MAX_CLAIM_BYTES = 8 * 1024 * 1024

/**
 * Claims due messages for this process. A message is delivered in isolation after several processes died while delivering it: it
 * is claimed only when no other message is, and no other is claimed until its claim ends or it has been out for long enough.
 */
export class ReadyQueue {
  readonly #counters: Counters
  readonly #attachments: AttachmentStore
  readonly #cachedIds: GenerationalCache<number, string>
  readonly #pendingWork: PendingWork
  readonly #token: string
  readonly #claimed = new Set<number>()
  #isolated: number | undefined
  #isolatedUntil = 0
  readonly #nextIsolated: Statement<[number], Waiting>
  readonly #turns: Turns
  readonly #markClaimed: Statement<[string, number]>
  readonly #release: Statement<[number, number, number, number]>
  readonly #promote: Statement<[number, number]>
  readonly #wakeHeld: Statement<[number, string, number]>
  readonly #makeEarlier: Statement<[number, number]>
  readonly #expire: Statement<[number, number]>
  readonly #bySeq: Statement<[number], MessageRow>
  readonly #whole: Statement<[number], MessageRow & { body: string | null } & StoredFiles>
  readonly #expiring: Statement<[number, number], { seq: number; status: MessageRow['status'] }>
  readonly #longestDue: Statement<[], { at: number | null }>

  /** @param cachedIds ids, by position, of messages whose jobs the main thread has cached */
  constructor(
    db: Database,
    counters: Counters,
    attachments: AttachmentStore,
    cachedIds: GenerationalCache<number, string>,
    pendingWork: PendingWork,
    token: string,
  ) {
    this.#counters = counters
    this.#attachments = attachments
    this.#cachedIds = cachedIds
    this.#pendingWork = pendingWork
    this.#token = token
    this.#nextIsolated = db.prepare(
      `SELECT seq, id, rev, status FROM message
       WHERE place = ${PLACE.isolated} AND expires_at > ? ORDER BY rank, seq LIMIT 1`,
    )
    this.#turns = new Turns(db)
    this.#markClaimed = db.prepare(
      `UPDATE message SET status = ${STATUS_NUMBERS.sending}, place = ${PLACE.none}, next_attempt_at = NULL,
       token = ?, rev = rev + 1 WHERE seq = ?`,
    )
    this.#release = db.prepare(
      `UPDATE message SET status = ${STATUS_NUMBERS.queued}, losses = losses + ?, rev = rev + 1, token = NULL,
       place = CASE WHEN losses + ? >= ${ISOLATION_THRESHOLD} THEN ${PLACE.isolated} ELSE ${PLACE.ready} END
       WHERE seq = ? AND rev = ? AND status = ${STATUS_NUMBERS.sending}`,
    )
    this.#promote = db.prepare(
      `UPDATE message SET next_attempt_at = NULL, rev = rev + 1,
       place = CASE WHEN losses >= ${ISOLATION_THRESHOLD} THEN ${PLACE.isolated} ELSE ${PLACE.ready} END
       WHERE seq IN (SELECT seq FROM message WHERE place = ${PLACE.scheduled} AND due_at <= ? ORDER BY due_at LIMIT ?)`,
    )
    // The conditions on transport, place and status match the partial index.
    this.#wakeHeld = db.prepare(
      `UPDATE message SET due_at = ?, next_attempt_at = NULL, rev = rev + 1, place = ${PLACE.ready}
       WHERE seq IN (SELECT seq FROM message WHERE json_extract(head, '$.transport') = ?
         AND place = ${PLACE.scheduled} AND status = ${STATUS_NUMBERS.held} AND json_extract(rest, '$.heldReason') IN ('budget', 'paused')
         ORDER BY rank, due_at LIMIT ?)`,
    )
    this.#makeEarlier = db.prepare(
      `UPDATE message SET due_at = due_at - ?, next_attempt_at = next_attempt_at - ?, rev = rev + 1
       WHERE place = ${PLACE.scheduled} AND status <> ${STATUS_NUMBERS.queued}`,
    )
    this.#expiring = db.prepare(
      `SELECT seq, status FROM message WHERE settled_at IS NULL AND expires_at <= ?
       AND status <> ${STATUS_NUMBERS.sending} ORDER BY expires_at LIMIT ?`,
    )
    this.#expire = db.prepare(
      `UPDATE message SET status = ${STATUS_NUMBERS.expired}, place = ${PLACE.none}, next_attempt_at = NULL,
       settled_at = ?, rev = rev + 1 WHERE seq = ?`,
    )
    this.#whole = db.prepare(
      `SELECT ${MESSAGE_COLUMNS}, c.body, c.attachments, c.octets FROM message m LEFT JOIN content c ON c.seq = m.seq
       WHERE m.seq = ?`,
    )
    this.#bySeq = db.prepare(`SELECT ${MESSAGE_COLUMNS} FROM message m WHERE m.seq = ?`)
    this.#longestDue = db.prepare(
      `SELECT min(at) AS at FROM (SELECT min(due_at) AS at FROM message WHERE place = ${PLACE.ready}
       UNION ALL SELECT min(due_at) FROM message WHERE place = ${PLACE.isolated})`,
    )
  }

  /** Claims up to `slots` due messages: higher priorities first, then the older ones. */
  claim(slots: number, now: number): (ClaimedRow | CachedRow)[] {
    if (this.#isIsolating(now)) return []
    if (this.#pendingWork.isolated) {
      if (this.#claimed.size > 0) return []
      const [row] = this.#claimEach(this.#nextIsolated.all(now))
      this.#isolated = row?.seq
      this.#isolatedUntil = now + ISOLATION_TIME
      return row === undefined ? [] : [row]
    }
    return this.#pendingWork.ready ? this.#claimEach(this.#turns.take(slots, now)) : []
  }

  #claimEach(candidates: Iterable<Waiting>): (ClaimedRow | CachedRow)[] {
    this.#pendingWork.invalidate()
    const claimed: (ClaimedRow | CachedRow)[] = []
    let bytes = 0
    try {
      for (const waiting of candidates) {
        const { seq, status } = waiting
        const row = this.#cachedRow(waiting) ?? this.#read(seq)
        this.#markClaimed.run(this.#token, seq)
        this.#counters.move(status, STATUS_NUMBERS.sending)
        this.#claimed.add(seq)
        claimed.push(row)
        if ('id' in row) continue
        bytes += row.head.length + lengthOf(row)
        if (bytes > MAX_CLAIM_BYTES) break
      }
    } catch (error) {
      this.undoClaims(claimed)
      throw error
    }
    return claimed
  }

  /** A message unchanged since this process accepted it needs no content: its job is cached. */
  #cachedRow({ seq, id, rev }: Waiting): CachedRow | undefined {
    const cachedId = this.#cachedIds.take(seq)
    return rev === 0 && cachedId === id ? { seq, id, rev: 1 } : undefined
  }

  #read(seq: number): ClaimedRow {
    const row = this.#whole.get(seq)
    if (row === undefined) throw new Error('a ready message disappeared while it was being claimed')
    return {
      ...toStored(row),
      status: STATUS_NUMBERS.sending,
      rev: row.rev + 1,
      nextAttemptAt: null,
      content: row.body ?? '{}',
      attachments: this.#attachments.load(row),
    }
  }

  /** Returns a claimed message to the queue. `lost`: its process died while delivering it. */
  requeue(seq: number, rev: number, lost: boolean): void {
    const losses = lost ? 1 : 0
    if (this.#release.run(losses, losses, seq, rev).changes > 0)
      this.#counters.move(STATUS_NUMBERS.sending, STATUS_NUMBERS.queued)
  }

  /** Registers the messages that this process has claimed already, when its outbox thread was restarted. */
  restoreClaims(seqs: readonly number[]): void {
    for (const seq of seqs) this.#claimed.add(seq)
  }

  /** Ends the claim of this process on a message. */
  endClaim(seq: number): void {
    this.#claimed.delete(seq)
    if (this.#isolated === seq) this.#isolated = undefined
  }

  /** Undoes the claims of a failed transaction. */
  undoClaims(claimed: readonly { seq: number }[]): void {
    for (const { seq } of claimed) this.endClaim(seq)
  }

  isClaimed(seq: number): boolean {
    return this.#claimed.has(seq)
  }

  /** Makes scheduled messages ready once they are due. @returns how many */
  promote(now: number, most = STEP): number {
    if (this.#pendingWork.nextDue > now) return 0
    this.#pendingWork.invalidate()
    return this.#promote.run(now, Math.min(most, STEP)).changes
  }

  /** Makes messages ready that are held for the budget of one of these transports. @returns how many */
  wakeHeld(transports: readonly string[], most: number, now: number): number {
    let left = most
    for (const transport of transports) {
      if (left === 0) break
      left -= this.#wakeHeld.run(now, transport, left).changes
    }
    return most - left
  }

  /** Makes retries due earlier by as much as the wall clock was set back. A scheduled time (`notBefore`) stays. */
  clockSetBack(by: number): void {
    this.#isolatedUntil -= by
    this.#pendingWork.invalidate()
    this.#makeEarlier.run(by, by)
  }

  /** Expires messages. */
  expire(now: number, most = STEP): StoredRow[] {
    if (this.#pendingWork.nextExpiry > now) return []
    this.#pendingWork.invalidate()
    return this.#expiring.all(now, Math.min(most, STEP)).flatMap(({ seq, status }) => {
      this.#counters.move(status, STATUS_NUMBERS.expired)
      this.#expire.run(now, seq)
      const row = this.#bySeq.get(seq)
      return row === undefined ? [] : [toStored(row)]
    })
  }

  /** Whether a message could be claimed now. */
  waiting(now: number): boolean {
    if (this.#isIsolating(now)) return false
    return this.#pendingWork.isolated ? this.#claimed.size === 0 : this.#pendingWork.ready
  }

  /** Returns for how many ms the longest-waiting ready message has waited. */
  longestWait(now: number): number {
    return Math.max(0, now - (this.#longestDue.get()?.at ?? now))
  }

  /** Returns when the next message becomes due or expires, in ms since the epoch. */
  nextChange(): number {
    return Math.min(this.#pendingWork.nextDue, this.#pendingWork.nextExpiry)
  }

  #isIsolating(now: number): boolean {
    if (this.#isolated !== undefined && now >= this.#isolatedUntil) this.endClaim(this.#isolated)
    return this.#isolated !== undefined
  }
}
