import { STATUS_NUMBERS } from '../storedRow.js'
import { channelsOf } from './statements.js'

/** A function's names mean the same for every caller, whose own search path may lead to functions and operators of others. */
export const SAFE_PATH = 'SET search_path = pg_catalog, pg_temp'

const { queued, sending, sent } = STATUS_NUMBERS

/** Functions that lock before they read, so that a statement alone can't do their work, and what callers run in their transaction. */
export const functionsIn = (schema: string): string => `
-- Inserts messages, each id and each key once: see src/queue/postgres/postgresAcceptor.ts. If "most" is given, no more messages than that
-- are open afterwards. Returns those that were not inserted, with the message that has the id or the key. A session plans it once, also for clients that prepare no statements. Rows of tables
-- are looked up one by one, and rows of the input are joined by hashing, whatever the settings of the session.
CREATE FUNCTION ${schema}.enqueue(messages json)
  RETURNS TABLE (nth integer, "full" boolean, id uuid, "messageId" text, fingerprint text) LANGUAGE plpgsql ${SAFE_PATH}
  SET enable_seqscan = off SET enable_mergejoin = off SET enable_hashjoin = on SET jit = off AS $$
#variable_conflict use_column
DECLARE
  others integer[];
  inserted bigint;
  room_left bigint;
BEGIN
  WITH input AS MATERIALIZED (
    SELECT * FROM json_to_recordset(messages) AS t(nth integer, most bigint, id uuid, "messageId" text, fingerprint text, key text,
      "keyUntil" bigint, head text, content text, files text, rank smallint, turn text, due bigint, "expiresAt" bigint,
      "notBefore" bigint, ready boolean, "otherKeys" text[])
  ), room AS MATERIALIZED (
    SELECT CASE WHEN max(most) IS NULL THEN count(*)
      ELSE max(most) - (SELECT coalesce(sum(n), 0) FROM ${schema}.counts WHERE status BETWEEN 0 AND ${sent - 1}) END AS n FROM input
  ), fits AS MATERIALIZED (
    SELECT * FROM input WHERE nth < (SELECT n FROM room)
  ), named AS (
    INSERT INTO ${schema}.keys AS k (key, id, message_id, fingerprint, keep_until)
    SELECT key, id, "messageId", fingerprint, "keyUntil" FROM fits i WHERE key IS NOT NULL
      AND NOT EXISTS (SELECT FROM ${schema}.messages m WHERE m.id = i.id OFFSET 0)
      AND NOT EXISTS (SELECT FROM ${schema}.keys k WHERE k.key = ANY (i."otherKeys") AND k.keep_until > ${schema}.now_ms() OFFSET 0)
    ORDER BY key
    ON CONFLICT (key) DO UPDATE SET id = excluded.id, message_id = excluded.message_id, fingerprint = excluded.fingerprint,
      keep_until = excluded.keep_until WHERE k.keep_until <= ${schema}.now_ms()
    RETURNING key
  ), stored AS (
    INSERT INTO ${schema}.messages (id, message_id, fingerprint, head)
    SELECT id, "messageId", fingerprint, head FROM fits WHERE key IS NULL OR key IN (SELECT key FROM named) ORDER BY nth
    ON CONFLICT (id) DO NOTHING
    RETURNING seq, id
  ), filled AS (
    INSERT INTO ${schema}.contents (seq, content, files) SELECT seq, content, files FROM stored JOIN fits USING (id)
  ), waiting AS (
    INSERT INTO ${schema}.states (seq, rank, turn, ready, due_at, expires_at, next_at)
    SELECT seq, rank, turn, ready, due, "expiresAt", "notBefore" FROM stored JOIN fits USING (id)
  ), counted AS (
    INSERT INTO ${schema}.counts (status, n)
    SELECT v.status, count(*) FROM stored, (VALUES (${queued}), (-1)) AS v(status) GROUP BY v.status
  )
  SELECT count(stored.id), array_agg(i.nth) FILTER (WHERE stored.id IS NULL), (SELECT n FROM room) INTO inserted, others, room_left
  FROM input i LEFT JOIN stored USING (id);
  IF inserted > 0 THEN
    PERFORM pg_notify('${channelsOf(schema.replaceAll('"', '')).wake}', '');
  END IF;
  -- Another statement, which sees what was committed while the first one waited for a key.
  IF others IS NOT NULL THEN
    RETURN QUERY SELECT i.nth, i.nth >= room_left AND m.id IS NULL AND k.id IS NULL, coalesce(m.id, k.id), CASE WHEN m.id IS NULL THEN k.message_id ELSE m.message_id END,
      CASE WHEN m.id IS NULL THEN k.fingerprint ELSE m.fingerprint END
    FROM json_to_recordset(messages) AS i(nth integer, id uuid, key text, "otherKeys" text[])
    LEFT JOIN LATERAL (SELECT * FROM ${schema}.messages m WHERE m.id = i.id OFFSET 0) m ON true
    LEFT JOIN LATERAL (SELECT * FROM ${schema}.keys k WHERE k.key = ANY (array_append(i."otherKeys", i.key))
      AND k.keep_until > ${schema}.now_ms() LIMIT 1) k ON true
    WHERE i.nth = ANY (others);
  END IF;
END $$;

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
-- the last turn. from_rank, from_seq: where the last claim of messages without a group ended, or null. What is before it is not looked at,
-- except in other ranks: the entries of claimed messages would be read again each time. Each message costs one look into the index; those of a rank are claimed at once if they are of one group. Rows
-- that another process is claiming are skipped. Each look sees what was committed before it, and so must the reading of the rest
-- of the message: it is part of the same statement. The settings keep the plans the same however many rows there are.
CREATE FUNCTION ${schema}.claim_turns(most integer, the_owner bigint, last_turns text[], from_rank smallint, from_seq bigint)
  RETURNS TABLE (nth integer, was smallint, state ${schema}.states, message ${schema}.messages, content text, files text) LANGUAGE plpgsql ${SAFE_PATH}
  SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
DECLARE
  the_rank smallint := -1;
  first_turn text;
  -- The group whose turn is next is the first one that is not less.
  next_turn text;
  next_seq bigint;
  is_single boolean;
  claimed record;
  before integer;
BEGIN
  nth := 0;
  WHILE nth < most LOOP
    next_seq := 0;
    SELECT s.rank, s.turn INTO the_rank, first_turn FROM ${schema}.states s
      WHERE s.ready AND s.rank > the_rank AND s.rank < coalesce(from_rank, 32767) ORDER BY s.rank, s.turn, s.seq LIMIT 1;
    IF NOT FOUND THEN
      EXIT WHEN from_rank IS NULL;
      SELECT s.rank, s.turn INTO the_rank, first_turn FROM ${schema}.states s
        WHERE s.ready AND (s.rank, s.turn, s.seq) > (from_rank, '', from_seq) ORDER BY s.rank, s.turn, s.seq LIMIT 1;
      EXIT WHEN NOT FOUND;
      IF the_rank = from_rank AND first_turn = '' THEN next_seq := from_seq + 1; END IF;
      from_rank := NULL;
    END IF;
    is_single := first_turn = (SELECT s.turn FROM ${schema}.states s WHERE s.ready AND s.rank = the_rank ORDER BY s.turn DESC LIMIT 1);
    next_turn := CASE WHEN is_single THEN '' ELSE coalesce(last_turns[the_rank + 1] || chr(1), '') END;
    LOOP
      before := nth;
      FOR claimed IN
        WITH picked AS MATERIALIZED (
          SELECT s.seq, s.status FROM ${schema}.states s WHERE s.ready AND s.rank = the_rank
            AND (s.turn, s.seq) >= (next_turn, CASE WHEN is_single THEN next_seq ELSE 0 END)
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
END $$;`
