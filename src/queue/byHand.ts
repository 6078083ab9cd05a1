import { ThreadpostError } from '../errors.js'
import { enter, isSettled, markSent, type MessageState, redrive } from '../record.js'

/** What a person may do to a message, and when it is too late. Each changes the state or throws `CONFLICT`. */

export function cancelByHand(id: string, state: MessageState, now: number): void {
  const { status } = state
  if (status === 'sending') throw conflict(id, 'is being sent; it is too late to cancel')
  if (isSettled(status)) throw conflict(id, `is ${status} already`)
  enter(state, 'cancelled', now)
}

/** @param kept whether the message's content is still there */
export function retryByHand(id: string, state: MessageState, kept: boolean, now: number, maxAge: number): void {
  const { status } = state
  if (status === 'queued' || status === 'sending' || status === 'sent')
    throw conflict(id, `is ${status}; there is nothing to retry`)
  if (!kept) throw conflict(id, 'no longer has its content, which is dropped once a message is settled (retain.data)')
  redrive(state, now, maxAge)
}

export function markSentByHand(id: string, state: MessageState, now: number): void {
  const { status } = state
  if (status !== 'held' && status !== 'deferred')
    throw conflict(id, `is ${status}; only a held or deferred message can be marked as sent`)
  markSent(state, now)
}

/** Whether a message that is settled so loses its content: what failed or expired can be retried and keeps it. */
export function losesContent(status: MessageState['status'], data: 'until-settled' | 'kept'): boolean {
  return data === 'until-settled' && (status === 'sent' || status === 'cancelled')
}

export function notFound(id: string): ThreadpostError {
  return new ThreadpostError('NOT_FOUND', `There is no message ${JSON.stringify(id)}`)
}

function conflict(id: string, problem: string): ThreadpostError {
  return new ThreadpostError('CONFLICT', `Message ${id} ${problem}`)
}
