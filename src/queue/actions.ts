import { ThreadpostError } from '../errors.js'
import { applyReports } from '../feedback/applyReports.js'
import type { RecipientReport, Reported } from '../feedback/deliveryStates.js'
import {
  enter,
  isSettled,
  type MailJob,
  markSent,
  type MessageState,
  redrive,
} from '../message/messageState.js'
import { quoted } from '../validation.js'
import type { RecordsOf } from './driver.js'
import type { RowCipher } from './encryption/rowCipher.js'
import type { RecordChange } from './records.js'
import { packJob } from './rowCodec.js'
import type { Replacement } from './storedRow.js'
import { unreadable } from './unreadable.js'

/** The message that an operator acts on, as its queue has it. */
export interface ActionTarget {
  id: string
  /** Without its content. */
  readonly job: MailJob
  state: MessageState
  /** Milliseconds since the epoch. */
  now: number
  /** `maxAge` of the mailer, in ms. */
  maxAge: number
  /** Cancels the delivery in progress. Returns whether the message certainly won't be sent. */
  cancelDelivery: () => boolean
  /** Set by an action that changes the job. Its content stays, unless the message is settled. */
  replacement?: MailJob
  /** Set by an action after which the message has the status that it had: the change listener isn't called. */
  keepsStatus?: true
}

/**
 * An action on a message from outside. It changes the state, or throws `CONFLICT` if it is too late.
 * @returns what became known of recipients; none if nothing has changed. Undefined unless the action reports on recipients
 */
export type ManualAction = (target: ActionTarget) => Reported | undefined

export const cancelManually: ManualAction = ({ id, state, now, cancelDelivery }) => {
  const { status } = state
  if (status === 'sending' && !cancelDelivery())
    throw conflict(id, 'is being sent; it is too late to cancel it')
  if (isSettled(status)) throw conflict(id, `is already ${status}`)
  enter(state, 'cancelled', now)
  return undefined
}

export const retryManually: ManualAction = ({ id, job, state, now, maxAge }) => {
  refuseUnreadable(id, state)
  if (job.erased === true) throw conflict(id, 'was erased; there is nothing left to send')
  const { status } = state
  if (status === 'queued' || status === 'sending' || status === 'sent')
    throw conflict(id, `is ${status}; there is nothing to retry`)
  redrive(state, now, maxAge)
  return undefined
}

export const markSentManually: ManualAction = ({ id, state, now }) => {
  refuseUnreadable(id, state)
  const { status } = state
  if (status !== 'held' && status !== 'deferred')
    throw conflict(id, `is ${status}; only a held or deferred message can be marked as sent`)
  markSent(state, now)
  return undefined
}

/** Adds delivery reports to the recipients of a message: see `src/feedback/`. */
export function withReports(reports: readonly RecipientReport[]): ManualAction {
  return ({ id, state, now }) => {
    refuseUnreadable(id, state)
    if (state.status === 'sending')
      throw conflict(id, 'is still being sent; report on it after it is settled')
    return applyReports(state, reports, now)
  }
}

/** A message that can't be decrypted may be cancelled, but its recipients are not known. */
function refuseUnreadable(id: string, state: MessageState): void {
  if (state.sealed !== undefined) throw unreadable(id)
}

/** @param before the job that is replaced */
function packReplacement(before: MailJob, after: MailJob, cipher: RowCipher | undefined): Replacement {
  const { head } = packJob(after, 0, cipher)
  const { idempotencyKey } = before
  const forget = idempotencyKey === undefined || after.idempotencyKey !== undefined ? [] : [idempotencyKey]
  return { head, forget: forget.flatMap((key) => cipher?.keyForms(key) ?? [key]) }
}

/** The replacement of a target's job, if there is one. */
export function replacing(
  { job, replacement }: Pick<ActionTarget, 'job' | 'replacement'>,
  cipher: RowCipher | undefined,
): { replacement?: Replacement } {
  return replacement === undefined ? {} : { replacement: packReplacement(job, replacement, cipher) }
}

/** Records that are stored with the change that an action made. */
export function recordsOfAction(
  { job, state, replacement, keepsStatus }: ActionTarget,
  reported: Reported | undefined,
  recordsOf: RecordsOf | undefined,
): readonly RecordChange[] | undefined {
  return keepsStatus === true ? undefined : recordsOf?.({ job: replacement ?? job, state, reported })
}

/** Whether a message that was changed loses its content. */
export function losesContent(
  { status }: Readonly<MessageState>,
  { replacement }: Pick<ActionTarget, 'replacement'>,
  data: 'until-settled' | 'kept',
): boolean {
  return dropsContent(status, data) || replacement?.erased === true
}

/** Whether a message with this status loses its content. Only a sent message does: any other can be retried. */
export function dropsContent(status: MessageState['status'], data: 'until-settled' | 'kept'): boolean {
  return data === 'until-settled' && status === 'sent'
}

export function notFound(id: unknown): ThreadpostError {
  return new ThreadpostError('NOT_FOUND', `There is no message ${quoted(id)}`)
}

export function conflict(id: string, problem: string): ThreadpostError {
  return new ThreadpostError('CONFLICT', `Message ${id} ${problem}`)
}
