import { isId } from '../../message/ids.js'
import type { MailJob } from '../../message/messageState.js'
import type { Message } from '../../message/messageView.js'
import type { ListQuery, MessagePage, QueueStats } from '../driver.js'
import { cursorPosition, pageLimit, matches, paginate, shownCounts, shownStatus } from '../listing.js'
import { boundSubject, rowToMessage, statusOf, unpackHead, unpackLoaded } from '../rowCodec.js'
import type { StoredRow } from '../storedRow.js'
import { orUnavailable } from './connections.js'
import type { RedisStore } from './store.js'

/** Messages that are read for one page of a filtered listing at most. */
const MAX_SCANNED = 2_000

/** Reads the messages in Redis. Each method throws `QUEUE_UNAVAILABLE` while Redis can't be reached. */
export class Queries {
  readonly #store: RedisStore

  constructor(store: RedisStore) {
    this.#store = store
  }

  async find(id: string): Promise<Message | undefined> {
    const { paused, rows } = await orUnavailable(() => this.#store.find([id]))
    return rows[0] && show(rows[0], paused)
  }

  async load(id: string): Promise<MailJob | 'dropped' | undefined> {
    const row = await orUnavailable(() => this.#store.load(id))
    return row && unpackLoaded(row)
  }

  async list(query: ListQuery): Promise<MessagePage> {
    const limit = pageLimit(query)
    let before = cursorPosition(query)
    const { q = '' } = query
    if (isId(q)) return this.#listOne(q, query)
    const messages: Message[] = []
    for (let scanned = 0; scanned < MAX_SCANNED;) {
      const { paused, rows } = await orUnavailable(() => this.#store.list(before, limit, query.status))
      scanned += rows.length
      for (const row of rows) {
        before = row.seq
        if (!fits(row, paused, query)) continue
        messages.push(show(row, paused))
        if (messages.length === limit) return { messages, cursor: String(before) }
      }
      if (rows.length < limit) return { messages }
    }
    return { messages, cursor: String(before) }
  }

  async stats(): Promise<QueueStats> {
    const { counts, ...rest } = await orUnavailable(() => this.#store.stats())
    return { ...shownCounts(counts, rest.paused), ...rest }
  }

  async #listOne(id: string, query: ListQuery): Promise<MessagePage> {
    const { paused, rows } = await orUnavailable(() => this.#store.find([id]))
    const [row] = rows
    return paginate(row === undefined ? [] : [row], query, {
      position: ({ seq }) => seq,
      matches: (row) => fits(row, paused, query),
      show: (row) => show(row, paused),
    })
  }
}

function fits(row: StoredRow, paused: boolean, query: ListQuery): boolean {
  return matches(unpackHead(row), boundSubject(row), shownStatus(statusOf(row), paused), query)
}

/** A message as `find()` returns it. */
export function show(row: StoredRow, paused: boolean): Message {
  return rowToMessage(row, shownStatus(statusOf(row), paused))
}
