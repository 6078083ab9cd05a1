/** A message as the SQLite file and Redis have it: a row, and the numbers that stand in the file. */
import type { Status } from '../message/messageState.js'

/** As they stand in the file: never change one. */
export const STATUS_NUMBERS = {
  queued: 0,
  sending: 1,
  deferred: 2,
  held: 3,
  sent: 4,
  partial: 5,
  failed: 6,
  expired: 7,
  cancelled: 8,
} as const satisfies Record<Status, number>

export type StatusNumber = (typeof STATUS_NUMBERS)[Status]

export const STATUS_NAMES = Object.keys(STATUS_NUMBERS) as Status[]

/** From this number on a message is settled. */
export const FIRST_SETTLED = STATUS_NUMBERS.sent

export interface AttachmentBytes {
  content: string | Uint8Array
}

/** A message to be taken in. A tuple, since names of fields would be copied with each. `head` and `content` are JSON. */
export type NewRow = [
  id: string,
  messageId: string,
  /** The job without its content. */
  head: string,
  /** The content: data, sources, bodies. */
  content: string,
  attachments: AttachmentBytes[] | null,
  /** 0 goes first. */
  rank: number,
  acceptedAt: number,
  notBefore: number | null,
  expiresAt: number,
  key: string | null,
  fingerprint: string | null,
  /** Until when the key is remembered, in ms since the epoch. */
  keyUntil: number,
]

/** What changes about a message. */
export interface StateRow {
  status: StatusNumber
  dueAt: number
  expiresAt: number
  nextAttemptAt: number | null
  settledAt: number | null
  /** JSON of the attempts, the recipients and the marks; null as long as it is as it was accepted. */
  rest: string | null
}

/** A message as it is stored. */
export interface StoredRow extends StateRow {
  /** Place in the order of acceptance. */
  seq: number
  /** Grows with each change: a write that names an older one comes too late. */
  rev: number
  /** Times a process died with the message in its hands. */
  losses: number
  head: string
}

/** A message handed out for delivery. */
export interface TakenRow extends StoredRow {
  content: string
  attachments: AttachmentBytes[]
}

/** A message read with what is left of its content. */
export interface LoadedRow {
  head: string
  content: string | null
  attachments: AttachmentBytes[]
}
