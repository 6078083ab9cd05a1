import { ThreadpostError } from '../errors.js'
import { enter, isSettled, markSent, type MessageState, redrive } from '../message/messageState.js'

/** The actions that an operator may take on a message. Each changes the state, or throws `CONFLICT` if it is too late. */

/** @param cancelDelivery cancels the delivery in progress; returns whether the message certainly won't be sent */
export type ManualAction = (state: MessageState, now: number, cancelDelivery: () => boolean) => void

export function cancelManually(
  id: string,
  state: MessageState,
  cancelDelivery: () => boolean,
  now: number,
): void {
  const { status } = state
  if (status === 'sending' && !cancelDelivery())
    throw conflict(id, 'is being sent; it is too late to cancel it')
  if (isSettled(status)) throw conflict(id, `is already ${status}`)
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

/** Whether a message with this status loses its content. Only a sent message does: any other can be retried. */
export function dropsContent(status: MessageState['status'], data: 'until-settled' | 'kept'): boolean {
  return data === 'until-settled' && status === 'sent'
}

export function notFound(id: string): ThreadpostError {
  return new ThreadpostError('NOT_FOUND', `There is no message ${JSON.stringify(id)}`)
}

function conflict(id: string, problem: string): ThreadpostError {
  return new ThreadpostError('CONFLICT', `Message ${id} ${problem}`)
}
