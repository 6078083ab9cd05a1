import { isId } from '../message/ids.js'
import { isSettled, type Status } from '../message/messageState.js'
import type { Message } from '../message/messageView.js'
import type { ListQuery, MessagePage, QueueDriver, QueuedMessage, StatusCounts } from './driver.js'
import { cursorPosition, pageLimit, matches, paginate, shownCounts, shownStatus } from './listing.js'
import { boundSubject, rowToMessage, statusOf, unpackHead, unpackLoaded, unpackState } from './rowCodec.js'
import type { FoundRow } from './storedMutations.js'
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

/** The reads of a driver on a server. Its methods throw `QUEUE_UNAVAILABLE` while the server can't be reached. */
export interface StoredQueries extends Pick<QueueDriver, 'find' | 'load' | 'list' | 'stats'> {
  /** Reads a message for a change. */
  readonly read: (id: string) => Promise<FoundRow | undefined>
  /** Reads a message for its change listener if another process has settled it. Undefined while the server can't be reached. */
  readonly settledElsewhere: (id: string) => Promise<QueuedMessage | undefined>
}

export function storedQueries(store: MessageReader, guard: Guard): StoredQueries {
  const read = async (id: string): Promise<FoundRow | undefined> => {
    const { paused, rows } = await guard(() => store.find([id]))
    const [row] = rows
    return row && { row, show: (row) => show(row, paused) }
  }

  const listOne = async (id: string, query: ListQuery): Promise<MessagePage> => {
    const { paused, rows } = await guard(() => store.find([id]))
    const [row] = rows
    return paginate(row === undefined ? [] : [row], query, {
      position: ({ seq }) => seq,
      matches: (row) => fits(row, paused, query),
      show: (row) => show(row, paused),
    })
  }

  return {
    read,

    async find(id) {
      const found = await read(id)
      return found?.show(found.row)
    },

    async load(id) {
      const row = await guard(() => store.load(id))
      return row && unpackLoaded(row)
    },

    async list(query) {
      const limit = pageLimit(query)
      const { q = '' } = query
      if (isId(q)) return listOne(q, query)
      let paused = false
      return scan(query, {
        read: async (before) => {
          const page = await guard(() => store.list(before, limit, query.status))
          ;({ paused } = page)
          return { rows: page.rows, next: page.rows.length < limit ? undefined : page.rows.at(-1)!.seq }
        },
        matches: (row) => fits(row, paused, query),
        show: (row) => show(row, paused),
      })
    },

    async stats() {
      const { counts, ...rest } = await guard(() => store.stats())
      return { ...shownCounts(counts, rest.paused), ...rest }
    },

    async settledElsewhere(id) {
      const found = await store.find([id]).catch(() => undefined)
      const row = found?.rows[0]
      if (row === undefined || !isSettled(statusOf(row))) return undefined
      const job = unpackHead(row)
      return { job, state: unpackState(row, job), elsewhere: true }
    },
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
function show(row: StoredRow, paused: boolean): Message {
  return rowToMessage(row, shownStatus(statusOf(row), paused))
}
