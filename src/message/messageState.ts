import { countsAsAttempt, isOutage, type Outcome, type RetryDecision } from '../protocol/outcome.js'
import type { JsonObject, MessagePayload } from '../protocol/tasks.js'
import { MAIL_FIELDS } from './mailFields.js'
import {
  isOpen,
  type RecipientState,
  recipientsOf,
  type SuppressedRecipient,
  withSuppressed,
} from './recipients.js'
import type { StoredLoad } from './storedLoad.js'

export {
  isOpen,
  mergeRecipients,
  openRecipients,
  type RecipientState,
  recipientsOf,
  shownRecipients,
  type SuppressedRecipient,
  withSuppressed,
} from './recipients.js'

/** The highest priority; the lowest is 0. */
export const MAX_PRIORITY = MAIL_FIELDS.priority.max

/** A mail as the queue stores it. It never changes after it is accepted. */
export interface MailJob extends MessagePayload {
  transport: string
  /** The template's `version` when the mail was accepted. The delivering process sends its own version. */
  templateVersion?: string
  priority: number
  /** Groups take turns at equal priority. Messages without one form a group of their own. */
  group?: string
  /** Milliseconds since the epoch. */
  acceptedAt: number
  /** Earliest time of the first attempt, in ms since the epoch. */
  notBefore?: number
  expiresAt: number
  onUncertain: 'retry' | 'hold'
  tags: string[]
  metadata?: JsonObject
  idempotencyKey?: string
  /** Id of the message that this one sends again. */
  resendOf?: string
  /** The scope of suppressions and unsubscribes. @default 'transactional' */
  stream?: string
  /** Recipients that were suppressed when the mail was accepted: nothing is sent to them. */
  suppressed?: SuppressedRecipient[]
  /** Hash of the caller's mail; present with an idempotency key, and if the mail was prepared. */
  fingerprint?: string
  /** Present if an address was erased from it after it was settled, and with it the content. */
  erased?: true
  /** Present if it can't be decrypted: then only what the queue stores clear is here. */
  sealed?: string
}

/**
 * The nine statuses, in the order of a message's life. Each transition is labeled with the function that makes it; `settle()`
 * applies the decision of `decideRetry()`, the retry policy. The queue drivers call these functions.
 *
 *       newState()
 *           │
 *           ▼             enter('sending')
 *        queued ─────────────────────────────────► sending ◄────────────┐
 *           ▲                                         │                 │
 *           └──────────── enter('queued') ────────────┤                 │ enter('sending')
 *                the process died or closed           │                 │ at nextAttemptAt
 *                before anything was sent             │ settle()        │
 *                                                     ├─► deferred ─────┤
 *                                                     ├─► held ─────────┘
 *                                                     ├─► sent
 *                                                     ├─► partial
 *                                                     ├─► failed
 *                                                     ├─► expired
 *                                                     └─► cancelled
 *
 *   deferred, held, partial, failed, expired, cancelled ── redrive() ───────────► queued            retry(id)
 *   queued, deferred, held ─────────────────────────────── enter('expired') ────► expired           at expiresAt
 *   queued, sending, deferred, held ────────────────────── enter('cancelled') ──► cancelled         cancel(id)
 *   deferred, held ─────────────────────────────────────── markSent() ──────────► sent or partial   markSent(id)
 */
export const STATUSES = [
  'queued',
  'sending',
  'deferred',
  'held',
  'sent',
  'partial',
  'failed',
  'expired',
  'cancelled',
] as const
export type Status = (typeof STATUSES)[number]

const SETTLED: ReadonlySet<Status> = new Set(['sent', 'partial', 'failed', 'expired', 'cancelled'])

/** Whether the status is final: nothing more happens to the message by itself. */
export function isSettled(status: Status): boolean {
  return SETTLED.has(status)
}

/** `paused`: the queue is paused; or the message's transport is, or is not there. In that case there is a time for the next attempt. */
export type HeldReason = 'uncertain' | 'breaker' | 'setup' | 'budget' | 'paused'

/** Whether the message is held until its transport has room, or is resumed: then `wakeHeld()` of the queue makes it due. */
export function waitsForTransport({ heldReason, nextAttemptAt }: Readonly<MessageState>): boolean {
  return (heldReason === 'budget' || heldReason === 'paused') && nextAttemptAt !== undefined
}

/** One delivery attempt. */
export interface Attempt {
  /** Milliseconds since the epoch. */
  start: number
  end: number
  thread: number
  /** The transport that carried out the attempt. */
  transport?: string
  /** Whether it counts toward the message's `retry.attempts`. */
  counted: boolean
  outcome: Outcome
}

/** The mutable part of a message; the queue stores it beside the job. */
export interface MessageState {
  status: Status
  heldReason?: HeldReason
  /** Whether at least one attempt sent the body and received no reply. */
  uncertain: boolean
  attempts: Attempt[]
  /** Counted attempts since the message was queued or last redriven. */
  counted: number
  recipients: RecipientState[]
  /** The subject that the template gave the message when it was rendered; absent if the mail has its own. */
  subject?: string
  /** The value that the template's `load` function returned, for further attempts. */
  loaded?: StoredLoad
  /** Milliseconds since the epoch. */
  nextAttemptAt?: number
  expiresAt: number
  /** When it last became due, in ms since the epoch: the start of its wait for a thread. */
  dueAt: number
  settledAt?: number
  /** The stored state, if the message can't be decrypted: then the fields beside the status and the times are not known. */
  sealed?: string
}

/** The result of a delivery: the attempt, and the decision about what to do next. */
export interface Settlement {
  /** Absent if nothing was attempted. */
  attempt?: Attempt
  decision: RetryDecision
  recipients: RecipientState[]
  /** The subject with which the message was rendered. */
  subject?: string
  /** The value that the template's `load` function returned in this attempt. */
  loaded?: StoredLoad
}

export function newState(job: MailJob): MessageState {
  return {
    status: 'queued',
    uncertain: false,
    attempts: [],
    counted: 0,
    recipients: withSuppressed(
      recipientsOf(job).map((address): RecipientState => ({ address, status: 'waiting' })),
      job.suppressed,
    ),
    ...(job.notBefore === undefined ? {} : { nextAttemptAt: job.notBefore }),
    expiresAt: job.expiresAt,
    dueAt: Math.max(job.notBefore ?? 0, job.acceptedAt),
  }
}

/** Applies the result of a delivery to the state. */
export function settle(
  state: MessageState,
  { attempt, decision, recipients, subject, loaded }: Settlement,
  now: number,
): void {
  if (subject !== undefined) state.subject = subject
  if (loaded !== undefined) state.loaded = loaded
  if (attempt !== undefined) recordAttempt(state, attempt)
  state.recipients = recipients
  enter(state, decision.status, now)
  if ('nextAttemptAt' in decision) state.dueAt = state.nextAttemptAt = decision.nextAttemptAt
  if (decision.status === 'held') state.heldReason = decision.reason
}

/** During an outage of a transport or of the threads, the last attempt replaces earlier equal ones, so that days of outage don't fill the record. */
function recordAttempt(state: MessageState, attempt: Attempt): void {
  const { outcome, transport } = attempt
  for (let index = state.attempts.length - 1; isOutage(outcome) && index >= 0; index--) {
    const earlier = state.attempts[index]!
    if (!isOutage(earlier.outcome)) break
    if (earlier.outcome.code !== outcome.code || earlier.transport !== transport) continue
    state.attempts.splice(index, 1)
    break
  }
  state.attempts.push(attempt)
  if (countsAsAttempt(outcome)) state.counted++
  if (outcome.result === 'uncertain') state.uncertain = true
}

/** Every status change goes through this function, so that no field of one status remains in the next. */
export function enter(state: MessageState, status: Status, now: number): void {
  state.status = status
  delete state.heldReason
  delete state.nextAttemptAt
  delete state.settledAt
  if (isSettled(status)) {
    state.settledAt = now
    if (status === 'failed' || status === 'partial') failOpenRecipients(state)
    if (status === 'sent') delete state.loaded
  }
}

function failOpenRecipients(state: MessageState): void {
  for (const recipient of state.recipients) if (isOpen(recipient)) recipient.status = 'failed'
}

/** Requeues a message at an operator's request. Its history stays; counting of attempts starts again. */
export function redrive(state: MessageState, now: number, maxAge: number): void {
  state.counted = 0
  // Only if a copy may have been delivered, the next one has to be the same.
  if (!state.uncertain && state.recipients.every(({ status }) => status !== 'sent')) delete state.loaded
  for (const recipient of state.recipients)
    if (recipient.status !== 'sent') {
      recipient.status = 'waiting'
      delete recipient.suppressed
    }
  if (state.expiresAt <= now) state.expiresAt = now + maxAge
  enter(state, 'queued', now)
  state.dueAt = now
}

/** Settles a message that an operator knows has arrived. */
export function markSent(state: MessageState, now: number): void {
  for (const recipient of state.recipients) if (isOpen(recipient)) recipient.status = 'sent'
  enter(state, state.recipients.every(({ status }) => status === 'sent') ? 'sent' : 'partial', now)
}
