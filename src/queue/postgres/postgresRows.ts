import { type MailJob, type MessageState, STATUSES, waitsForTransport } from '../../message/messageState.js'
import type { StatusCounts } from '../driver.js'
import type { RowCipher } from '../encryption/rowCipher.js'
import type { RecordChange, RecordRange } from '../records.js'
import {
  packFiles,
  packJob,
  packState,
  packWhole,
  sealerFor,
  unpackFiles,
  unpackHead,
  unpackState,
} from '../rowCodec.js'
import type { MessageReader } from '../storedQueries.js'
import {
  type NewRow,
  type Replacement,
  type StateRow,
  STATUS_NUMBERS,
  type StatusNumber,
  type StoredRow,
  type WholeRow,
} from '../storedRow.js'
import type { Statement } from './statements.js'

/** A row of a message as the statements return it. */
export interface PostgresRow extends StoredRow {
  id: string
}

/** A row that `claim` returns for a message. */
export interface PostgresClaim extends PostgresRow {
  /** The position in the line: 0 goes first. */
  rank: number
  /** The group that had the message's turn. */
  turn: string
  /** Whether the message was inserted by SQL and is not checked yet. */
  submitted: boolean
  content: string | null
  files: string | null
}

export interface ClaimedMessages {
  /** Whether this process counts as alive; if not, it claims nothing until its next heartbeat. */
  alive: boolean
  /** Whether there may be more messages. */
  more: boolean
  /** Time from which the next message can be claimed that can't be yet. */
  later: number | undefined
  messages: PostgresClaim[]
}

/** A message as the statement `enqueue` takes it. */
export interface PackedMessage {
  id: string
  messageId: string
  fingerprint: string | null
  key: string | null
  keyUntil: number
  /** Other forms in which the key may be stored: of other encryption keys, and clear. */
  otherKeys?: string[]
  otherFingerprints?: string[]
  head: string
  content: string
  files: string
  rank: number
  /** The group that takes turns with others. */
  turn: string
  due: number
  expiresAt: number
  notBefore: number | null
  /** Whether it can be claimed at once. */
  ready: boolean
}

/** @param keepKey milliseconds for which an idempotency key is remembered at least */
export function packMessage(job: MailJob, keepKey: number, cipher?: RowCipher): PackedMessage {
  const row = packJob(job, keepKey, cipher)
  const { content, notBefore, expiresAt, otherForms = [] } = row
  return {
    ...fixedColumns(row),
    ...(otherForms.length === 0
      ? {}
      : {
          otherKeys: otherForms.flatMap((form) => (form.key === null ? [] : [escaped(form.key)])),
          otherFingerprints: otherForms.flatMap((form) => form.fingerprint ?? []),
        }),
    content,
    due: Math.ceil(Math.max(notBefore ?? 0, job.acceptedAt)),
    expiresAt: Math.floor(expiresAt),
    notBefore: notBefore === null ? null : Math.ceil(notBefore),
    ready: notBefore === null || notBefore <= Date.now(),
  }
}

/** The columns that stay as they are when a message is inserted, whatever queue it comes from. */
function fixedColumns(row: NewRow) {
  const { id, messageId, fingerprint, key, keyUntil, head, attachments, rank, group } = row
  return {
    id,
    messageId,
    fingerprint,
    key: key === null ? null : escaped(key),
    keyUntil: Math.ceil(keyUntil),
    head,
    files: packFiles(attachments),
    rank,
    turn: escaped(group),
  }
}

/** The columns that change with the state of a message. A message is never due too early, and never expires too late. */
function stateColumns({ status, rest, dueAt, expiresAt, nextAttemptAt, settledAt }: StateRow) {
  return {
    status,
    rest,
    due: Math.ceil(dueAt),
    expiresAt: Math.floor(expiresAt),
    next: nextAttemptAt === null ? null : Math.ceil(nextAttemptAt),
    settled: settledAt === null ? null : Math.floor(settledAt),
  }
}

/** A name as Postgres can store it: a text has no NUL and no half of a surrogate pair. */
function escaped(name: string): string {
  return JSON.stringify(name).slice(1, -1)
}

/** A new state of a message. */
export interface PostgresChange {
  id: string
  row: Pick<StoredRow, 'seq' | 'rev' | 'status'>
  state: MessageState
  /** Whether the content is deleted. */
  dropContent: boolean
  /** Process deaths in a row; kept until a delivery ends in another way. */
  losses: number
  /** The transport for which the message is held, if it is. */
  heldFor?: string
  replacement?: Replacement
  records?: readonly RecordChange[] | undefined
  /** The change as it was first sent. */
  packed?: PackedChange
}

/** A change as the statements take it. */
export interface PackedChange {
  seq: number
  id: string
  rev: number
  was: StatusNumber
  status: StatusNumber
  rest: string | null
  due: number
  expiresAt: number
  next: number | null
  settled: number | null
  drop: boolean
  losses: number
  ready: boolean | null
  held: string | null
  head?: string
  forget?: string[]
}

export function packPostgresChange(
  { id, row, state, dropContent, losses, heldFor, replacement }: PostgresChange,
  cipher?: RowCipher,
): PackedChange {
  const packed = packState(state, sealerFor(id, cipher))
  const { nextAttemptAt } = packed
  return {
    ...stateColumns(packed),
    seq: row.seq,
    id,
    rev: row.rev,
    was: row.status,
    drop: dropContent,
    losses,
    ready: state.status === 'queued' ? true : nextAttemptAt === null ? null : false,
    held: heldFor ?? null,
    ...(replacement === undefined
      ? {}
      : { head: replacement.head, forget: replacement.forget.map((key) => escaped(key)) }),
  }
}

/** A message of another queue as the statement `transfer` takes it. */
export function packTransfer(whole: WholeRow, keepKey: number, cipher: RowCipher | undefined): object {
  const packed = packWhole(whole, keepKey, cipher)
  const job = unpackHead(whole)
  const state = unpackState(whole, job)
  const { losses, nextAttemptAt } = whole
  const waits = nextAttemptAt !== null && nextAttemptAt > Date.now()
  return {
    ...fixedColumns(packed),
    ...stateColumns({ ...whole, rest: packed.rest }),
    content: whole.content === null ? null : packed.content,
    losses,
    ready: state.status === 'queued' ? !waits : nextAttemptAt === null ? null : false,
    held: waitsForTransport(state) ? job.transport : null,
  }
}

/** A text in Postgres has no NUL, which ends the start of a range after a key; no key has the character after it either. */
export function packRange({ from, to, limit }: RecordRange): object {
  return { from: from.replaceAll('\0', '\x01'), to: to.replaceAll('\0', '\x01'), limit }
}

/** The message that has an id or a key already. */
export interface KnownMessage {
  id: string
  messageId: string
  fingerprint: string | null
}

/** A row of `enqueue`: a message that was not inserted. */
export type NotInsertedRow = { nth: number; full: boolean } & (KnownMessage | { id: null })

/** Why a message was not inserted: the queue is full, or another message has its id or key, unless it was just deleted. */
export interface NotInserted {
  isFull: boolean
  known: KnownMessage | undefined
}

/** Runs a statement and returns its rows: on a connection of the queue, or in a caller's transaction. */
export type Run = (text: Statement, values: readonly unknown[]) => Promise<unknown[]>

/** The reply of the statement `stats`. */
export interface StatsRow {
  paused: boolean
  /** Counts by the number of the status, and of all messages ever accepted under -1. */
  counts: Record<string, number> | null
  /** Time since which the oldest due message waits. */
  since: number | null
}

export function unpackStats(
  row: StatsRow | undefined,
  now: number,
): Awaited<ReturnType<MessageReader['stats']>> {
  const { paused = false, counts = null, since = null } = row ?? {}
  return {
    paused,
    accepted: counts?.['-1'] ?? 0,
    oldest: Math.max(0, now - (since ?? now)),
    counts: Object.fromEntries(
      STATUSES.map((name) => [name, counts?.[STATUS_NUMBERS[name]] ?? 0]),
    ) as StatusCounts,
  }
}

/** Opens a claimed message of an encrypted queue, and its files. */
export function openClaim(row: PostgresClaim, cipher: RowCipher | undefined): PostgresClaim {
  if (cipher === undefined) return row
  const { attachments, ...opened } = cipher.open({ ...row, attachments: unpackFiles(row.files) })
  return { ...opened, files: packFiles(attachments.length === 0 ? null : attachments) }
}
