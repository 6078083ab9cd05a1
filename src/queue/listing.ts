import { ThreadpostError } from '../errors.js'
import { type MailJob, recipientsOf, type Status } from '../message/messageState.js'
import type { Message } from '../message/messageView.js'
import type { ListQuery, MessagePage, StatusCounts } from './driver.js'

const DEFAULT_LIMIT = 50
const MAX_LIMIT = 500

interface Listing<T> {
  /** Grows with each acceptance. */
  position(entry: T): number
  matchesQuery(entry: T): boolean
  show(entry: T): Message
}

/** A page out of entries, newest first. A cursor is the position of the last message of the page before. */
export function paginate<T>(newestFirst: readonly T[], query: ListQuery, listing: Listing<T>): MessagePage {
  const limit = pageLimit(query)
  const before = cursorPosition(query)
  const messages: Message[] = []
  let last = 0
  for (const entry of newestFirst) {
    const position = listing.position(entry)
    if (position >= before || !listing.matchesQuery(entry)) continue
    if (messages.length === limit) return { messages, cursor: String(last) }
    messages.push(listing.show(entry))
    last = position
  }
  return { messages }
}

export function matches(job: MailJob, shown: Status, query: ListQuery): boolean {
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
  if (q === job.id) return true
  const places = [job.subject ?? '', template, ...job.tags, ...recipientsOf(job)]
  return places.some((place) => place.toLowerCase().includes(needle))
}

/** The place to go on below; infinite for the first page. */
export function cursorPosition({ cursor }: ListQuery): number {
  if (cursor === undefined) return Infinity
  if (!/^\d{1,15}$/.test(cursor))
    throw new ThreadpostError('INVALID_MESSAGE', 'cursor: is not one that a listing gave', { path: 'cursor' })
  return Number(cursor)
}

export function pageLimit({ limit = DEFAULT_LIMIT }: ListQuery): number {
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT)
    throw new ThreadpostError('INVALID_MESSAGE', `limit: must be a whole number from 1 to ${MAX_LIMIT}`, {
      path: 'limit',
    })
  return limit
}

/** What is stored as `queued` is shown as `held` for as long as the queue is paused: nothing of it changes. */
export function shownStatus(stored: Status, paused: boolean): Status {
  return paused && stored === 'queued' ? 'held' : stored
}

/** The other way round: the stored statuses that are shown as one. */
export function statusesShownAs(shown: Status, paused: boolean): Status[] {
  if (!paused) return [shown]
  if (shown === 'queued') return []
  return shown === 'held' ? ['held', 'queued'] : [shown]
}

export function shownCounts(counts: StatusCounts, paused: boolean): StatusCounts {
  return paused ? { ...counts, held: counts.held + counts.queued, queued: 0 } : counts
}

/** A message in the status that {@link shownStatus} gives, and why it is held. */
export function withShownStatus(message: Message, shown: Status): Message {
  if (shown === message.status) return message
  return shown === 'held'
    ? { ...message, status: shown, heldReason: 'paused' }
    : { ...message, status: shown }
}
