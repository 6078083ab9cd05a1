import { STATUS_NUMBERS } from '../storedRow.js'

/** The columns of a message's state and head, named as in `StoredRow`. Numbers beyond 32 bits are read as doubles. */
export const ROW = `s.seq::double precision AS seq, s.rev, s.losses, s.status, s.due_at::double precision AS "dueAt",
  s.expires_at::double precision AS "expiresAt", s.next_at::double precision AS "nextAttemptAt",
  s.settled_at::double precision AS "settledAt", s.rest, m.id, m.head`

/** Whether the queue is paused. */
export const PAUSED = (schema: string): string =>
  `EXISTS (SELECT FROM ${schema}.settings WHERE name = 'paused')`

/** Parts of a statement that delete the messages whose `seq` is in `old`. */
export const DELETED = (schema: string): string => `gone AS (
  DELETE FROM ${schema}.states WHERE seq = ANY (ARRAY(SELECT seq FROM old))
), unnamed AS (
  DELETE FROM ${schema}.messages WHERE seq = ANY (ARRAY(SELECT seq FROM old))
), emptied AS (
  DELETE FROM ${schema}.contents WHERE seq = ANY (ARRAY(SELECT seq FROM old))
)`

/** The statements that only read, and those of records and rates. See `statements.ts`. */
export const READS = {
  /** $1: ids as JSON. */
  find: (schema: string) => `
SELECT i.nth, ${PAUSED(schema)} AS paused, ${ROW} FROM json_array_elements_text($1::text::json) WITH ORDINALITY AS i(id, nth)
LEFT JOIN ${schema}.messages m ON m.id = i.id::uuid LEFT JOIN ${schema}.states s ON s.seq = m.seq ORDER BY i.nth`,

  /** $1: id. */
  load: (schema: string) => `
SELECT m.head, c.content, c.files FROM ${schema}.messages m LEFT JOIN ${schema}.contents c USING (seq) WHERE m.id = $1::uuid`,

  /** $1: `seq` below which the page begins; $2: messages at most. */
  listAll: (schema: string) => `
SELECT ${PAUSED(schema)} AS paused, ${ROW} FROM (
  SELECT * FROM ${schema}.states WHERE seq < $1::bigint ORDER BY seq DESC LIMIT $2::integer
) s JOIN ${schema}.messages m USING (seq) ORDER BY s.seq DESC`,

  /** $1, $2: as for listAll; $3: statuses; $4: statuses to read instead while the queue is paused. */
  listStatus: (schema: string) => `
SELECT ${PAUSED(schema)} AS paused, ${ROW}
FROM unnest(CASE WHEN ${PAUSED(schema)} THEN $4::smallint[] ELSE $3::smallint[] END) AS wanted(status)
CROSS JOIN LATERAL (
  SELECT * FROM ${schema}.states s WHERE s.status = wanted.status AND s.seq < $1::bigint ORDER BY s.seq DESC LIMIT $2::integer
) s JOIN ${schema}.messages m USING (seq) ORDER BY s.seq DESC LIMIT $2::integer`,

  /** Reads the first messages of a hundred groups of each priority for the oldest: those that wait longest are among them. */
  stats: (schema: string) => `
SELECT ${PAUSED(schema)} AS paused,
  (SELECT json_object_agg(status, n) FROM (SELECT status, sum(n) AS n FROM ${schema}.counts GROUP BY status) t) AS counts,
  least((SELECT min(due_at) FROM ${schema}.states WHERE NOT ready), (
    SELECT min(d.due_at) FROM generate_series(0, 9) AS r(rank),
      LATERAL (
        WITH RECURSIVE first AS (
          (SELECT turn, due_at FROM ${schema}.states WHERE ready AND rank = r.rank ORDER BY turn, seq LIMIT 1)
          UNION ALL SELECT next.* FROM first, LATERAL (
            SELECT turn, due_at FROM ${schema}.states WHERE ready AND rank = r.rank AND turn > first.turn ORDER BY turn, seq LIMIT 1
          ) next
        )
        (SELECT due_at FROM first LIMIT 100)
        UNION ALL (SELECT due_at FROM ${schema}.states WHERE ready AND rank = r.rank ORDER BY turn, seq LIMIT 20)
      ) d
  ))::double precision AS since`,

  /** $1: ids as JSON. Returns those of settled messages. */
  settled: (schema: string) => `
SELECT m.id FROM ${schema}.messages m JOIN ${schema}.states s USING (seq)
WHERE m.id = ANY (ARRAY(SELECT t::uuid FROM json_array_elements_text($1::text::json) AS t)) AND s.settled_at IS NOT NULL`,

  /** $1: changes as JSON. */
  writeRecords: (schema: string) => `SELECT ${schema}.write_records($1::text::json)`,

  /** $1: ranges as JSON. */
  readRecords: (schema: string) => `
SELECT i.nth::integer, r.key, r.numbers, r.document,
  greatest(0, extract(epoch FROM clock_timestamp() - r.changed_at) * 1000)::double precision AS age
FROM json_array_elements($1::text::json) WITH ORDINALITY AS i(range, nth)
CROSS JOIN LATERAL (
  SELECT * FROM ${schema}.records r WHERE r.key >= i.range ->> 'from' AND r.key < i.range ->> 'to'
    AND r.keep_until > ${schema}.now_ms() ORDER BY r.key LIMIT (i.range ->> 'limit')::integer
) r ORDER BY i.nth, r.key`,

  /** $1: transport; $2: permits that there are; $3: wanted; $4: name; $5: lease in ms; $6: returned permits as JSON. */
  permits: (schema: string) =>
    `SELECT granted, next FROM ${schema}.request_permits($1, $2::integer, $3::integer, $4, $5::double precision, $6::text::json)`,
} as const satisfies Record<string, (schema: string) => string>

/** The statements that pass messages from one queue to another. See `statements.ts`. */
export const TRANSFERS = {
  /** $1: messages of another queue as JSON, with their state, each id once. Returns for each what became of it. */
  transfer: (schema: string, wake: string) => `
WITH input AS MATERIALIZED (
  SELECT * FROM json_to_recordset($1::text::json) AS t(nth integer, id uuid, "messageId" text, fingerprint text, key text,
    "keyUntil" bigint, head text, content text, files text, rank smallint, turn text, status smallint, rest text, due bigint,
    "expiresAt" bigint, next bigint, settled bigint, losses smallint, ready boolean, held text)
), taken AS MATERIALIZED (
  SELECT i.nth FROM input i JOIN ${schema}.keys k ON k.key = i.key AND k.keep_until > ${schema}.now_ms()
), stored AS (
  INSERT INTO ${schema}.messages (id, message_id, fingerprint, head)
  SELECT id, "messageId", fingerprint, head FROM input WHERE settled IS NOT NULL OR nth NOT IN (SELECT nth FROM taken) ORDER BY nth
  ON CONFLICT (id) DO NOTHING
  RETURNING seq, id
), named AS (
  INSERT INTO ${schema}.keys AS k (key, id, message_id, fingerprint, keep_until)
  SELECT key, id, "messageId", fingerprint, "keyUntil" FROM input JOIN stored USING (id)
  WHERE key IS NOT NULL AND nth NOT IN (SELECT nth FROM taken) ORDER BY key
  ON CONFLICT (key) DO UPDATE SET id = excluded.id, message_id = excluded.message_id, fingerprint = excluded.fingerprint,
    keep_until = excluded.keep_until WHERE k.keep_until <= ${schema}.now_ms()
), filled AS (
  INSERT INTO ${schema}.contents (seq, content, files)
  SELECT stored.seq, content, files FROM stored JOIN input USING (id) WHERE content IS NOT NULL
), stated AS (
  INSERT INTO ${schema}.states (seq, rank, turn, status, rest, ready, due_at, expires_at, next_at, settled_at, losses, held_for)
  SELECT stored.seq, rank, turn, status, rest, ready, due, "expiresAt", next, settled, losses, held FROM stored JOIN input USING (id)
), counted AS (
  INSERT INTO ${schema}.counts (status, n)
  SELECT v.status, count(*) FROM stored JOIN input i USING (id), LATERAL (VALUES (i.status), (-1::smallint)) AS v(status) GROUP BY v.status
), woken AS MATERIALIZED (
  SELECT pg_notify('${wake}', '') WHERE EXISTS (SELECT FROM stored)
)
SELECT CASE WHEN stored.id IS NOT NULL THEN 'stored' WHEN m.id IS NOT NULL THEN 'known' ELSE 'conflict' END AS result,
  (SELECT count(*) FROM woken) AS woken
FROM input i LEFT JOIN stored USING (id) LEFT JOIN ${schema}.messages m ON m.id = i.id ORDER BY i.nth`,

  /** $1: messages as JSON: `seq`, and the `rev` that another queue has. Returns the `seq` of those that were removed. */
  discard: (schema: string) => `
WITH old AS MATERIALIZED (
  SELECT s.seq, s.status FROM json_to_recordset($1::text::json) AS i(seq bigint, rev integer)
  JOIN ${schema}.states s ON s.seq = i.seq AND s.rev = i.rev WHERE s.status <> ${STATUS_NUMBERS.sending} FOR UPDATE OF s
), ${DELETED(schema)}, counted AS (
  INSERT INTO ${schema}.counts (status, n) SELECT status, -count(*) FROM old GROUP BY status
)
SELECT seq::double precision AS seq FROM old`,
} as const satisfies Record<string, (schema: string, wake: string) => string>
