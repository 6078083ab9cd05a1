import { ThreadpostError } from '../errors.js'
import type { QueueDriver } from '../queue/driver.js'
import { type RecordRange, rangeOf, type SharedRecord } from '../queue/records.js'
import type { Unsubscribes } from '../unsubscribe/unsubscribes.js'
import { Validator } from '../validation.js'
import {
  countsFor,
  DEFAULT_STREAM,
  fromRecord,
  keptUntil,
  keyOf,
  PREFIX,
  rangeOfAddress,
  streamOf,
  type Suppression,
  type SuppressionInput,
  type SuppressionReason,
  SUPPRESSION_REASONS,
  suppressionKey,
  toSuppression,
} from './suppression.js'
import type { SuppressionLookup } from './suppressionLookup.js'

export interface SuppressionQuery {
  /** Text to find in the address, ignoring case. @default any */
  q?: string
  /** @default any */
  reason?: SuppressionReason
  /** Only entries for this stream, without those for every stream. @default any */
  stream?: string
  /** Maximum number of entries on a page, up to 1,000. @default 100 */
  limit?: number
  /** The `cursor` of the previous page. @default the first page */
  cursor?: string
}

export interface SuppressionPage {
  /** In the order of their addresses. */
  suppressions: Suppression[]
  /** Present if there may be more. A page may be shorter than its limit, or empty, and still have a cursor. */
  cursor?: string
}

/** The result of an import. */
export interface ImportResult {
  added: number
  /** Lines that were not imported, the first 100. */
  problems: { line: number; problem: string }[]
}

const MAX_PAGE = 1_000
/** Records that one page of a search reads at most. */
const MAX_SCAN = 10_000
/** Entries written together. */
const BATCH = 500
/** The number of entries, as the processes count it. */
export const COUNTER = 'suppressions'
/** Milliseconds for which an exact count is trusted when the list seems to be full. */
const RECOUNT_AFTER = 60_000

const check: Validator = new Validator('INVALID_MESSAGE')

/**
 * The list of addresses that get no more mail, reached as `mailer.suppressions`. It is stored in the queue, so all processes on
 * the queue share it, and it is as durable as the messages. The list is checked when a mail is accepted and again when it is
 * handed out for delivery.
 */
export class Suppressions {
  /**
   * The actions of recipients on the links of mails; present with the option `unsubscribe`.
   * @internal
   */
  unsubscribes: Unsubscribes | undefined
  readonly #queue: QueueDriver
  readonly #limit: number
  readonly #lookup: SuppressionLookup
  #countedAt = -Infinity

  /** @internal */
  constructor(queue: QueueDriver, limit: number, lookup: SuppressionLookup) {
    this.#queue = queue
    this.#limit = limit
    this.#lookup = lookup
  }

  /**
   * Adds an entry, or replaces the one with the same address, reason and stream, whose time stays. Resolves once it is stored.
   * @throws ThreadpostError `INVALID_MESSAGE`; `QUEUE_FULL` if the list has `limits.suppressions` entries; `QUEUE_UNAVAILABLE`
   */
  async add(input: SuppressionInput): Promise<Suppression> {
    const [stored] = await this.addAll([toSuppression(input, Date.now())])
    return stored!
  }

  /**
   * Stores checked entries.
   * @internal
   */
  async addAll(entries: readonly Suppression[]): Promise<Suppression[]> {
    const byKey = new Map(entries.map((entry) => [keyOf(entry), entry]))
    const keys = [...byKey.keys()]
    const found = await this.#queue.records.read(keys.map((key) => ({ from: key, to: `${key}\x00` })))
    const stored = keys.map((key, index) => {
      const entry = byKey.get(key)!
      const [before] = found[index] ?? []
      return before === undefined ? entry : { ...entry, since: fromRecord(before).since }
    })
    const added = found.filter((records) => records.length === 0).length
    if (added > 0) await this.#makeRoom(added)
    await this.#queue.records.write([
      ...stored.map((entry, index) => ({
        key: keys[index]!,
        keepUntil: keptUntil(entry),
        document: JSON.stringify(entry),
      })),
      ...(added === 0 ? [] : [{ key: COUNTER, keepUntil: Number.MAX_SAFE_INTEGER, add: { entries: added } }]),
    ])
    this.#lookup.added()
    return stored
  }

  /**
   * Removes the entries of an address: those for a stream, without those for every stream; by default, all.
   * @returns whether there was one
   * @throws ThreadpostError `INVALID_MESSAGE`, `QUEUE_UNAVAILABLE`
   */
  async remove(
    address: string,
    options: { stream?: string; reason?: SuppressionReason } = {},
  ): Promise<boolean> {
    // A misspelled stream must not remove the entries for all streams.
    check.object(options, '', ['stream', 'reason'])
    const { stream, reason } = options
    if (stream !== undefined) streamOf(stream, 'stream', check)
    const records = await this.#recordsOf(address)
    const keys = records
      .filter((record) => {
        const entry = fromRecord(record)
        return (
          (stream === undefined || entry.stream === stream) &&
          (reason === undefined || entry.reason === reason)
        )
      })
      .map(({ key }) => key)
    if (keys.length === 0) return false
    await this.#queue.records.write([
      ...keys.map((key) => ({ key, keepUntil: 0, remove: true as const })),
      { key: COUNTER, keepUntil: Number.MAX_SAFE_INTEGER, add: { entries: -keys.length } },
    ])
    return true
  }

  /**
   * Whether mail of a stream to an address is suppressed.
   * @param options.stream @default 'transactional', as for a mail
   * @throws ThreadpostError `INVALID_MESSAGE`, `QUEUE_UNAVAILABLE`
   */
  async has(address: string, options: { stream?: string } = {}): Promise<boolean> {
    check.object(options, '', ['stream'])
    const { stream = DEFAULT_STREAM } = options
    const asked = streamOf(stream, 'stream', check)
    const records = await this.#recordsOf(address)
    return records.some((record) => countsFor(fromRecord(record), asked))
  }

  /** Lists entries in the order of their addresses. @throws ThreadpostError `INVALID_MESSAGE`, `QUEUE_UNAVAILABLE` */
  async list(query: SuppressionQuery = {}): Promise<SuppressionPage> {
    const { q, reason, stream, limit, cursor } = checkQuery(query)
    const everything = rangeOf(PREFIX)
    const suppressions: Suppression[] = []
    let from = cursor === undefined ? everything.from : keyAfter(cursor)
    for (let scanned = 0; scanned < MAX_SCAN;) {
      const [records = []] = await this.#queue.records.read([{ ...everything, from, limit: MAX_PAGE }])
      for (const record of records) {
        const entry = fromRecord(record)
        from = `${record.key}\x00`
        if (q !== undefined && !entry.address.includes(q)) continue
        if (reason !== undefined && entry.reason !== reason) continue
        if (stream !== undefined && entry.stream !== stream) continue
        suppressions.push(entry)
        if (suppressions.length === limit) return { suppressions, cursor: cursorAt(record.key) }
      }
      if (records.length < MAX_PAGE) return { suppressions }
      scanned += records.length
    }
    return { suppressions, cursor: cursorAt(from.slice(0, -1)) }
  }

  /** Yields the list as CSV: a header line, and a line for each entry. */
  async *exportCsv(): AsyncGenerator<string, void, undefined> {
    const { CSV_HEADER, toCsvLine } = await import('./csv.js')
    yield CSV_HEADER
    for (let cursor: string | undefined; ;) {
      const page = await this.list({ limit: MAX_PAGE, ...(cursor === undefined ? {} : { cursor }) })
      for (const entry of page.suppressions) yield toCsvLine(entry)
      if (page.cursor === undefined) return
      ;({ cursor } = page)
    }
  }

  /**
   * Adds the entries of a CSV text (RFC 4180) whose first line names its columns: `address` (or `email`), and optionally `reason`,
   * `stream`, `since`, `expiresAt`, and `detail`. Without a reason, an entry is `manual`.
   * @throws ThreadpostError `INVALID_MESSAGE` if there is no such line; `QUEUE_FULL`, `QUEUE_UNAVAILABLE`
   */
  async importCsv(text: string): Promise<ImportResult> {
    const { parseCsv } = await import('./csv.js')
    const result: ImportResult = { added: 0, problems: [] }
    let batch: Suppression[] = []
    const store = async (): Promise<void> => {
      if (batch.length > 0) await this.addAll(batch)
      result.added += batch.length
      batch = []
    }
    for (const { line, entry } of parseCsv(check.string(text, ''), Date.now())) {
      if (typeof entry !== 'string') batch.push(entry)
      else if (result.problems.length < 100) result.problems.push({ line, problem: entry })
      if (batch.length === BATCH) await store()
    }
    await store()
    return result
  }

  #recordsOf(address: unknown): Promise<SharedRecord[]> {
    const text = check.string(address, 'address', 320)
    return this.#queue.records.read([rangeOfAddress(suppressionKey(text))]).then(([records = []]) => records)
  }

  /** @throws ThreadpostError `QUEUE_FULL` */
  async #makeRoom(added: number): Promise<void> {
    const { records } = this.#queue
    const [[counter] = []] = await records.read([{ from: COUNTER, to: `${COUNTER}\x00` }])
    const counted = counter?.numbers['entries'] ?? 0
    if (counted + added <= this.#limit) return
    // The counter also has entries that expired since.
    if (performance.now() - this.#countedAt > RECOUNT_AFTER) {
      const entries = await this.#count()
      await records.write([
        { key: COUNTER, keepUntil: Number.MAX_SAFE_INTEGER, add: { entries: entries - counted } },
      ])
      this.#countedAt = performance.now()
      if (entries + added <= this.#limit) return
    }
    throw new ThreadpostError(
      'QUEUE_FULL',
      `The list of suppressed addresses is full: it has ${this.#limit} entries (limits.suppressions)`,
    )
  }

  async #count(): Promise<number> {
    let count = 0
    for (let range: RecordRange = { ...rangeOf(PREFIX), limit: MAX_PAGE }; ;) {
      const [records = []] = await this.#queue.records.read([range])
      count += records.length
      if (records.length < MAX_PAGE) return count
      range = { ...range, from: `${records.at(-1)!.key}\x00` }
    }
  }
}

function checkQuery(query: SuppressionQuery): SuppressionQuery & { limit: number } {
  const { q, reason, stream, limit, cursor } = check.object(query, '', [
    'q',
    'reason',
    'stream',
    'limit',
    'cursor',
  ])
  return {
    limit: limit === undefined ? 100 : check.integer(limit, 'limit', 1, MAX_PAGE),
    ...(q === undefined || q === '' ? {} : { q: check.string(q, 'q', 320).toLowerCase() }),
    ...(reason === undefined ? {} : { reason: check.oneOf(reason, 'reason', SUPPRESSION_REASONS) }),
    ...(stream === undefined ? {} : { stream: streamOf(stream, 'stream', check) }),
    ...(cursor === undefined ? {} : { cursor: check.string(cursor, 'cursor', 400) }),
  }
}

function cursorAt(key: string): string {
  return Buffer.from(key).toString('base64url')
}

/** @throws ThreadpostError `INVALID_MESSAGE` */
function keyAfter(cursor: string): string {
  const key = Buffer.from(cursor, 'base64url').toString()
  if (!key.startsWith(PREFIX)) check.fail('cursor', 'is not the cursor of a page')
  return `${key}\x00`
}
