import type { StatusNumber, StoredRow } from '../../src/queue/storedRow.js'

/** A row of `message` as the statements of this folder select it. */
export interface MessageRow {
  seq: number
  rev: number
  status: StatusNumber
  losses: number
  token: string | null
  due_at: number
  expires_at: number
  next_attempt_at: number | null
  settled_at: number | null
  accepted_at: number
  rest: string | null
  head: string
}

/** The columns of {@link MessageRow}; the table must be called `m`. */
export const MESSAGE_COLUMNS = `m.seq, m.rev, m.status, m.losses, m.token, m.due_at, m.expires_at, m.next_attempt_at,
  m.settled_at, m.accepted_at, m.rest, m.head`

export function toStored(row: MessageRow): StoredRow {
  return {
    seq: row.seq,
    rev: row.rev,
    status: row.status,
    losses: row.losses,
    dueAt: row.due_at,
    expiresAt: row.expires_at,
    nextAttemptAt: row.next_attempt_at,
    settledAt: row.settled_at,
    rest: row.rest,
    head: row.head,
  }
}
