import { STATUS_NUMBERS } from '../storedRow.js'
import { channelsOf } from './statements.js'

/** A change of the schema. Migrations are only ever appended: a released one never changes. */
export interface Migration {
  /** One line for a person. */
  title: string
  /** @param schema quoted name of the schema */
  sql: (schema: string) => string
}

/** A function's names mean the same for every caller, whose own search path may lead to functions and operators of others. */
const SAFE_PATH = 'SET search_path = pg_catalog, pg_temp'

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

/** Functions that lock before they read, so that a statement alone can't do their work. */
const FUNCTIONS: Migration = {
  title: 'functions for records, for the rates of transports, and for the turns of groups',
  sql: (schema) => `
CREATE FUNCTION ${schema}.now_ms() RETURNS double precision LANGUAGE sql VOLATILE ${SAFE_PATH} AS $$
  SELECT extract(epoch FROM clock_timestamp())::double precision * 1000
$$;

-- Changes records: see src/queue/records.ts. Keys are locked in their order, so that two calls can't wait for each other.
CREATE FUNCTION ${schema}.write_records(changes json) RETURNS void LANGUAGE plpgsql ${SAFE_PATH} AS $$
DECLARE
  change record;
  known jsonb;
BEGIN
  FOR change IN
    SELECT c.*, t.nth FROM json_array_elements(changes) WITH ORDINALITY AS t(value, nth),
      json_to_record(t.value) AS c(key text, "keepUntil" double precision, add jsonb, raise jsonb, document text, remove boolean)
    ORDER BY c.key COLLATE "C", t.nth
  LOOP
    IF change.remove THEN
      DELETE FROM ${schema}.records WHERE key = change.key;
      CONTINUE;
    END IF;
    DELETE FROM ${schema}.records WHERE key = change.key AND keep_until <= ${schema}.now_ms();
    INSERT INTO ${schema}.records (key, keep_until, numbers, changed_at)
      VALUES (change.key, change."keepUntil", '{}', clock_timestamp()) ON CONFLICT (key) DO NOTHING;
    SELECT numbers INTO known FROM ${schema}.records WHERE key = change.key FOR UPDATE;
    SELECT known || coalesce(jsonb_object_agg(name, coalesce((known ->> name)::double precision, 0) + amount::double precision), '{}')
      INTO known FROM jsonb_each_text(coalesce(change.add, '{}')) AS a(name, amount);
    SELECT known || coalesce(jsonb_object_agg(name, greatest((known ->> name)::double precision, least::double precision)), '{}')
      INTO known FROM jsonb_each_text(coalesce(change.raise, '{}')) AS r(name, least);
    UPDATE ${schema}.records SET numbers = known, document = coalesce(change.document, document),
      keep_until = change."keepUntil", changed_at = clock_timestamp() WHERE key = change.key;
  END LOOP;
END $$;

-- Hands out the permits of a transport with a rate, for all processes together: see src/queue/distributedRateLimiter.ts. The
-- same name again returns the permits that the request has got already. \`next\`: ms until the next permit is free, if known.
CREATE FUNCTION ${schema}.request_permits(the_transport text, most integer, wanted integer, name text, lease double precision,
  returned json, OUT granted integer, OUT next double precision) LANGUAGE plpgsql ${SAFE_PATH} AS $$
DECLARE
  now_ms double precision;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('${schema}.permits.' || the_transport, 0));
  now_ms := ${schema}.now_ms();
  UPDATE ${schema}.permits p SET free_at = now_ms + r.after
    FROM json_to_recordset(returned) AS r(id text, after double precision)
    WHERE p.transport = the_transport AND p.id = r.id;
  DELETE FROM ${schema}.permits p WHERE p.transport = the_transport AND p.free_at <= now_ms;
  SELECT count(*) INTO granted FROM ${schema}.permits p
    WHERE p.transport = the_transport AND p.id = ANY (ARRAY(SELECT name || ':' || g FROM generate_series(1, wanted) g));
  IF granted = 0 AND wanted > 0 THEN
    SELECT greatest(0, least(wanted, most - count(*))) INTO granted FROM ${schema}.permits p WHERE p.transport = the_transport;
    INSERT INTO ${schema}.permits SELECT the_transport, name || ':' || g, now_ms + lease FROM generate_series(1, granted) g;
  END IF;
  SELECT coalesce(min(p.free_at) - now_ms, 0) INTO next FROM ${schema}.permits p WHERE p.transport = the_transport;
  IF next > 2000 THEN next := NULL; END IF;
END $$;

-- Claims messages for a process: by rank, and within a rank one of each group in turn. last_turns: the group of each rank that had
-- the last turn. Each message costs one look into the index; those of a rank are claimed at once if they are of one group. Rows
-- that another process is claiming are skipped. Each look sees what was committed before it, and so must the reading of the rest
-- of the message: it is part of the same statement. The settings keep the plans the same however many rows there are.
CREATE FUNCTION ${schema}.claim_turns(most integer, the_owner bigint, last_turns text[])
  RETURNS TABLE (nth integer, was smallint, state ${schema}.states, message ${schema}.messages, content text, files text) LANGUAGE plpgsql ${SAFE_PATH}
  SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
DECLARE
  the_rank smallint := -1;
  -- The group whose turn is next is the first one that is not less.
  next_turn text;
  is_single boolean;
  claimed record;
  before integer;
BEGIN
  nth := 0;
  WHILE nth < most LOOP
    the_rank := (SELECT s.rank FROM ${schema}.states s WHERE s.ready AND s.rank > the_rank ORDER BY s.rank LIMIT 1);
    EXIT WHEN the_rank IS NULL;
    is_single := (SELECT s.turn FROM ${schema}.states s WHERE s.ready AND s.rank = the_rank ORDER BY s.turn LIMIT 1)
      = (SELECT s.turn FROM ${schema}.states s WHERE s.ready AND s.rank = the_rank ORDER BY s.turn DESC LIMIT 1);
    next_turn := CASE WHEN is_single THEN '' ELSE coalesce(last_turns[the_rank + 1] || chr(1), '') END;
    LOOP
      before := nth;
      FOR claimed IN
        WITH picked AS MATERIALIZED (
          SELECT s.seq, s.status FROM ${schema}.states s WHERE s.ready AND s.rank = the_rank AND s.turn >= next_turn
          ORDER BY s.rank, s.turn, s.seq LIMIT CASE WHEN is_single THEN most - nth ELSE 1 END FOR UPDATE SKIP LOCKED
        ), taken AS (
          UPDATE ${schema}.states s SET status = ${sending}, ready = NULL, next_at = NULL, held_for = NULL, owner = the_owner,
            claimed_at = clock_timestamp(), rev = s.rev + 1
          FROM picked WHERE s.seq = picked.seq RETURNING picked.status AS was, s AS state
        )
        SELECT taken.was, taken.state, m AS message, c.content, c.files FROM taken
        CROSS JOIN LATERAL (SELECT * FROM ${schema}.messages m WHERE m.seq = (taken.state).seq OFFSET 0) m
        LEFT JOIN LATERAL (SELECT * FROM ${schema}.contents c WHERE c.seq = (taken.state).seq OFFSET 0) c ON true
        ORDER BY m.seq
      LOOP
        nth := nth + 1; was := claimed.was; state := claimed.state;
        message := claimed.message; content := claimed.content; files := claimed.files;
        RETURN NEXT;
        -- The least text after the group's name: the next turn is another group's.
        next_turn := state.turn || chr(1);
      END LOOP;
      EXIT WHEN is_single OR nth >= most OR (nth = before AND next_turn = '');
      -- After the last group, the first one has its turn.
      IF nth = before THEN next_turn := ''; END IF;
    END LOOP;
  END LOOP;
END $$;`,
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
