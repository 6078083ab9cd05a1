import { closeSync, openSync } from 'node:fs'
import { MAX_SHARED_CRASHES } from '../../delivery/crashRecovery.js'
import type { Status } from '../../message/messageState.js'
import type { JournaledAttempt } from '../../protocol/evidence.js'
import type { CommitStats, EnqueueResult, ListQuery, Retention, TransferResult } from '../driver.js'
import type { RowCipher } from '../encryption/rowCipher.js'
import type { RecordChange, RecordRange, SharedRecord } from '../records.js'
import {
  type LoadedRow,
  type NewRow,
  type PackedRow,
  type Replacement,
  type StateRow,
  type StatusNumber,
  type StoredRow,
  type ClaimedRow,
  STATUS_NUMBERS,
} from '../storedRow.js'

/** The messages between the SQLite driver and its outbox thread. */

export type { TransferResult }

/** Number of losses (process deaths during its delivery) after which a message is delivered in isolation. */
export const ISOLATION_THRESHOLD = MAX_SHARED_CRASHES

/** The thread's `workerData`. */
export interface OutboxSetup {
  /** Absolute path of the file. */
  file: string
  /** Maximum number of unsettled messages. */
  limit: number
  /** Maximum size of the file in bytes; a larger file accepts no messages. */
  maxSize?: number
  retain: Retention
  /** Identifies this process's deliveries in the file; see {@link journalFile}. */
  token: string
}

/** Returns the path of the journal in which the threads of one process record how far each delivery got. It outlives the process. */
export function journalFile(file: string, token: string): string {
  return `${file}-evidence-${token}`
}

/** The result of inserting a {@link NewRow}; null is the usual one: it is queued. */
export type InsertResult = Exclude<EnqueueResult, { result: 'queued' }> | null

/** A message of another queue. */
export interface TransferRow {
  row: NewRow
  state: StateRow
  losses: number
  /** Whether it has no content any more. */
  dropped: boolean
}

/** A claimed message that this process accepted a moment ago: the main thread still has its job in the cache. */
export interface CachedRow {
  seq: number
  rev: number
  id: string
}

/**
 * Number of recently accepted messages that the outbox thread identifies by id alone when this process claims them: the last
 * {@link isCacheable} ones. The thread counts the messages that it stored, the main thread those reported to it. The
 * thread assumes at most twice this number to be cached, and the main thread caches at least as many.
 */
export const CACHED_JOBS = 1_000
const MAX_CACHED_LENGTH = 32 * 1024

/** Whether a process caches a message that it accepts. Only small ones: the cache is bounded by number only. */
export function isCacheable(row: Pick<NewRow, 'content' | 'attachments'>): boolean {
  return lengthOf(row) <= MAX_CACHED_LENGTH
}

/** Returns the length of a message's content, about in bytes. */
export function lengthOf({ content, attachments }: Pick<NewRow, 'content' | 'attachments'>): number {
  return (attachments ?? []).reduce((sum, part) => sum + part.content.length, content.length)
}

/** A message whose process died while delivering it, or that may have been sent since the file was copied. */
export interface OrphanedRow extends StoredRow {
  /** Its attempts in the journal of that process; null if the journal proves nothing. Only who reads its state knows which one was the last. */
  journaled: JournaledAttempt[] | null
  /** The file is a restored copy. */
  restored: boolean
}

/** A {@link ListQuery} as the thread takes it; null means any. */
export interface RowQuery {
  statuses: StatusNumber[] | null
  q: string | null
  /** The forms in which the address may be stored. */
  recipient: readonly string[] | null
  /** The forms in which the tag may be stored. */
  tag: readonly string[] | null
  template: string | null
  since: number | null
  until: number | null
  limit: number
  /** Only messages below this position. */
  before: number | null
}

/** @param statuses the stored statuses that the query asks for; undefined for any */
export function toRowQuery(
  { q = '', recipient, tag, template, since, until }: ListQuery,
  statuses: readonly Status[] | undefined,
  limit: number,
  before: number,
  cipher: RowCipher | undefined,
): RowQuery {
  return {
    statuses: statuses?.map((status) => STATUS_NUMBERS[status]) ?? null,
    q: q === '' ? null : q,
    recipient: recipient === undefined ? null : (cipher?.recipientForms(recipient) ?? [recipient]),
    tag: tag === undefined ? null : (cipher?.tagForms(tag) ?? [tag]),
    template: template ?? null,
    since: since ?? null,
    until: until ?? null,
    limit,
    before: before === Infinity ? null : before,
  }
}

export interface StatsRow {
  counts: Record<Status, number>
  accepted: number
  oldest: number
  paused: boolean
  commits: CommitStats
}

/** Each request and its answer. */
export interface Requests {
  enqueue: { ask: { rows: PackedRow[] }; answer: InsertResult[] }
  /** Stores a new state. Answers `stale` if the message was changed since `rev`. */
  write: {
    ask: {
      seq: number
      rev: number
      from: StatusNumber
      state: StateRow
      drop: boolean
      /** A head that replaces the one of the message. */
      replacement?: Replacement
      /** Whether the text that searches find has changed: the subject has become known. */
      reindex?: boolean
      /** Stored with the state. */
      records?: readonly RecordChange[] | undefined
      /** Process deaths in a row. @default 0 */
      losses?: number
    }
    answer: 'written' | 'stale'
  }
  /** Returns claimed messages to the queue, as if they had never been claimed. `lost` counts a process death. */
  release: { ask: { rows: { seq: number; rev: number; lost: boolean }[] }; answer: null }
  /** Ends claiming. Messages claimed before are reported before the answer, or with it. */
  stop: { ask: object; answer: null }
  /** Allows the thread to claim this many more messages. */
  credit: { ask: { slots: number }; answer: null }
  /**
   * Makes this process the deliverer of the file. `claimed`: positions of the messages that it claimed before and still has.
   * `journalSlots`: maximum number of deliveries recorded in the journal at a time.
   */
  deliver: { ask: { claimed: number[]; journalSlots: number }; answer: null }
  pause: { ask: { paused: boolean }; answer: null }
  /** Makes messages due that are held for the budget of one of these transports. Answers how many. */
  wakeHeld: { ask: { transports: readonly string[]; most: number }; answer: number }
  /** Stores messages of another queue, with their state. */
  transfer: { ask: { rows: TransferRow[] }; answer: TransferResult[] }
  /** Deletes messages unless they are being sent or have another revision. Answers for each whether it was deleted. */
  discard: { ask: { rows: { seq: number; rev: number }[] }; answer: boolean[] }
  writeRecords: { ask: { changes: readonly RecordChange[] }; answer: undefined }
  readRecords: { ask: { ranges: readonly RecordRange[] }; answer: SharedRecord[][] }
  find: { ask: { id: string }; answer: StoredRow | null }
  /** Answers the message with its content, which is null once it was dropped. */
  load: { ask: { id: string }; answer: LoadedRow | null }
  list: { ask: { query: RowQuery }; answer: { rows: StoredRow[]; cursor: number | null } }
  stats: { ask: object; answer: StatsRow }
  /** Reports the message's settlement even if another process settles it. */
  subscribe: { ask: { id: string; on: boolean }; answer: null }
  close: { ask: object; answer: null }
}

export type RequestKind = keyof Requests
export type Answer<K extends RequestKind> = Requests[K]['answer']
export type Request = { [K in RequestKind]: { n: number; kind: K } & Requests[K]['ask'] }[RequestKind]
export type RequestOf<K extends RequestKind> = Extract<Request, { kind: K }>

/** Sent by the thread after a commit. Everything in it is on disk. */
export interface Report {
  kind: 'report'
  answers: [n: number, answer: Answer<RequestKind>][]
  /** Requests of which nothing was stored, with the reason. */
  failures: [n: number, problem: string][]
  claimed: (ClaimedRow | CachedRow)[]
  /** Messages that the outbox thread itself expired. */
  expired: StoredRow[]
  /** Messages with subscribers that another process settled. */
  settledElsewhere: StoredRow[]
  orphaned: OrphanedRow[]
  paused: boolean
}

/**
 * Any other message of the thread. `ready`: the file is open. `refused`: the file can't be the queue. `unavailable`: nothing can be stored.
 * `refusing`: no new messages are accepted, while accepted ones are still delivered. A null problem ends either condition.
 */
export type Announcement =
  | { kind: 'ready' }
  | { kind: 'refused'; problem: string }
  | { kind: 'unavailable' | 'refusing'; problem: string | null }

export type FromOutbox = Report | Announcement

/**
 * Creates an empty file that only this user may read, unless the file exists. An existing file is not opened, here or anywhere
 * else but by SQLite: the operating system drops all locks that a process has on a file as soon as the process closes
 * any descriptor of it, and another mailer in this process may rely on these locks.
 */
export function createPrivateFile(file: string): void {
  try {
    closeSync(openSync(file, 'wx', 0o600))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}
