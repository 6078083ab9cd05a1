import type { Database } from 'better-sqlite3'
import type { RowQuery } from '../../src/queue/sqlite/outboxProtocol.js'
import type { StoredRow } from '../../src/queue/storedRow.js'
import type { Counters } from './counters.js'
import { MESSAGE_COLUMNS, type MessageRow, toStored } from './schema.js'
import {
  type SearchFields,
  searchFieldsOf,
  recipientTerm,
  tagTerm,
  templateTerm,
  textOf,
} from './searchIndex.js'

/** Milliseconds a page may take before it ends early, with a cursor to go on from. */
const PATIENCE = 50
const TRIGRAM = 3

interface Page {
  rows: StoredRow[]
  cursor: number | null
}

/**
 * Pages of messages, newest first. What the search index doesn't hold yet is looked through first, newest of all;
 * the rest is read in order from the narrowest index there is for the query.
 */
export class PageReader {
  readonly #db: Database
  readonly #counters: Counters

  constructor(db: Database, counters: Counters) {
    this.#db = db
    this.#counters = counters
  }

  page(query: RowQuery): Page {
    const page = new PageBuilder(query)
    const upper = Math.min(
      query.before ?? Infinity,
      this.#placeAfter(query.until),
      this.#counters.accepted + 1,
    )
    const lower = query.since === null ? 0 : this.#placeAfter(query.since - 1)
    const indexed = usesIndex(query) ? Math.min(this.#counters.indexed, upper - 1) : 0
    this.#read(page, '', ['m.seq < ?', 'm.seq > ?', 'm.seq >= ?'], [upper, indexed, lower], query)
    if (indexed > 0) this.#readIndexed(page, query, indexed, lower)
    return page.result()
  }

  #readIndexed(page: PageBuilder, query: RowQuery, upto: number, lower: number): void {
    const terms = exactTerms(query)
    const conditions: string[] = []
    const values: unknown[] = []
    let from = ''
    let place = 'm.seq'
    if (hasTrigrams(query.q)) {
      from = 'search s CROSS JOIN'
      place = 's.rowid'
      conditions.push('search MATCH ?', 'm.seq = s.rowid')
      values.push(trigramsOf(query.q))
    } else {
      const driving = terms.shift()
      if (driving !== undefined) {
        from = 'term t CROSS JOIN'
        place = 't.seq'
        conditions.push('t.term = ?', 'm.seq = t.seq')
        values.push(driving)
      }
    }
    for (const term of terms) {
      conditions.push('EXISTS (SELECT 1 FROM term x WHERE x.term = ? AND x.seq = m.seq)')
      values.push(term)
    }
    conditions.push(`${place} <= ?`, `${place} >= ?`)
    this.#read(page, from, conditions, [...values, upto, lower], query, place)
  }

  #read(
    page: PageBuilder,
    from: string,
    conditions: string[],
    values: unknown[],
    { statuses }: RowQuery,
    place = 'm.seq',
  ): void {
    if (page.complete) return
    const where = [...conditions]
    if (statuses !== null) where.push(`m.status IN (${statuses.join()})`)
    const statement = this.#db.prepare<unknown[], MessageRow>(
      `SELECT ${MESSAGE_COLUMNS} FROM ${from} message m WHERE ${where.join(' AND ')} ORDER BY ${place} DESC`,
    )
    for (const row of statement.iterate(...values)) {
      if (!page.offer(row)) return
    }
  }

  /**
   * The first place whose message was accepted after a time. Places grow with time as long as the clock does, so
   * that halving finds it without an index.
   */
  #placeAfter(time: number | null): number {
    if (time === null) return Infinity
    const at = this.#db.prepare<[number], { seq: number; at: number }>(
      'SELECT seq, accepted_at AS at FROM message WHERE seq >= ? ORDER BY seq LIMIT 1',
    )
    let low = 1
    let high = this.#counters.accepted + 1
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      const row = at.get(middle)
      if (row === undefined || row.at > time) high = middle
      else low = row.seq + 1
    }
    return low
  }
}

/** Collects the messages that fit until the page is full or its time is up. */
class PageBuilder {
  readonly #query: RowQuery
  readonly #rows: StoredRow[] = []
  readonly #end = performance.now() + PATIENCE
  #cursor: number | null = null

  constructor(query: RowQuery) {
    this.#query = query
  }

  get complete(): boolean {
    return this.#cursor !== null
  }

  /** @returns whether to go on. */
  offer(row: MessageRow): boolean {
    if (matches(searchFieldsOf(row.head), row.accepted_at, this.#query)) {
      if (this.#rows.length === this.#query.limit) {
        this.#cursor = this.#rows.at(-1)?.seq ?? row.seq + 1
        return false
      }
      this.#rows.push(toStored(row))
    }
    if (performance.now() < this.#end) return true
    this.#cursor = row.seq
    return false
  }

  result(): Page {
    return { rows: this.#rows, cursor: this.#cursor }
  }
}

function matches(facts: SearchFields, acceptedAt: number, query: RowQuery): boolean {
  const { q, recipient, tag, template, since, until } = query
  if (since !== null && acceptedAt < since) return false
  if (until !== null && acceptedAt > until) return false
  if (tag !== null && !facts.tags.includes(tag)) return false
  if (template !== null && facts.template !== template) return false
  if (
    recipient !== null &&
    !facts.recipients.some((address) => address.toLowerCase() === recipient.toLowerCase())
  )
    return false
  return q === null || facts.id === q || textOf(facts).includes(q.toLowerCase())
}

function usesIndex(query: RowQuery): boolean {
  return hasTrigrams(query.q) || exactTerms(query).length > 0
}

function exactTerms({ recipient, tag, template }: RowQuery): string[] {
  const terms: string[] = []
  if (recipient !== null) terms.push(recipientTerm(recipient))
  if (tag !== null) terms.push(tagTerm(tag))
  if (template !== null) terms.push(templateTerm(template))
  return terms
}

function hasTrigrams(q: string | null): q is string {
  return q !== null && Array.from(q).length >= TRIGRAM
}

/** Every three characters in a row, all of which the text must have. */
function trigramsOf(q: string): string {
  const characters = Array.from(q.toLowerCase())
  const trigrams = new Set<string>()
  for (let at = 0; at + TRIGRAM <= characters.length; at++)
    trigrams.add(
      `"${characters
        .slice(at, at + TRIGRAM)
        .join('')
        .replaceAll('"', '""')}"`,
    )
  return [...trigrams].join(' AND ')
}
