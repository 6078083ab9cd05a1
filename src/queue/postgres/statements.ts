import { STATUS_NUMBERS } from '../storedRow.js'
import { DELETED, PAUSED, READS, ROW, TRANSFERS } from './readStatements.js'

const { queued, sending, deferred, held, sent } = STATUS_NUMBERS

/** Settled statuses follow the others. */
const OPEN = `status BETWEEN 0 AND ${sent - 1}`

/** Milliseconds for which a process counts as alive after its last heartbeat. */
export const ALIVE = 10_000
/** A process whose heartbeat is older claims nothing: it would soon count as dead. */
const FRESH = ALIVE / 2
/** Milliseconds after which a claim whose answer was lost is undone. Longer than any claim takes. */
const UNANSWERED = 30_000

/** Rows of `counts` from which on they are added up: more than there are statuses, and few enough to be read by a statement. */
const FOLD_FROM = 100
/** Settled messages after which a process looks for those beyond the number that is kept, at most. */
export const PRUNE_AFTER = 200

/** A statement that is prepared once per connection. */
export interface Statement {
  name: string
  text: string
}

/**
 * The statements. Each is one round trip and one transaction. Lists are passed as JSON text, since every client, ORM and
 * pooler can pass a text. Rows are looked up by `= ANY (ARRAY(…))`, so that no plan depends on how many there are.
 */
const TEXTS = {
  /**
   * $1: messages as JSON, each id and key once; `most`: messages that may be open, or null. Returns those that were not inserted, with the message that has the id or the key.
   * Callers run it in their transaction, with clients that number parameters in other ways: so there is one, in one place.
   */
  enqueue: (schema: string) =>
    `SELECT nth, "full", id, "messageId", fingerprint FROM ${schema}.enqueue($1::text::json)`,

  /** The number of open messages. */
  open: (schema: string) => `
SELECT coalesce(sum(n), 0)::double precision AS open FROM ${schema}.counts WHERE ${OPEN}`,

  /**
   * $1: messages at most; $2: this process; $3: the group of each rank that had the last turn; $4, $5: rank and `seq` of the position
   * after which to look, or null. Returns messages in the order of their
   * turns. `later`: when the next message is due that can't be claimed yet. `claim_turns()` (sqlFunctions.ts)
   * selects the rows.
   */
  claim: (schema: string) => `
WITH gate AS MATERIALIZED (
  SELECT NOT ${PAUSED(schema)} AS open,
    EXISTS (SELECT FROM ${schema}.processes WHERE owner = $2::bigint AND seen > now() - interval '${FRESH} ms') AS alive
), claimed AS MATERIALIZED (
  SELECT t.* FROM gate
  CROSS JOIN LATERAL ${schema}.claim_turns(CASE WHEN open AND alive THEN $1::integer ELSE 0 END, $2::bigint, $3::text[], $4::smallint, $5::bigint) t
), counted AS (
  INSERT INTO ${schema}.counts (status, n)
  SELECT was, -count(*) FROM claimed GROUP BY was
  UNION ALL SELECT ${sending}, count(*) FROM claimed HAVING count(*) > 0
)
SELECT gate.alive, (SELECT min(due_at) FROM ${schema}.states WHERE NOT ready)::double precision AS later, r.*
FROM gate LEFT JOIN LATERAL (
  SELECT t.nth, s.rank, s.turn, ${ROW}, m.submitted, t.content, t.files FROM claimed t
  CROSS JOIN LATERAL (SELECT (t.state).*) s CROSS JOIN LATERAL (SELECT (t.message).*) m
) r ON true ORDER BY r.nth`,

  /**
   * $1: a message as `enqueue` takes it, with its `seq` and `rev`. Makes a submitted mail that this process has claimed a
   * message as any other, unless another message has its key: SQL doesn't know the form in which an encrypted queue stores a key.
   * Returns one row as `enqueue` does for a message that was not inserted, with an id if there is such a message.
   */
  admit: (schema: string, wake: string) => `
WITH input AS MATERIALIZED (
  SELECT * FROM json_to_record($1::text::json) AS t(seq bigint, rev integer, id uuid, "messageId" text, fingerprint text, key text, head text,
    content text, files text, rank smallint, turn text, due bigint, "expiresAt" bigint, "notBefore" bigint, ready boolean, "otherKeys" text[])
), holder AS MATERIALIZED (
  SELECT k.id, k.message_id, k.fingerprint FROM input i JOIN ${schema}.keys k ON k.key = ANY (array_append(i."otherKeys", i.key))
  WHERE k.id <> i.id AND k.keep_until > ${schema}.now_ms() LIMIT 1
), admitted AS (
  UPDATE ${schema}.states s SET status = ${queued}, rank = i.rank, turn = i.turn, ready = i.ready, due_at = i.due, expires_at = i."expiresAt",
    next_at = i."notBefore", rest = NULL, owner = NULL, claimed_at = NULL, rev = s.rev + 1
  FROM input i WHERE s.seq = i.seq AND s.rev = i.rev AND NOT EXISTS (SELECT FROM holder) RETURNING s.seq
), headed AS (
  UPDATE ${schema}.messages m SET message_id = i."messageId", fingerprint = i.fingerprint, head = i.head, submitted = false
  FROM input i WHERE m.seq IN (SELECT seq FROM admitted)
), named AS (
  UPDATE ${schema}.keys k SET message_id = i."messageId" FROM input i WHERE k.key = ANY (array_append(i."otherKeys", i.key)) AND EXISTS (SELECT FROM admitted)
), filled AS (
  UPDATE ${schema}.contents c SET content = i.content, files = i.files FROM input i WHERE c.seq IN (SELECT seq FROM admitted)
), counted AS (
  INSERT INTO ${schema}.counts (status, n)
  SELECT v.status, v.n FROM admitted, (VALUES (${sending}, -1), (${queued}, 1)) AS v(status, n)
)
SELECT 1 AS nth, false AS full, h.id::text AS id, h.message_id AS "messageId", h.fingerprint, (SELECT pg_notify('${wake}', '') FROM admitted)::text AS notified
FROM (SELECT) AS one LEFT JOIN holder h ON true`,

  /** $1: now. Lets messages be claimed whose time has come. */
  promote: (schema: string) => `
UPDATE ${schema}.states SET ready = true WHERE seq = ANY (ARRAY(
  SELECT seq FROM ${schema}.states WHERE NOT ready AND due_at <= $1::bigint ORDER BY due_at LIMIT 1000 FOR UPDATE SKIP LOCKED))`,

  /**
   * $1: states as JSON; $2: settled messages that are kept, or null; $3: this process. Returns the `seq` of those that were written.
   * Settled messages beyond the number that is kept are deleted, the oldest first, unless it is null.
   */
  update: (schema: string, wake: string, done: string) => `
WITH input AS MATERIALIZED (
  SELECT * FROM json_to_recordset($1::text::json) AS t(seq bigint, id text, rev integer, was smallint, status smallint, rest text,
    due bigint, "expiresAt" bigint, next bigint, settled bigint, drop boolean, losses smallint, ready boolean, held text, head text, forget text[])
), written AS (
  UPDATE ${schema}.states s SET status = i.status, rest = i.rest, due_at = i.due, expires_at = i."expiresAt", next_at = i.next,
    settled_at = i.settled, losses = i.losses, ready = i.ready, held_for = i.held, owner = NULL, claimed_at = NULL, rev = s.rev + 1
  FROM input i WHERE s.seq = i.seq AND s.rev = i.rev RETURNING s.seq
), changed AS MATERIALIZED (
  SELECT i.* FROM input i WHERE i.seq IN (SELECT seq FROM written)
), replaced AS (
  UPDATE ${schema}.messages m SET head = c.head, fingerprint = c.head::json ->> 'fingerprint' FROM changed c WHERE m.seq = c.seq AND c.head IS NOT NULL
), unkeyed AS (
  DELETE FROM ${schema}.keys WHERE key = ANY (ARRAY(SELECT unnest(forget) FROM changed))
), dropped AS (
  DELETE FROM ${schema}.contents WHERE seq = ANY (ARRAY(SELECT seq FROM changed WHERE drop))
), old AS MATERIALIZED (
  SELECT seq, status FROM ${schema}.states WHERE settled_at IS NOT NULL AND seq <> ALL (ARRAY(SELECT seq FROM input))
  ORDER BY settled_at LIMIT CASE WHEN $2::bigint IS NULL THEN 0 ELSE (
    SELECT least(${2 * PRUNE_AFTER}, greatest(0, coalesce(sum(n), 0) - $2::bigint)) FROM ${schema}.counts WHERE status >= ${sent}) END
  FOR UPDATE SKIP LOCKED
), ${DELETED(schema)}, counted AS (
  INSERT INTO ${schema}.counts (status, n)
  SELECT status, sum(n) FROM (
    SELECT was AS status, -1 AS n FROM changed UNION ALL SELECT status, 1 FROM changed UNION ALL SELECT status, -1 FROM old
  ) t GROUP BY status HAVING sum(n) <> 0
), woken AS MATERIALIZED (
  SELECT pg_notify('${wake}', '') WHERE EXISTS (SELECT FROM changed WHERE ready)
), told AS MATERIALIZED (
  SELECT pg_notify('${done}', $3::text || ' ' || string_agg(id, ' ')) FROM changed WHERE settled IS NOT NULL
    AND EXISTS (SELECT FROM ${schema}.processes WHERE follows AND owner <> $3::text::bigint)
  HAVING count(*) > 0
)
SELECT seq::double precision AS seq, (SELECT count(*) FROM woken) + (SELECT count(*) FROM told) AS told FROM changed`,

  /** $1: states as JSON. Returns those that are stored just so: an update whose answer was lost. */
  stored: (schema: string) => `
SELECT s.seq::double precision AS seq FROM json_to_recordset($1::text::json) AS i(seq bigint, rev integer, status smallint, rest text)
JOIN ${schema}.states s ON s.seq = i.seq AND s.rev = i.rev + 1 AND s.status = i.status AND s.rest IS NOT DISTINCT FROM i.rest`,

  /** $1: transports; $2: now; $3: messages at most. Makes messages due that are held for their transport. */
  wakeHeld: (schema: string, wake: string) => `
WITH picked AS MATERIALIZED (
  SELECT seq FROM ${schema}.states WHERE held_for = ANY ($1::text[]) AND status = ${held} AND NOT ready AND due_at > $2::bigint
  ORDER BY rank, due_at LIMIT $3::integer FOR UPDATE SKIP LOCKED
), woken AS (
  UPDATE ${schema}.states SET ready = true, due_at = $2::bigint, next_at = $2::bigint, held_for = NULL, rev = rev + 1
  WHERE seq = ANY (ARRAY(SELECT seq FROM picked)) RETURNING seq
)
SELECT count(*)::integer AS woken, pg_notify('${wake}', '') FROM woken`,

  /** $1: this process; $2: whether it follows messages. */
  heartbeat: (schema: string) => `
INSERT INTO ${schema}.processes (owner, seen, follows) VALUES ($1::bigint, now(), $2::boolean)
ON CONFLICT (owner) DO UPDATE SET seen = excluded.seen, follows = excluded.follows`,

  /** $1: this process. */
  deregister: (schema: string) => `DELETE FROM ${schema}.processes WHERE owner = $1::bigint`,

  /** $1: this process. Messages whose process died; none while Postgres is so young that no heartbeat may have arrived. */
  lost: (schema: string) => `
SELECT ${ROW} FROM ${schema}.states s JOIN ${schema}.messages m USING (seq)
WHERE s.status = ${sending} AND s.owner <> $1::bigint AND pg_postmaster_start_time() < now() - interval '${ALIVE} ms'
  AND NOT EXISTS (SELECT FROM ${schema}.processes p WHERE p.owner = s.owner AND p.seen > now() - interval '${ALIVE} ms')
ORDER BY s.seq LIMIT 100`,

  /** $1: this process; $2: the messages that it knows to be its own. Undoes claims whose answer was lost. */
  unclaim: (schema: string, wake: string) => `
WITH undone AS (
  UPDATE ${schema}.states SET status = ${queued}, ready = true, owner = NULL, claimed_at = NULL, rev = rev + 1
  WHERE status = ${sending} AND owner = $1::bigint AND claimed_at < now() - interval '${UNANSWERED} ms' AND seq <> ALL ($2::bigint[])
  RETURNING seq
), counted AS (
  INSERT INTO ${schema}.counts (status, n)
  SELECT v.status, v.sign * count(*) FROM undone, (VALUES (${sending}, -1), (${queued}, 1)) AS v(status, sign) GROUP BY v.status, v.sign
)
SELECT pg_notify('${wake}', '') FROM undone LIMIT 1`,

  /** $1: now. */
  expired: (schema: string) => `
SELECT ${ROW} FROM ${schema}.states s JOIN ${schema}.messages m USING (seq)
WHERE s.expires_at <= $1::bigint AND s.status IN (${queued}, ${deferred}, ${held}) ORDER BY s.expires_at LIMIT 100`,

  /** $1: time of settlement until which messages are deleted; $2: now. Returns how many settled messages it deleted. */
  prune: (schema: string) => `
WITH old AS MATERIALIZED (
  SELECT seq, status FROM ${schema}.states WHERE settled_at < $1::bigint ORDER BY settled_at LIMIT 1000 FOR UPDATE SKIP LOCKED
), ${DELETED(schema)}, counted AS (
  INSERT INTO ${schema}.counts (status, n) SELECT status, -count(*) FROM old GROUP BY status
), keys AS (
  DELETE FROM ${schema}.keys WHERE key = ANY (ARRAY(
    SELECT key FROM ${schema}.keys WHERE keep_until <= $2::bigint LIMIT 1000 FOR UPDATE SKIP LOCKED))
), records AS (
  DELETE FROM ${schema}.records WHERE key = ANY (ARRAY(
    SELECT key FROM ${schema}.records WHERE keep_until <= ${schema}.now_ms() LIMIT 1000 FOR UPDATE SKIP LOCKED))
), processes AS (
  DELETE FROM ${schema}.processes WHERE seen < now() - interval '5 minutes'
)
SELECT count(*)::integer AS pruned FROM old`,

  /** Adds up the rows of `counts` if there are many, unless another process is doing so. */
  fold: (schema: string) => `
WITH mine AS MATERIALIZED (
  SELECT pg_try_advisory_xact_lock(hashtextextended('${schema}.counts', 0)) AS locked
), gone AS (
  DELETE FROM ${schema}.counts WHERE (SELECT count(*) > ${FOLD_FROM} FROM ${schema}.counts) AND (SELECT locked FROM mine) RETURNING status, n
)
INSERT INTO ${schema}.counts (status, n) SELECT status, sum(n) FROM gone GROUP BY status HAVING sum(n) <> 0`,

  pause: (schema: string) =>
    `INSERT INTO ${schema}.settings VALUES ('paused', '1') ON CONFLICT (name) DO NOTHING`,

  resume: (schema: string, wake: string) => `
WITH gone AS (DELETE FROM ${schema}.settings WHERE name = 'paused' RETURNING name) SELECT pg_notify('${wake}', '') FROM gone`,

  ...READS,
  ...TRANSFERS,
} as const satisfies Record<string, (schema: string, wake: string, done: string) => string>

export type StatementName = keyof typeof TEXTS

/** The channels of a queue: `wake`: a message can be claimed; `done`: a process, and the ids of messages that it settled. */
export interface Channels {
  wake: string
  done: string
}

export function channelsOf(schema: string): Channels {
  return { wake: `${schema}_wake`, done: `${schema}_done` }
}

/** The statements for a schema. */
export function statementsFor(schema: string): Record<StatementName, Statement> {
  const { wake, done } = channelsOf(schema)
  const quoted = `"${schema}"`
  const entries = Object.entries(TEXTS).map(([name, text]) => [
    name,
    { name: `threadpost_${name}`, text: text(quoted, wake, done) },
  ])
  return Object.fromEntries(entries) as Record<StatementName, Statement>
}
