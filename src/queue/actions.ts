import { ThreadpostError } from '../errors.js'
import { enter, isSettled, markSent, type MessageState, redrive } from '../message/messageState.js'

/** What a person may do to a message, and when it is too late. Each changes the state or throws `CONFLICT`. */

/** @param takeBack takes the message back from its delivery. Says whether it certainly won't be sent */
export type ManualAction = (state: MessageState, now: number, takeBack: () => boolean) => void

export function cancelManually(id: string, state: MessageState, takeBack: () => boolean, now: number): void {
  const { status } = state
  if (status === 'sending' && !takeBack()) throw conflict(id, 'is being sent; it is too late to cancel')
  if (isSettled(status)) throw conflict(id, `is ${status} already`)
  enter(state, 'cancelled', now)
}

export function retryManually(id: string, state: MessageState, now: number, maxAge: number): void {
  const { status } = state
  if (status === 'queued' || status === 'sending' || status === 'sent')
    throw conflict(id, `is ${status}; there is nothing to retry`)
  redrive(state, now, maxAge)
}

export function markSentManually(id: string, state: MessageState, now: number): void {
  const { status } = state
  if (status !== 'held' && status !== 'deferred')
    throw conflict(id, `is ${status}; only a held or deferred message can be marked as sent`)
  markSent(state, now)
}

/** Whether a message loses its content now: only what can't be retried does. */
export function dropsContent(status: MessageState['status'], data: 'until-settled' | 'kept'): boolean {
  return data === 'until-settled' && status === 'sent'
}

export function notFound(id: string): ThreadpostError {
  return new ThreadpostError('NOT_FOUND', `There is no message ${JSON.stringify(id)}`)
}

function conflict(id: string, problem: string): ThreadpostError {
  return new ThreadpostError('CONFLICT', `Message ${id} ${problem}`)
}
