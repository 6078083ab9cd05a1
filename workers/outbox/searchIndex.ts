import type { Database, Statement } from 'better-sqlite3'
import { parseJson } from '../../src/protocol/parseJson.js'
import type { Counters } from './counters.js'

/** The fields of a message that lists search, read from its stored head. */
export interface SearchFields {
  id: string
  recipients: string[]
  tags: string[]
  subject: string
  template?: string
}

interface Head {
  id: string
  to: { address: string }[]
  cc: { address: string }[]
  bcc: { address: string }[]
  tags: string[]
  subject?: string
  content: { kind: string; name?: string }
}

/** @param rest JSON of the message's state, which has the subject that a template gave the message */
export function searchFieldsOf(head: string, rest: string | null): SearchFields {
  const parsed = parseJson(head) as Head
  const { id, to, cc, bcc, tags, content } = parsed
  const subject = parsed.subject ?? (rest === null ? '' : ((parseJson(rest) as Rest).subject ?? ''))
  const fields: SearchFields = {
    id,
    recipients: [...to, ...cc, ...bcc].map(({ address }) => address),
    tags,
    subject,
  }
  if (content.kind === 'template' && content.name !== undefined) fields.template = content.name
  return fields
}

interface Rest {
  subject?: string
}

/** Returns the text that `q` searches, in lower case. */
export function textOf({ recipients, tags, subject, template = '' }: SearchFields): string {
  return [subject, template, ...tags, ...recipients].join('\n').toLowerCase()
}

interface HeadRow {
  seq: number
  head: string
  rest: string | null
}

/**
 * The search index: exact terms (recipient, tag, template) and trigrams of the text. Filled in idle time, oldest first, up to
 * `tally.indexed`: a message that is deleted soon is never indexed and costs nothing.
 */
export class SearchIndex {
  readonly #counters: Counters
  readonly #pending: Statement<[number, number], HeadRow>
  readonly #addTerm: Statement<[string, number]>
  readonly #dropTerm: Statement<[string, number]>
  readonly #addText: Statement<[number, string]>
  readonly #dropText: Statement<[number]>
  readonly #merge: Statement<[number]>
  readonly #changes: Statement<[], number>
  /** Whether the parts of the text index are to be merged: until then, pieces of erased text stay in it. */
  merges = false
  #mergeHasBegun = false

  constructor(db: Database, counters: Counters) {
    this.#counters = counters
    this.#pending = db.prepare('SELECT seq, head, rest FROM message WHERE seq > ? ORDER BY seq LIMIT ?')
    this.#addTerm = db.prepare('INSERT OR IGNORE INTO term (term, seq) VALUES (?, ?)')
    this.#dropTerm = db.prepare('DELETE FROM term WHERE term = ? AND seq = ?')
    this.#addText = db.prepare('INSERT INTO search (rowid, text) VALUES (?, ?)')
    this.#merge = db.prepare("INSERT INTO search (search, rank) VALUES ('merge', ?)")
    this.#changes = db.prepare<[], number>('SELECT total_changes()').pluck()
    this.#dropText = db.prepare('DELETE FROM search WHERE rowid = ?')
  }

  /** Number of messages that wait to be indexed. */
  get behind(): number {
    return this.#counters.accepted - this.#counters.indexed
  }

  /** Indexes up to `most` messages. */
  advance(most: number): void {
    const rows = this.#pending.all(this.#counters.indexed, most)
    for (const row of rows) this.#add(row)
    this.#counters.indexed =
      rows.length < most ? this.#counters.accepted : (rows.at(-1)?.seq ?? this.#counters.accepted)
  }

  #add({ seq, head, rest }: HeadRow): void {
    const fields = searchFieldsOf(head, rest)
    for (const term of termsOf(fields)) this.#addTerm.run(term, seq)
    this.#addText.run(seq, textOf(fields))
  }

  /** Indexes the text of a message again whose subject has become known, unless it isn't indexed yet. */
  update(seq: number): void {
    if (seq > this.#counters.indexed) return
    const [row] = this.#pending.all(seq - 1, 1)
    if (row?.seq !== seq) return
    this.#dropText.run(seq)
    this.#addText.run(seq, textOf(searchFieldsOf(row.head, row.rest)))
  }

  /** Indexes a message again whose head is changed by `change`. Nothing of the old text stays in the index. */
  replace(seq: number, change: () => void): void {
    const isIndexed = seq <= this.#counters.indexed
    const [before] = isIndexed ? this.#pending.all(seq - 1, 1) : []
    if (before !== undefined) this.remove(seq, before.head)
    change()
    if (before === undefined) return
    const [row] = this.#pending.all(seq - 1, 1)
    if (row !== undefined) this.#add(row)
    this.merges = true
  }

  /** Merges up to `pages` pages of the text index. A negative number begins a merge of all parts into one. */
  merge(pages: number): void {
    const before = this.#changes.get() ?? 0
    this.#merge.run(this.#mergeHasBegun ? pages : -pages)
    this.#mergeHasBegun = (this.#changes.get() ?? 0) - before >= 2
    this.merges = this.#mergeHasBegun
  }

  remove(seq: number, head: string): void {
    for (const term of termsOf(searchFieldsOf(head, null))) this.#dropTerm.run(term, seq)
    this.#dropText.run(seq)
  }
}

function termsOf({ recipients, tags, template }: SearchFields): string[] {
  const terms = [...recipients.map(recipientTerm), ...tags.map(tagTerm)]
  if (template !== undefined) terms.push(templateTerm(template))
  return terms
}

export function recipientTerm(address: string): string {
  return `r:${address.toLowerCase()}`
}

export function tagTerm(tag: string): string {
  return `t:${tag}`
}

export function templateTerm(name: string): string {
  return `m:${name}`
}
