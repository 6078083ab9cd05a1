import { addressKey } from '../protocol/addressForms.js'
import {
  countsAsAttempt,
  isSetupFailure,
  isUnreachable,
  type Outcome,
  type RecipientOutcome,
  type SmtpReply,
  type RetryDecision,
} from '../protocol/outcome.js'
import type { JsonObject, MessagePayload } from '../protocol/tasks.js'
import { MAIL_FIELDS } from './mailFields.js'
import type { StoredLoad } from './storedLoad.js'

/** The highest priority; the lowest is 0. */
export const MAX_PRIORITY = MAIL_FIELDS.priority.max

/** A mail as the queue stores it. It never changes after it is accepted. */
export interface MailJob extends MessagePayload {
  transport: string
  /** The template's `version` when the mail was accepted. The delivering process sends its own version. */
  templateVersion?: string
  priority: number
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
  /** Hash of the caller's mail; present with an idempotency key, and if the mail was prepared. */
  fingerprint?: string
}

/**
 * The nine statuses, in the order of a message's life. Each transition is labeled with the function that makes it; `settle()`
 * applies the decision of `decide()`, the retry policy. The queue drivers call these functions.
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

/** `paused`: the queue is paused, or the message's transport; then the message has a time for its next attempt. */
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

export interface RecipientState {
  address: string
  /** `cancelled` and `expired`: nothing was sent to the recipient before the message ended in that way. */
  status: 'waiting' | 'deferred' | 'uncertain' | 'sent' | 'failed' | 'cancelled' | 'expired'
  reply?: SmtpReply
  /** The reason, if no server was asked about this recipient: its transport can't reach it. */
  code?: Outcome['code']
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
  /** What the template's `load` function returned, for further attempts. */
  loaded?: StoredLoad
  /** Milliseconds since the epoch. */
  nextAttemptAt?: number
  expiresAt: number
  /** When it last became due, in ms since the epoch: the start of its wait for a thread. */
  dueAt: number
  settledAt?: number
}

/** The result of a delivery: the attempt, and the decision about what to do next. */
export interface Settlement {
  /** Absent if nothing was attempted. */
  attempt?: Attempt
  decision: RetryDecision
  recipients: RecipientState[]
  /** The subject with which the message was rendered. */
  subject?: string
  /** What the template's `load` function returned in this attempt. */
  loaded?: StoredLoad
}

export function newState(job: MailJob): MessageState {
  return {
    status: 'queued',
    uncertain: false,
    attempts: [],
    counted: 0,
    recipients: recipientsOf(job).map((address) => ({ address, status: 'waiting' })),
    ...(job.notBefore === undefined ? {} : { nextAttemptAt: job.notBefore }),
    expiresAt: job.expiresAt,
    dueAt: Math.max(job.notBefore ?? 0, job.acceptedAt),
  }
}

/** The addresses of all recipients, each once: the letter case and the script of a domain make no difference. */
export function recipientsOf(job: Pick<MailJob, 'to' | 'cc' | 'bcc'>): string[] {
  const [only] = job.to
  if (only !== undefined && job.to.length + job.cc.length + job.bcc.length === 1) return [only.address]
  const byKey = new Map<string, string>()
  for (const list of [job.to, job.cc, job.bcc])
    for (const { address } of list) {
      const key = addressKey(address)
      if (!byKey.has(key)) byKey.set(key, address)
    }
  return [...byKey.values()]
}

/** The recipients of the next attempt. */
export function openRecipients(state: MessageState): string[] {
  return state.recipients.filter(isOpen).map(({ address }) => address)
}

export function isOpen(recipient: RecipientState): boolean {
  return recipient.status !== 'sent' && recipient.status !== 'failed'
}

/** The recipients as they are shown: one to whom nothing was sent ends as its message did. */
export function shownRecipients({ status, recipients }: Readonly<MessageState>): RecipientState[] {
  return recipients.map(({ reply, ...recipient }) => ({
    ...recipient,
    ...((status === 'cancelled' || status === 'expired') &&
    (recipient.status === 'waiting' || recipient.status === 'deferred')
      ? { status }
      : {}),
    ...(reply === undefined ? {} : { reply: { ...reply } }),
  }))
}

/** Recipients after an attempt. An outcome without recipients applies to every open recipient. */
export function mergeRecipients(before: readonly RecipientState[], outcome: Outcome): RecipientState[] {
  if (outcome.result === 'withdrawn') return [...before]
  const resultOf = resultsOf(outcome)
  const everyone = outcome.result === 'sent' ? 'accepted' : outcome.result
  return before.map((recipient) => {
    if (!isOpen(recipient)) return recipient
    const { result, reply, code } = resultOf(recipient.address) ?? {
      result: everyone,
      reply: outcome.reply,
      code: undefined,
    }
    const after: RecipientState = { address: recipient.address, status: STATUS_OF[result] }
    if (reply !== undefined) after.reply = reply
    if (code !== undefined) after.code = code
    return after
  })
}

/** Avoids a map for a single recipient, which is the usual case: the map would cost more than everything else here. */
function resultsOf({ recipients }: Outcome): (address: string) => RecipientOutcome | undefined {
  const [first] = recipients
  if (recipients.length < 2) return (address) => (first?.address === address ? first : undefined)
  const results = new Map(recipients.map((recipient) => [recipient.address, recipient]))
  return (address) => results.get(address)
}

const STATUS_OF = {
  accepted: 'sent',
  rejected: 'failed',
  deferred: 'deferred',
  uncertain: 'uncertain',
} as const satisfies Record<RecipientOutcome['result'], RecipientState['status']>

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

function isOutage(outcome: Outcome): boolean {
  return isUnreachable(outcome) || isSetupFailure(outcome)
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
  for (const recipient of state.recipients) if (recipient.status !== 'sent') recipient.status = 'waiting'
  if (state.expiresAt <= now) state.expiresAt = now + maxAge
  enter(state, 'queued', now)
  state.dueAt = now
}

/** Settles a message that an operator knows has arrived. */
export function markSent(state: MessageState, now: number): void {
  for (const recipient of state.recipients) if (isOpen(recipient)) recipient.status = 'sent'
  enter(state, state.recipients.every(({ status }) => status === 'sent') ? 'sent' : 'partial', now)
}
