import { type Events, messageEvent } from './events.js'
import type { Measures } from './measures.js'
import { toMessage } from '../message/view.js'
import type { ChangeListener, QueuedMessage } from '../queue/driver.js'
import { isSettled } from '../message/record.js'
import type { Redaction } from './redaction.js'
import type { Steps } from './steps.js'
import type { Waiters } from './waiters.js'

/** Who is told of changes, and what of them is hidden. */
interface Audience {
  events: Events
  waiters: Waiters
  measures: Measures
  redaction: Redaction
  steps: Steps
}

/** Counts each change and tells log, listeners and waiters of it, once the queue has it. */
export function announceTo({ events, waiters, measures, redaction, steps }: Audience): ChangeListener {
  const tell = (message: QueuedMessage): void => {
    const { job, state } = message
    measures.changed(message)
    steps.changed(message)
    events.emit(state.status, () => redaction.event(messageEvent(message)))
    if (isSettled(state.status) && waiters.has(job.id))
      waiters.settled(redaction.message(toMessage(job, state)))
  }
  return (message) => steps.inside(message, () => tell(message))
}
