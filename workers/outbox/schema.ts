import type { StatusNumber, StoredRow } from '../../src/queue/storedRow.js'

/** 'TPST': marks a file as ours. */
export const APPLICATION_ID = 0x54505354

/** Where a message waits: nowhere, ready for delivery, scheduled for a later time, or ready for delivery in isolation. */
export const PLACE = { none: 0, ready: 1, scheduled: 2, isolated: 3 } as const

/**
 * One migration for each version of the file, applied in order; `user_version` is the number of those applied. A released
 * migration never changes.
 *
 * - `tally` is one row with the message counts, so that no query ever counts messages. `claims` counts all claims ever made,
 *   and `origin` identifies the file and its copies: see `claimCounter.ts`.
 * - `message.turn` is the group with which a message takes turns.
 * - `message.head` and `content.body` are JSON: the part that never changes, and the part dropped after settling.
 *   `content.octets` is a finished message.
 * - `record` holds what the processes share besides messages: see src/queue/records.ts. Its value is JSON.
 * - `term` and `search` are the search index, filled in idle time up to `tally.indexed`.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE tally (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    accepted INTEGER NOT NULL DEFAULT 0,
    indexed INTEGER NOT NULL DEFAULT 0,
    paused INTEGER NOT NULL DEFAULT 0,
    s0 INTEGER NOT NULL DEFAULT 0,
    s1 INTEGER NOT NULL DEFAULT 0,
    s2 INTEGER NOT NULL DEFAULT 0,
    s3 INTEGER NOT NULL DEFAULT 0,
    s4 INTEGER NOT NULL DEFAULT 0,
    s5 INTEGER NOT NULL DEFAULT 0,
    s6 INTEGER NOT NULL DEFAULT 0,
    s7 INTEGER NOT NULL DEFAULT 0,
    s8 INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  INSERT INTO tally (one) VALUES (1);

  CREATE TABLE message (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    rev INTEGER NOT NULL DEFAULT 0,
    status INTEGER NOT NULL,
    place INTEGER NOT NULL,
    rank INTEGER NOT NULL,
    losses INTEGER NOT NULL DEFAULT 0,
    token TEXT,
    accepted_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    next_attempt_at INTEGER,
    settled_at INTEGER,
    rest TEXT,
    head TEXT NOT NULL
  ) STRICT;
  CREATE INDEX message_status ON message (status, seq);
  CREATE INDEX message_line ON message (rank, seq) WHERE place = 1;
  CREATE INDEX message_alone ON message (rank, seq) WHERE place = 3;
  CREATE INDEX message_scheduled ON message (due_at) WHERE place = 2;
  CREATE INDEX message_expiry ON message (expires_at) WHERE settled_at IS NULL;
  CREATE INDEX message_settled ON message (settled_at, seq) WHERE settled_at IS NOT NULL;

  CREATE TABLE content (seq INTEGER PRIMARY KEY, body TEXT NOT NULL, attachments TEXT) STRICT;
  CREATE TABLE attachment (
    hash BLOB PRIMARY KEY,
    uses INTEGER NOT NULL,
    bytes BLOB NOT NULL
  ) STRICT;

  CREATE TABLE idempotency (
    key TEXT PRIMARY KEY,
    fingerprint TEXT,
    id TEXT NOT NULL,
    message_id TEXT NOT NULL,
    kept_until INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX idempotency_kept ON idempotency (kept_until);

  CREATE TABLE term (term TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (term, seq)) STRICT, WITHOUT ROWID;
  CREATE VIRTUAL TABLE search USING fts5(
    text, content = '', contentless_delete = 1, tokenize = 'trigram', detail = 'none'
  );
  `,
  `
  CREATE INDEX message_waiting ON message (due_at) WHERE place = 1;
  `,
  `
  CREATE INDEX message_held ON message (json_extract(head, '$.transport'), rank, due_at)
    WHERE place = 2 AND status = 3;
  `,
  `
  ALTER TABLE tally ADD COLUMN claims INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE tally ADD COLUMN origin TEXT;
  UPDATE tally SET origin = lower(hex(randomblob(16)));
  `,
  `
  CREATE TABLE record (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    written_at INTEGER NOT NULL,
    keep_until INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX record_kept ON record (keep_until);
  `,
  `
  ALTER TABLE message ADD COLUMN turn TEXT NOT NULL DEFAULT '';
  DROP INDEX message_line;
  CREATE INDEX message_turn ON message (rank, turn, seq) WHERE place = 1;
  `,
  `
  ALTER TABLE content ADD COLUMN octets BLOB;
  `,
]

/** A row of `message` as the statements in this folder select it. */
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
