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

/** Milliseconds after which a page ends early, with a cursor to continue from. */
const TIME_LIMIT = 50
const TRIGRAM = 3
const PART_OF_ID = /^[0-9a-f-]{3,36}$/i

interface Page {
  rows: StoredRow[]
  cursor: number | null
}

/**
 * Reads pages of messages, newest first. Messages that aren't in the search index yet are the newest and are scanned first;
 * the rest is read in order from the most selective index for the query.
 */
export function readPage(db: Database, counters: Counters, query: RowQuery): Page {
  const page = new PageBuilder(db, query)
  const upper = Math.min(
    query.before ?? Infinity,
    positionAfter(db, counters, query.until),
    counters.accepted + 1,
  )
  const lower = query.since === null ? 0 : positionAfter(db, counters, query.since - 1)
  const indexed = usesIndex(query) ? Math.min(counters.indexed, upper - 1) : 0
  page.read('', ['m.seq < ?', 'm.seq > ?', 'm.seq >= ?'], [upper, indexed, lower])
  if (indexed > 0) page.readIndexed(indexed, lower)
  return page.result()
}

/**
 * Returns the first position whose message was accepted after a time. Positions grow with time as long as the clock does,
 * so a binary search finds it without an index.
 */
function positionAfter(db: Database, counters: Counters, time: number | null): number {
  if (time === null) return Infinity
  const at = db.prepare<[number], { seq: number; at: number }>(
    'SELECT seq, accepted_at AS at FROM message WHERE seq >= ? ORDER BY seq LIMIT 1',
  )
  let low = 1
  let high = counters.accepted + 1
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const row = at.get(middle)
    if (row === undefined || row.at > time) high = middle
    else low = row.seq + 1
  }
  return low
}

/** Collects matching messages until the page is full or its time is up. */
class PageBuilder {
  readonly #db: Database
  readonly #query: RowQuery
  readonly #rows: StoredRow[] = []
  readonly #end = performance.now() + TIME_LIMIT
  #cursor: number | null = null

  constructor(db: Database, query: RowQuery) {
    this.#db = db
    this.#query = query
  }

  /** Adds the matching rows that meet some conditions, unless the page is complete. */
  read(from: string, conditions: readonly string[], values: unknown[], position = 'm.seq'): void {
    if (this.#cursor !== null) return
    const { statuses } = this.#query
    const where = [...conditions]
    if (statuses !== null) where.push(`m.status IN (${statuses.join()})`)
    const statement = this.#db.prepare<unknown[], MessageRow>(
      `SELECT ${MESSAGE_COLUMNS} FROM ${from} message m WHERE ${where.join(' AND ')} ORDER BY ${position} DESC`,
    )
    for (const row of statement.iterate(...values)) {
      if (!this.#offer(row)) return
    }
  }

  /** Adds the matching rows that the search index finds, in the order of their positions. */
  readIndexed(upto: number, lower: number): void {
    const query = this.#query
    const terms = exactTerms(query)
    const conditions: string[] = []
    const values: unknown[] = []
    let from = ''
    let position = 'm.seq'
    if (hasTrigrams(query.q)) {
      // Ids aren't in the index of texts: three random digits are in most of them.
      const ids = PART_OF_ID.test(query.q) ? ' UNION SELECT seq FROM message WHERE instr(id, ?)' : ''
      from = `(SELECT rowid AS seq FROM search WHERE search MATCH ?${ids}) s CROSS JOIN`
      position = 's.seq'
      conditions.push('m.seq = s.seq')
      values.push(trigramsOf(query.q), ...(ids === '' ? [] : [query.q.toLowerCase()]))
    } else {
      const driving = terms.shift()
      if (driving !== undefined) {
        from = 'term t CROSS JOIN'
        position = 't.seq'
        conditions.push(`t.term ${isOneOf(driving)}`, 'm.seq = t.seq')
        values.push(...driving)
      }
    }
    for (const term of terms) {
      conditions.push(`EXISTS (SELECT 1 FROM term x WHERE x.term ${isOneOf(term)} AND x.seq = m.seq)`)
      values.push(...term)
    }
    conditions.push(`${position} <= ?`, `${position} >= ?`)
    this.read(from, conditions, [...values, upto, lower], position)
  }

  /** @returns whether to continue */
  #offer(row: MessageRow): boolean {
    if (matches(searchFieldsOf(row.head, row.rest), row.accepted_at, this.#query)) {
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

function matches(fields: SearchFields, acceptedAt: number, query: RowQuery): boolean {
  const { q, recipient, tag, template, since, until } = query
  if (since !== null && acceptedAt < since) return false
  if (until !== null && acceptedAt > until) return false
  if (tag !== null && !fields.tags.some((each) => tag.includes(each))) return false
  if (template !== null && fields.template !== template) return false
  if (
    recipient !== null &&
    !fields.recipients.some((address) =>
      recipient.some((form) => form.toLowerCase() === address.toLowerCase()),
    )
  )
    return false
  if (q === null) return true
  const needle = q.toLowerCase()
  return fields.id.includes(needle) || textOf(fields).includes(needle)
}

function usesIndex(query: RowQuery): boolean {
  return hasTrigrams(query.q) || exactTerms(query).length > 0
}

/** The terms that a message must have: of each list, one. */
function exactTerms({ recipient, tag, template }: RowQuery): string[][] {
  const terms: string[][] = []
  if (recipient !== null) terms.push(recipient.map(recipientTerm))
  if (tag !== null) terms.push(tag.map(tagTerm))
  if (template !== null) terms.push([templateTerm(template)])
  return terms
}

function isOneOf(values: readonly unknown[]): string {
  return values.length === 1 ? '= ?' : `IN (${values.map(() => '?').join()})`
}

function hasTrigrams(q: string | null): q is string {
  return q !== null && Array.from(q).length >= TRIGRAM
}

/** Returns a query for all sequences of three characters; the text must contain each. */
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
