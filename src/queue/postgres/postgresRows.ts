import { type MailJob, type MessageState, waitsForTransport } from '../../message/messageState.js'
import type { RecordChange, RecordRange } from '../records.js'
import { packFiles, packJob, packState, packWhole, unpackHead, unpackState } from '../rowCodec.js'
import type { StatusNumber, StoredRow, WholeRow } from '../storedRow.js'

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
export function packMessage(job: MailJob, keepKey: number): PackedMessage {
  const {
    id,
    messageId,
    head,
    content,
    attachments,
    rank,
    group,
    notBefore,
    expiresAt,
    key,
    fingerprint,
    keyUntil,
  } = packJob(job, keepKey)
  return {
    id,
    messageId,
    fingerprint,
    key: key === null ? null : escaped(key),
    keyUntil: Math.ceil(keyUntil),
    head,
    content,
    files: packFiles(attachments),
    rank,
    turn: escaped(group),
    due: Math.ceil(Math.max(notBefore ?? 0, job.acceptedAt)),
    expiresAt: Math.floor(expiresAt),
    notBefore: notBefore === null ? null : Math.ceil(notBefore),
    ready: notBefore === null || notBefore <= Date.now(),
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
  records?: readonly RecordChange[] | undefined
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
}

export function packPostgresChange({
  id,
  row,
  state,
  dropContent,
  losses,
  heldFor,
}: PostgresChange): PackedChange {
  const { status, rest, dueAt, expiresAt, nextAttemptAt, settledAt } = packState(state)
  return {
    seq: row.seq,
    id,
    rev: row.rev,
    was: row.status,
    status,
    rest,
    due: Math.ceil(dueAt),
    expiresAt: Math.floor(expiresAt),
    next: nextAttemptAt === null ? null : Math.ceil(nextAttemptAt),
    settled: settledAt === null ? null : Math.floor(settledAt),
    drop: dropContent,
    losses,
    ready: state.status === 'queued' ? true : nextAttemptAt === null ? null : false,
    held: heldFor ?? null,
  }
}

/** A message of another queue as the statement `transfer` takes it. */
export function packTransfer(whole: WholeRow, keepKey: number): object {
  const { id, messageId, fingerprint, key, keyUntil, head, rank, group, attachments } = packWhole(
    whole,
    keepKey,
  )
  const job = unpackHead(whole)
  const state = unpackState(whole, job)
  const { status, rest, dueAt, expiresAt, nextAttemptAt, settledAt, losses, content } = whole
  const waits = nextAttemptAt !== null && nextAttemptAt > Date.now()
  return {
    id,
    messageId,
    fingerprint,
    key: key === null ? null : escaped(key),
    keyUntil: Math.ceil(keyUntil),
    head,
    content,
    files: packFiles(attachments),
    rank,
    turn: escaped(group),
    status,
    rest,
    due: Math.ceil(dueAt),
    expiresAt: Math.floor(expiresAt),
    next: nextAttemptAt === null ? null : Math.ceil(nextAttemptAt),
    settled: settledAt === null ? null : Math.floor(settledAt),
    losses,
    ready: state.status === 'queued' ? !waits : nextAttemptAt === null ? null : false,
    held: waitsForTransport(state) ? job.transport : null,
  }
}

/** A text in Postgres has no NUL, which ends the start of a range after a key; no key has the character after it either. */
export function packRange({ from, to, limit }: RecordRange): object {
  return { from: from.replaceAll('\0', '\x01'), to: to.replaceAll('\0', '\x01'), limit }
}
