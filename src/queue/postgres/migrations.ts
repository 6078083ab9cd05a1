import { STATUS_NUMBERS } from '../storedRow.js'
import { functionsIn, SAFE_PATH } from './sqlFunctions.js'
import { channelsOf } from './statements.js'

/** A change of the schema. Migrations are only ever appended: a released one never changes. */
export interface Migration {
  /** One line for a person. */
  title: string
  /** @param schema quoted name of the schema */
  sql: (schema: string) => string
}

const { queued, sending, deferred, held } = STATUS_NUMBERS

/**
 * The tables. A message is three rows with one `seq`, its number in the order of insertion: `messages` never changes, `contents`
 * is removed once it is no longer needed, and `states` is small, since every step of a delivery writes it anew.
 *
 * `states.ready` says in which line a message waits: true: it can be claimed now, by rank, and within a rank when its group,
 * `turn`, has its turn; false: from `due_at` on; null: it waits for nothing. `rev` grows with each change, and a change names the revision that it was made from.
 *
 * `counts` is the sum of the messages in each status, as a sum of rows: a statement adds rows instead of changing one, so that
 * no transaction waits for another. Maintenance folds them. Status -1 counts all messages that were ever accepted.
 */
const TABLES: Migration = {
  title: 'messages, records and processes',
  sql: (schema) => `
CREATE TABLE ${schema}.messages (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id uuid NOT NULL UNIQUE,
  message_id text NOT NULL,
  fingerprint text,
  head text NOT NULL,
  submitted boolean NOT NULL DEFAULT false
);
CREATE TABLE ${schema}.contents (
  seq bigint PRIMARY KEY,
  content text NOT NULL,
  files text NOT NULL DEFAULT ''
);
CREATE TABLE ${schema}.states (
  seq bigint PRIMARY KEY,
  rank smallint NOT NULL,
  turn text COLLATE "C" NOT NULL DEFAULT '',
  status smallint NOT NULL DEFAULT ${queued},
  ready boolean,
  due_at bigint NOT NULL,
  expires_at bigint NOT NULL,
  next_at bigint,
  settled_at bigint,
  rev integer NOT NULL DEFAULT 0,
  losses smallint NOT NULL DEFAULT 0,
  owner bigint,
  claimed_at timestamptz,
  held_for text,
  rest text
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
  autovacuum_analyze_scale_factor = 0.05);
CREATE INDEX states_ready ON ${schema}.states (rank, turn, seq) WHERE ready;
CREATE INDEX states_later ON ${schema}.states (due_at) WHERE NOT ready;
CREATE INDEX states_status ON ${schema}.states (status, seq);
CREATE INDEX states_settled ON ${schema}.states (settled_at) WHERE settled_at IS NOT NULL;
CREATE INDEX states_expiry ON ${schema}.states (expires_at) WHERE status IN (${queued}, ${deferred}, ${held});
CREATE INDEX states_held ON ${schema}.states (held_for, rank, due_at) WHERE held_for IS NOT NULL;
CREATE TABLE ${schema}.keys (
  key text COLLATE "C" PRIMARY KEY,
  id uuid NOT NULL,
  message_id text NOT NULL,
  fingerprint text,
  keep_until bigint NOT NULL
);
CREATE INDEX keys_expiry ON ${schema}.keys (keep_until);
CREATE TABLE ${schema}.counts (
  status smallint NOT NULL,
  n bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
CREATE TABLE ${schema}.processes (
  owner bigint PRIMARY KEY,
  seen timestamptz NOT NULL,
  follows boolean NOT NULL
) WITH (fillfactor = 50);
CREATE TABLE ${schema}.settings (
  name text PRIMARY KEY,
  value text NOT NULL
);
CREATE TABLE ${schema}.records (
  key text COLLATE "C" PRIMARY KEY,
  keep_until bigint NOT NULL,
  numbers jsonb NOT NULL,
  document text,
  changed_at timestamptz NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX records_expiry ON ${schema}.records (keep_until);
CREATE UNLOGGED TABLE ${schema}.permits (
  transport text NOT NULL,
  id text NOT NULL,
  free_at double precision NOT NULL,
  PRIMARY KEY (transport, id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE ${schema}.states IS 'status ${sending} is sending; owner is the delivering process';`,
}

const FUNCTIONS: Migration = {
  title: 'functions for messages, records, the rates of transports, and the turns of groups',
  sql: functionsIn,
}

/** Milliseconds until a submitted mail expires that names no time itself: the default of `maxAge`. */
const SUBMISSION_AGE = 3 * 24 * 60 * 60 * 1000

/**
 * The way in for other languages. A submitted mail is stored as it is, and shown with what SQL can read of it, until a
 * delivering process has checked it and made it a message as any other.
 */
const SUBMISSIONS: Migration = {
  title: 'send(mail)',
  sql: (schema) => `
CREATE FUNCTION ${schema}.mailboxes(input jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE ${SAFE_PATH} AS $$
  SELECT coalesce(jsonb_agg(CASE jsonb_typeof(entry)
    WHEN 'object' THEN jsonb_build_object('address', coalesce(entry ->> 'address', ''))
    ELSE jsonb_build_object('address', trim(coalesce(substring(entry #>> '{}' FROM '<([^<>]*)>\\s*$'), entry #>> '{}')))
  END), '[]') FROM jsonb_array_elements(CASE jsonb_typeof(input) WHEN 'array' THEN input ELSE jsonb_build_array(input) END) AS t(entry)
  WHERE jsonb_typeof(entry) IN ('object', 'string')
$$;

-- Accepts a mail in the format of the HTTP API, in the caller's transaction. Returns the id of its message; with an
-- idempotencyKey that is known, the id of the message that has it.
CREATE FUNCTION ${schema}.send(mail jsonb) RETURNS uuid LANGUAGE plpgsql ${SAFE_PATH} AS $$
DECLARE
  now_ms bigint := ${schema}.now_ms();
  bytes bytea := overlay(uuid_send(gen_random_uuid()) PLACING substring(int8send(now_ms) FROM 3) FROM 1 FOR 6);
  new_id uuid := encode(set_byte(bytes, 6, (get_byte(bytes, 6) & 15) | 112), 'hex')::uuid;
  new_seq bigint;
  new_key text;
  print text;
  known record;
  priority integer := 5;
  turn text := '';
  due bigint := now_ms;
  expires bigint := now_ms + ${SUBMISSION_AGE};
BEGIN
  IF jsonb_typeof(mail) IS DISTINCT FROM 'object' THEN
    RAISE EXCEPTION 'mail: must be an object' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  print := 'sql:' || md5((mail - 'idempotencyKey')::text);
  IF NOT mail ?| ARRAY['to', 'cc', 'bcc', 'raw'] THEN
    RAISE EXCEPTION 'to: the mail has no recipient in to, cc or bcc' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF mail ? 'idempotencyKey' THEN
    IF jsonb_typeof(mail -> 'idempotencyKey') <> 'string' OR mail ->> 'idempotencyKey' = '' THEN
      RAISE EXCEPTION 'idempotencyKey: must be a text that is not empty' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF mail ->> 'idempotencyKey' ~ '[\\u0001-\\u001f\\u007f]' THEN
      RAISE EXCEPTION 'idempotencyKey: contains a control character' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    new_key := substr((mail -> 'idempotencyKey')::text, 2, length((mail -> 'idempotencyKey')::text) - 2);
    INSERT INTO ${schema}.keys AS k (key, id, message_id, fingerprint, keep_until) VALUES (new_key, new_id, '', print, expires)
      ON CONFLICT (key) DO UPDATE SET id = excluded.id, message_id = '', fingerprint = excluded.fingerprint,
        keep_until = excluded.keep_until WHERE k.keep_until <= now_ms;
    IF NOT FOUND THEN
      SELECT id, fingerprint INTO known FROM ${schema}.keys WHERE key = new_key;
      IF known.fingerprint LIKE 'sql:%' AND known.fingerprint <> print THEN
        RAISE EXCEPTION 'IDEMPOTENCY_CONFLICT: idempotencyKey: was already used for a different mail' USING ERRCODE = 'unique_violation';
      END IF;
      RETURN known.id;
    END IF;
  END IF;
  IF jsonb_typeof(mail -> 'priority') = 'number' THEN
    priority := least(9, greatest(0, (mail ->> 'priority')::numeric))::integer;
  END IF;
  INSERT INTO ${schema}.messages (id, message_id, head, submitted) VALUES (new_id, '', (jsonb_build_object(
    'id', new_id, 'messageId', '', 'date', now_ms, 'from', coalesce(${schema}.mailboxes(mail -> 'from') -> 0, '{"address": ""}'),
    'to', ${schema}.mailboxes(mail -> 'to'), 'cc', ${schema}.mailboxes(mail -> 'cc'), 'bcc', ${schema}.mailboxes(mail -> 'bcc'),
    'replyTo', jsonb_build_array(), 'envelopeFrom', '', 'headers', jsonb_build_array(), 'references', jsonb_build_array(),
    'attachments', jsonb_build_array(), 'tags', jsonb_build_array(), 'transport', coalesce(mail ->> 'transport', 'default'),
    'priority', priority, 'acceptedAt', now_ms, 'expiresAt', expires, 'onUncertain', 'retry',
    'content', CASE WHEN mail ? 'template' THEN jsonb_build_object('kind', 'template', 'name', mail ->> 'template')
      ELSE '{"kind": "literal"}' END
  ) || CASE WHEN jsonb_typeof(mail -> 'subject') = 'string' THEN jsonb_build_object('subject', mail -> 'subject') ELSE '{}' END)::text, true)
  RETURNING seq INTO new_seq;
  INSERT INTO ${schema}.contents (seq, content) VALUES (new_seq, mail::text);
  IF jsonb_typeof(mail -> 'group') = 'string' THEN
    turn := left(mail ->> 'group', 128);
  END IF;
  INSERT INTO ${schema}.states (seq, rank, turn, ready, due_at, expires_at) VALUES (new_seq, 9 - priority, turn, true, due, expires);
  INSERT INTO ${schema}.counts (status, n) VALUES (${queued}, 1), (-1, 1);
  PERFORM pg_notify('${channelsOf(schema.replaceAll('"', '')).wake}', '');
  RETURN new_id;
END $$;`,
}

export const MIGRATIONS: readonly Migration[] = [TABLES, FUNCTIONS, SUBMISSIONS]
