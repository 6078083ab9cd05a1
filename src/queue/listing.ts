import { ThreadpostError } from '../errors.js'
import { type MailJob, recipientsOf, type Status } from '../message/messageState.js'
import type { Message } from '../message/messageView.js'
import type { ListQuery, MessagePage, StatusCounts } from './driver.js'

const DEFAULT_LIMIT = 50
const MAX_LIMIT = 500

/** How {@link paginate} reads one kind of entry. */
interface EntryReader<T> {
  /** Position in the order of acceptance. */
  position(entry: T): number
  matches(entry: T): boolean
  show(entry: T): Message
}

/** Returns one page of entries, newest first. A cursor is the position of the last message on the previous page. */
export function paginate<T>(
  newestFirst: readonly T[],
  query: ListQuery,
  reader: EntryReader<T>,
): MessagePage {
  const limit = pageLimit(query)
  const before = cursorPosition(query)
  const messages: Message[] = []
  let last = 0
  for (const entry of newestFirst) {
    const position = reader.position(entry)
    if (position >= before || !reader.matches(entry)) continue
    if (messages.length === limit) return { messages, cursor: String(last) }
    messages.push(reader.show(entry))
    last = position
  }
  return { messages }
}

/**
 * Whether a job, shown in this status, satisfies every condition of the query.
 * @param subject of a message without its own: the one that its template gave it
 */
export function matches(job: MailJob, subject: string | undefined, shown: Status, query: ListQuery): boolean {
  const { status, q, recipient, tag, since = -Infinity, until = Infinity } = query
  if (status !== undefined && shown !== status) return false
  if (job.acceptedAt < since || job.acceptedAt > until) return false
  if (tag !== undefined && !job.tags.includes(tag)) return false
  if (
    query.template !== undefined &&
    (job.content.kind !== 'template' || job.content.name !== query.template)
  )
    return false
  if (
    recipient !== undefined &&
    !recipientsOf(job).some((address) => address.toLowerCase() === recipient.toLowerCase())
  )
    return false
  if (q === undefined || q === '') return true
  const needle = q.toLowerCase()
  const template = job.content.kind === 'template' ? job.content.name : ''
  const texts = [job.id, job.subject ?? subject ?? '', template, ...job.tags, ...recipientsOf(job)]
  return texts.some((text) => text.toLowerCase().includes(needle))
}

/** Returns the position below which the page starts; `Infinity` for the first page. */
export function cursorPosition({ cursor }: ListQuery): number {
  if (cursor === undefined) return Infinity
  if (!/^\d{1,15}$/.test(cursor))
    throw new ThreadpostError('INVALID_MESSAGE', 'cursor: must be a cursor that list() returned', {
      path: 'cursor',
    })
  return Number(cursor)
}

/** @throws ThreadpostError `INVALID_MESSAGE` */
export function pageLimit({ limit = DEFAULT_LIMIT }: ListQuery): number {
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT)
    throw new ThreadpostError('INVALID_MESSAGE', `limit: must be a whole number from 1 to ${MAX_LIMIT}`, {
      path: 'limit',
    })
  return limit
}

/** Returns the status in which a message is shown: while the queue is paused, `queued` is shown as `held` without being changed. */
export function shownStatus(stored: Status, paused: boolean): Status {
  return paused && stored === 'queued' ? 'held' : stored
}

/** The reverse of {@link shownStatus}: returns the stored statuses that are shown as this one. */
export function statusesShownAs(shown: Status, paused: boolean): Status[] {
  if (!paused) return [shown]
  if (shown === 'queued') return []
  return shown === 'held' ? ['held', 'queued'] : [shown]
}

/** Returns the counts by shown status. */
export function shownCounts(counts: StatusCounts, paused: boolean): StatusCounts {
  return paused ? { ...counts, held: counts.held + counts.queued, queued: 0 } : counts
}

/** Returns the message in the status from {@link shownStatus}, with the reason if it is held for the pause. */
export function withShownStatus(message: Message, shown: Status): Message {
  if (shown === message.status) return message
  return shown === 'held'
    ? { ...message, status: shown, heldReason: 'paused' }
    : { ...message, status: shown }
}
