import type { Message } from '../message/view.js'
import type { Status } from '../message/record.js'
import type { StatusCounts } from './driver.js'

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
export function showAs(message: Message, shown: Status): Message {
  if (shown === message.status) return message
  return shown === 'held'
    ? { ...message, status: shown, heldReason: 'paused' }
    : { ...message, status: shown }
}
