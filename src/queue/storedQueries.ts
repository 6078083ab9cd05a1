import { isId } from '../message/ids.js'
import { isSettled, type MailJob, type Status } from '../message/messageState.js'
import type { Message } from '../message/messageView.js'
import type { ListQuery, MessagePage, QueuedMessage, QueueStats, StatusCounts } from './driver.js'
import { cursorPosition, pageLimit, matches, paginate, shownCounts, shownStatus } from './listing.js'
import { boundSubject, rowToMessage, statusOf, unpackHead, unpackLoaded, unpackState } from './rowCodec.js'
import type { LoadedRow, StoredRow } from './storedRow.js'

/** Messages that are read for one page of a filtered listing at most. */
const MAX_SCANNED = 2_000

/** Rows as they are stored, read at one time, and whether the queue was paused then. */
export interface ReadRows<Row = StoredRow> {
  paused: boolean
  rows: Row[]
}

/** The reading half of a server's store. Each method rejects while the server can't be reached. */
export interface MessageReader {
  /** Reads messages by id, in order. */
  find(ids: readonly string[]): Promise<ReadRows<StoredRow | undefined>>
  /** Reads a message with the content that it still has. */
  load(id: string): Promise<LoadedRow | undefined>
  /** Reads messages newest first, below a position. While the queue is paused, queued messages are listed as held. */
  list(before: number, limit: number, status: Status | undefined): Promise<ReadRows>
  /** Counts messages; `oldest` is the time in ms for which the oldest due message has waited. */
  stats(): Promise<{ paused: boolean; accepted: number; oldest: number; counts: StatusCounts }>
}

/** Runs a command for a caller. @throws ThreadpostError `QUEUE_UNAVAILABLE` if the server does not answer it */
export type Guard = <T>(command: () => Promise<T>) => Promise<T>

/** Reads the messages on a server, for a driver whose methods of these names these are. Each throws `QUEUE_UNAVAILABLE` while the server can't be reached. */
export class StoredQueries {
  readonly #store: MessageReader
  readonly #guard: Guard

  constructor(store: MessageReader, guard: Guard) {
    this.#store = store
    this.#guard = guard
  }

  readonly find = async (id: string): Promise<Message | undefined> => {
    const { paused, rows } = await this.#guard(() => this.#store.find([id]))
    return rows[0] && show(rows[0], paused)
  }

  readonly load = async (id: string): Promise<MailJob | 'dropped' | undefined> => {
    const row = await this.#guard(() => this.#store.load(id))
    return row && unpackLoaded(row)
  }

  readonly list = async (query: ListQuery): Promise<MessagePage> => {
    const limit = pageLimit(query)
    const { q = '' } = query
    if (isId(q)) return this.#listOne(q, query)
    let paused = false
    return scan(query, {
      read: async (before) => {
        const page = await this.#guard(() => this.#store.list(before, limit, query.status))
        ;({ paused } = page)
        return { rows: page.rows, next: page.rows.length < limit ? undefined : page.rows.at(-1)!.seq }
      },
      matches: (row) => fits(row, paused, query),
      show: (row) => show(row, paused),
    })
  }

  readonly stats = async (): Promise<QueueStats> => {
    const { counts, ...rest } = await this.#guard(() => this.#store.stats())
    return { ...shownCounts(counts, rest.paused), ...rest }
  }

  /** Reads a message for its change listener if another process has settled it. Undefined while the server can't be reached. */
  async settledElsewhere(id: string): Promise<QueuedMessage | undefined> {
    const found = await this.#store.find([id]).catch(() => undefined)
    const row = found?.rows[0]
    if (row === undefined || !isSettled(statusOf(row))) return undefined
    const job = unpackHead(row)
    return { job, state: unpackState(row, job), elsewhere: true }
  }

  async #listOne(id: string, query: ListQuery): Promise<MessagePage> {
    const { paused, rows } = await this.#guard(() => this.#store.find([id]))
    const [row] = rows
    return paginate(row === undefined ? [] : [row], query, {
      position: ({ seq }) => seq,
      matches: (row) => fits(row, paused, query),
      show: (row) => show(row, paused),
    })
  }
}

/** How {@link scan} reads a queue. */
interface Scan {
  /** Reads rows below a position, newest first. `next`: the position from which to continue, if there may be more. */
  read(before: number): Promise<{ rows: StoredRow[]; next: number | undefined }>
  matches(row: StoredRow): boolean
  show(row: StoredRow): Message
}

/** Reads rows from the newest on until a page is full, there are no more, or many were read. */
export async function scan(query: ListQuery, scanned: Scan): Promise<MessagePage> {
  const limit = pageLimit(query)
  const messages: Message[] = []
  let before = cursorPosition(query)
  for (let count = 0; count < MAX_SCANNED;) {
    const { rows, next } = await scanned.read(before)
    count += rows.length
    for (const row of rows) {
      before = row.seq
      if (!scanned.matches(row)) continue
      messages.push(scanned.show(row))
      const isLast = row === rows.at(-1) && next === undefined
      if (messages.length === limit && !isLast) return { messages, cursor: String(before) }
    }
    if (next === undefined) return { messages }
    before = next
    // The page ended early: the reader has done enough.
    if (rows.length < limit) break
  }
  return { messages, cursor: String(before) }
}

function fits(row: StoredRow, paused: boolean, query: ListQuery): boolean {
  return matches(unpackHead(row), boundSubject(row), shownStatus(statusOf(row), paused), query)
}

/** A message as `find()` returns it. */
export function show(row: StoredRow, paused: boolean): Message {
  return rowToMessage(row, shownStatus(statusOf(row), paused))
}
