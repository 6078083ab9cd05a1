import { ThreadpostError } from '../../errors.js'
import { isId } from '../../message/ids.js'
import type { MailJob } from '../../message/messageState.js'
import type { Message } from '../../message/messageView.js'
import type { ListQuery, MessagePage, QueueStats } from '../driver.js'
import { cursorPosition, pageLimit, matches, paginate, shownCounts, shownStatus } from '../listing.js'
import { rowToMessage, statusOf, unpackHead, unpackLoaded } from '../rowCodec.js'
import type { StoredRow } from '../storedRow.js'
import { ask } from './connections.js'
import type { RedisStore } from './store.js'

/** Messages looked at for one page of a filtered listing. */
const MOST_LOOKED_AT = 2_000

/** What can be asked about the messages in Redis. */
export class Queries {
  readonly #store: RedisStore

  constructor(store: RedisStore) {
    this.#store = store
  }

  async find(id: string): Promise<Message | undefined> {
    const { paused, rows } = await ask(() => this.#store.look([id]))
    return rows[0] && show(rows[0], paused)
  }

  async load(id: string): Promise<MailJob | 'dropped' | undefined> {
    const row = await ask(() => this.#store.load(id))
    return row && unpackLoaded(row)
  }

  async list(query: ListQuery): Promise<MessagePage> {
    const limit = pageLimit(query)
    let before = cursorPosition(query)
    const { q = '' } = query
    if (isId(q)) return this.#listOne(q, query)
    if (q !== '')
      throw new ThreadpostError(
        'UNSUPPORTED',
        'q: a queue on Redis finds whole ids only; look for recipient, tag or template instead',
        { path: 'q' },
      )
    const messages: Message[] = []
    for (let looked = 0; looked < MOST_LOOKED_AT;) {
      const { paused, rows } = await ask(() => this.#store.page(before, limit, query.status))
      looked += rows.length
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
    const { counts, ...rest } = await ask(() => this.#store.stats())
    return { ...shownCounts(counts, rest.paused), ...rest }
  }

  async #listOne(id: string, query: ListQuery): Promise<MessagePage> {
    const { paused, rows } = await ask(() => this.#store.look([id]))
    const [row] = rows
    return paginate(row === undefined ? [] : [row], query, {
      position: ({ seq }) => seq,
      matches: (row) => fits(row, paused, query),
      show: (row) => show(row, paused),
    })
  }
}

function fits(row: StoredRow, paused: boolean, query: ListQuery): boolean {
  return matches(unpackHead(row), shownStatus(statusOf(row), paused), query)
}

/** A message as `find()` shows it. */
export function show(row: StoredRow, paused: boolean): Message {
  return rowToMessage(row, shownStatus(statusOf(row), paused))
}
