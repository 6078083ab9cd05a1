import { isId } from '../../message/ids.js'
import type { MailJob, Status } from '../../message/messageState.js'
import type { Message } from '../../message/messageView.js'
import type { ListQuery, MessagePage } from '../driver.js'
import type { RowCipher } from '../encryption/rowCipher.js'
import { cursorPosition, pageLimit, matches, paginate, shownStatus, statusesShownAs } from '../listing.js'
import { boundSubject, rowToMessage, statusOf, unpackHead, unpackLoaded } from '../rowCodec.js'
import type { FoundRow } from '../storedMutations.js'
import { scan } from '../storedQueries.js'
import type { StoredRow } from '../storedRow.js'
import type { OutboxClient } from './outboxClient.js'
import { toRowQuery } from './outboxProtocol.js'

/** Facts about messages that this process knows and the file doesn't. */
interface LocalState {
  paused(): boolean
  isPrefetched(seq: number): boolean
}

/** Reads the messages in the file. */
export class OutboxQueries {
  readonly #client: OutboxClient
  readonly #cipher: RowCipher | undefined
  readonly #local: LocalState

  constructor(client: OutboxClient, cipher: RowCipher | undefined, local: LocalState) {
    this.#client = client
    this.#cipher = cipher
    this.#local = local
  }

  /** The index of texts is of no use for an encrypted file; that of addresses, tags and templates is. */
  get search(): 'index' | 'scan' {
    return this.#cipher === undefined ? 'index' : 'scan'
  }

  /** Reads a message for a change. */
  async read(id: string): Promise<FoundRow | undefined> {
    const row = await this.#client.request('find', { id })
    return row === null ? undefined : { row: this.#open(row), show: (row) => this.#show(row) }
  }

  async find(id: string): Promise<Message | undefined> {
    const found = await this.read(id)
    return found?.show(found.row)
  }

  async load(id: string): Promise<MailJob | 'dropped' | undefined> {
    const row = await this.#client.request('load', { id })
    return row === null ? undefined : unpackLoaded(this.#open(row))
  }

  async list(query: ListQuery): Promise<MessagePage> {
    const { q = '' } = query
    if (isId(q)) return this.#listOne(q, query)
    if (q !== '' && this.search === 'scan')
      return scan(query, {
        read: (before) => this.#read({ ...query, q: '' }, before),
        matches: (row) => this.#matches(row, query),
        show: (row) => this.#show(row),
      })
    const { rows, next } = await this.#read(query, cursorPosition(query))
    const messages = rows.map((row) => this.#show(row))
    return next === undefined ? { messages } : { messages, cursor: String(next) }
  }

  #show(row: StoredRow): Message {
    return rowToMessage(row, this.#shownStatus(row))
  }

  async #read(query: ListQuery, before: number): Promise<{ rows: StoredRow[]; next: number | undefined }> {
    const limit = pageLimit(query)
    const statuses = query.status && statusesShownAs(query.status, this.#local.paused())
    const request = { query: toRowQuery(query, statuses, limit, before, this.#cipher) }
    const { rows, cursor } = await this.#client.request('list', request)
    return { rows: rows.map((row) => this.#open(row)), next: cursor ?? undefined }
  }

  async #listOne(id: string, query: ListQuery): Promise<MessagePage> {
    const found = await this.read(id)
    return paginate(found === undefined ? [] : [found.row], query, {
      position: ({ seq }) => seq,
      matches: (row) => this.#matches(row, query),
      show: (row) => this.#show(row),
    })
  }

  #matches(row: StoredRow, query: ListQuery): boolean {
    return matches(unpackHead(row), boundSubject(row), this.#shownStatus(row), query)
  }

  /** A prefetched message is stored as `sending` but isn't being sent yet. */
  #shownStatus(row: StoredRow): Status {
    const stored = statusOf(row)
    const prefetched = stored === 'sending' && this.#local.isPrefetched(row.seq)
    return shownStatus(prefetched ? 'queued' : stored, this.#local.paused())
  }

  #open<R extends { head: string }>(row: R): R {
    return this.#cipher?.open(row) ?? row
  }
}
