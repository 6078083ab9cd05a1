import { closeSync, openSync } from 'node:fs'
import { MAX_SHARED_CRASHES } from '../../delivery/crashRecovery.js'
import type { Status } from '../../message/messageState.js'
import type { Evidence } from '../../protocol/evidence.js'
import type { CommitStats, Enqueued } from '../driver.js'
import type { Retention } from '../retention.js'
import type { LoadedRow, NewRow, StateRow, StatusNumber, StoredRow, TakenRow } from '../storedRow.js'

/** What crosses between the SQLite driver and its outbox thread. */

/** Process deaths a message may be in before it is handed out with nothing beside it. */
export const COMPANY_LIMIT = MAX_SHARED_CRASHES

/** Given to the thread once. */
export interface OutboxSetup {
  /** Absolute path of the file. */
  file: string
  /** Messages not settled, at most. */
  limit: number
  /** Bytes the file may have when a message is taken in. */
  maxSize?: number
  retain: Retention
  /** Names this process's deliveries in the file; see `evidenceFile`. */
  token: string
}

/** Where the threads of one process note how far each delivery got; it outlives the process. */
export function evidenceFile(file: string, token: string): string {
  return `${file}-evidence-${token}`
}

/** What became of a {@link NewRow}; null is the usual: it is queued. */
export type Acceptance = Exclude<Enqueued, { result: 'queued' }> | null

/** A message handed out that its process took in a moment ago, and has at hand as it was accepted. */
export interface KnownRow {
  seq: number
  rev: number
  id: string
}

/**
 * Messages that are named by their id alone when they are handed out to the process that took them in: the last ones
 * that {@link isKept} holds for. The thread counts those it stored, the main thread those it was told of, so that what
 * the thread takes for known (at most twice this number) is among what the main thread keeps.
 */
export const KNOWN = 1_000
const KEPT_LENGTH = 16 * 1024

/** Whether a message's process keeps it at hand: a small one, for what is kept is bounded by its number only. */
export function isKept([, , , content, attachments]: NewRow): boolean {
  return attachments === null && content.length <= KEPT_LENGTH
}

/** A message that was in the hands of a process when it died. */
export interface LostRow extends StoredRow {
  /** How far its delivery got; null when there is no telling. */
  evidence: Evidence | null
}

export interface RowQuery {
  statuses: StatusNumber[] | null
  q: string | null
  recipient: string | null
  tag: string | null
  template: string | null
  since: number | null
  until: number | null
  limit: number
  /** Older than this place. */
  before: number | null
}

export interface StatsRow {
  counts: Record<Status, number>
  accepted: number
  oldest: number
  paused: boolean
  commits: CommitStats
}

/** Each request, and what it is answered with. */
export interface Requests {
  enqueue: { ask: { rows: NewRow[] }; answer: Acceptance[] }
  /** Stores a new state; `stale` when the message was changed since `rev`. */
  write: {
    ask: { seq: number; rev: number; from: StatusNumber; state: StateRow; drop: boolean }
    answer: 'written' | 'stale'
  }
  /** Puts taken messages back in line, as if they had never been taken. */
  release: { ask: { rows: { seq: number; rev: number; lost: boolean }[] }; answer: null }
  /** Hands out nothing more; what was handed out before is reported before the answer, or with it. */
  stop: { ask: object; answer: null }
  /** So many more may be handed out. */
  credit: { ask: { slots: number }; answer: null }
  /**
   * This process delivers from the file from now on. `inHand`: taken before and still under way. `notes`: deliveries that
   * may be noted beside the file at a time.
   */
  deliver: { ask: { inHand: number[]; notes: number }; answer: null }
  pause: { ask: { paused: boolean }; answer: null }
  /** Makes messages due that are held for the budget of one of these transports; answered with how many. */
  wakeHeld: { ask: { transports: readonly string[]; most: number }; answer: number }
  find: { ask: { id: string }; answer: StoredRow | null }
  /** With its content, which is null once that was dropped. */
  load: { ask: { id: string }; answer: LoadedRow | null }
  list: { ask: { query: RowQuery }; answer: { rows: StoredRow[]; cursor: number | null } }
  stats: { ask: object; answer: StatsRow }
  /** Reports the message's settlement even if another process brings it about. */
  follow: { ask: { id: string; on: boolean }; answer: null }
  close: { ask: object; answer: null }
}

export type RequestKind = keyof Requests
export type Answer<K extends RequestKind> = Requests[K]['answer']
export type Request = { [K in RequestKind]: { n: number; kind: K } & Requests[K]['ask'] }[RequestKind]
export type RequestOf<K extends RequestKind> = Extract<Request, { kind: K }>

/** What the thread says after a commit. Everything in it is on disk. */
export interface Report {
  kind: 'report'
  answers: [n: number, answer: Answer<RequestKind>][]
  /** Requests of which nothing was stored, and why. */
  failures: [n: number, problem: string][]
  taken: (TakenRow | KnownRow)[]
  /** Messages that the outbox itself ended, being too late. */
  expired: StoredRow[]
  /** Followed messages that another process settled. */
  settledElsewhere: StoredRow[]
  lost: LostRow[]
  paused: boolean
}

/**
 * What the thread says, apart from reports: it is ready, it refuses the file, why nothing can be stored, or why no new
 * message is taken in while those accepted are still delivered (null: no more).
 */
export type Announcement =
  | { kind: 'ready' }
  | { kind: 'refused'; problem: string }
  | { kind: 'trouble' | 'refusing'; problem: string | null }

export type FromOutbox = Report | Announcement

/**
 * Makes an empty file that only this user may read, where there is none. One that is there is not opened, here or anywhere
 * else but by SQLite: the operating system drops all locks that a process has on a file as soon as the process closes
 * any descriptor of it, and another mailer of this process may rely on them.
 */
export function makePrivate(file: string): void {
  try {
    closeSync(openSync(file, 'wx', 0o600))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}
