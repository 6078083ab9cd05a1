/** A message as rows: what the SQLite file and Redis store, and what crosses to the outbox thread. */
import { isSettled, type MailJob, type Status, STATUSES } from '../message/messageState.js'
import type { Content, JobAttachment } from '../protocol/tasks.js'

type Digits = Exclude<keyof typeof STATUSES, keyof (readonly unknown[])>
type NumberOf<Digit> = Digit extends `${infer Number extends number}` ? Number : never

/** A status as stored: its position in {@link STATUSES}, so that list may only grow at its end. */
export type StatusNumber = NumberOf<Digits>

/** The number of each status. */
export const STATUS_NUMBERS = Object.fromEntries(
  STATUSES.map((status, number) => [status, number]),
) as Record<Status, StatusNumber>

/** The statuses by their number. */
export const STATUS_NAMES: readonly Status[] = STATUSES

/** A message with this number or a higher one is settled. */
export const FIRST_SETTLED = STATUSES.findIndex(isSettled)

/** The bytes of one attachment: text as a string, anything else as bytes. A finished message is stored as one, too. */
export interface AttachmentBytes {
  content: string | Uint8Array
  /** It is a finished message: no other message has the same bytes. */
  isMessage?: true
}

/** The part of a job's content that remains when data and bodies are dropped. */
export type ContentSummary =
  { kind: 'template'; name: string; locale?: string } | { kind: Exclude<Content['kind'], 'template'> }
/** The job without its content, as `head` stores it. */
export type JobHead = Omit<MailJob, 'content' | 'attachments'> & {
  content: ContentSummary
  attachments: Omit<JobAttachment, 'content'>[]
}

/** An idempotency key and a fingerprint as they may be stored. */
export interface KeyForm {
  key: string | null
  fingerprint: string | null
}

/** A message to be inserted. */
export interface NewRow {
  id: string
  messageId: string
  /** JSON of the job without its content. */
  head: string
  /** JSON of the content: data, sources, bodies. */
  content: string
  /** Null if there are none. */
  attachments: AttachmentBytes[] | null
  /** The priority reversed: 0 goes first. */
  rank: number
  /** The group that takes turns with others; empty without one. */
  group: string
  /** Milliseconds since the epoch, as all times here. */
  acceptedAt: number
  notBefore: number | null
  expiresAt: number
  /** The idempotency key. */
  key: string | null
  fingerprint: string | null
  /** The time until which the key is remembered. */
  keyUntil: number
  /** Other forms in which `key` and `fingerprint` may be stored: of other encryption keys, and clear. @default none */
  otherForms?: readonly KeyForm[]
}

/** The values of a {@link NewRow} in a fixed order. Only {@link packRow} and {@link unpackRow} know the positions. */
export type PackedRow = [
  id: string,
  messageId: string,
  head: string,
  content: string,
  attachments: AttachmentBytes[] | null,
  rank: number,
  group: string,
  acceptedAt: number,
  notBefore: number | null,
  expiresAt: number,
  key: string | null,
  fingerprint: string | null,
  keyUntil: number,
  otherForms: readonly KeyForm[],
]

/** Packs a row for its way to the outbox thread: posting an object would copy the names of its fields with each message. */
export function packRow(row: NewRow): PackedRow {
  return [
    row.id,
    row.messageId,
    row.head,
    row.content,
    row.attachments,
    row.rank,
    row.group,
    row.acceptedAt,
    row.notBefore,
    row.expiresAt,
    row.key,
    row.fingerprint,
    row.keyUntil,
    row.otherForms ?? NO_FORMS,
  ]
}

const NO_FORMS: readonly KeyForm[] = []

/** The reverse of {@link packRow}. */
export function unpackRow(packed: PackedRow): NewRow {
  const [id, messageId, head, content, attachments, rank, group, acceptedAt, ...rest] = packed
  const [notBefore, expiresAt, key, fingerprint, keyUntil, otherForms] = rest
  return {
    id,
    messageId,
    head,
    content,
    attachments,
    rank,
    group,
    acceptedAt,
    notBefore,
    expiresAt,
    key,
    fingerprint,
    keyUntil,
    otherForms,
  }
}

/** The changing part of a message. */
export interface StateRow {
  status: StatusNumber
  dueAt: number
  expiresAt: number
  nextAttemptAt: number | null
  settledAt: number | null
  /** JSON of the attempts, the recipients and the flags; null until the first change. */
  rest: string | null
}

/** A message as it is stored. */
export interface StoredRow extends StateRow {
  /** Position in the order of acceptance. */
  seq: number
  /** Revision: grows with each change. A write that names an older one is stale. */
  rev: number
  /** How many processes died in a row while they were delivering the message. */
  losses: number
  /** JSON of the job without its content. */
  head: string
}

/** A message claimed for delivery, with its content. */
export interface ClaimedRow extends StoredRow {
  content: string
  attachments: AttachmentBytes[]
}

/** A message read with its content; `content` is null once the retention has dropped it. */
export interface LoadedRow {
  head: string
  content: string | null
  attachments: AttachmentBytes[]
}

/** A message with the content that it still has, as one queue passes it to another. */
export interface WholeRow extends StoredRow {
  /** Null once the retention has dropped it. */
  content: string | null
  attachments: AttachmentBytes[]
}

/** The part that is stored with a job that replaces another: its head, and the idempotency keys to forget, in all their forms. */
export interface Replacement {
  head: string
  forget: string[]
}
