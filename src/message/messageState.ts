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
import { NO_DATA } from './json.js'

/** The highest priority; the lowest is 0. */
export const TOP_PRIORITY = 9

/** What the queue stores of a mail; never changed after it was accepted. */
export interface MailJob extends MessagePayload {
  transport: string
  /** The template's `version` as who took the mail in knew it; what is sent is the deliverer's. */
  templateVersion?: string
  priority: number
  /** Milliseconds since the epoch. */
  acceptedAt: number
  /** Not before this time, in ms since the epoch. */
  notBefore?: number
  expiresAt: number
  onUncertain: 'retry' | 'hold'
  tags: string[]
  metadata?: JsonObject
  idempotencyKey?: string
  /** Hash of what the caller gave; present with an idempotency key, and where the mail was prepared. */
  fingerprint?: string
}

/** All there are, in the order of a message's life. */
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

/** Whether nothing will happen to the message any more by itself. */
export function isSettled(status: Status): boolean {
  return SETTLED.has(status)
}

export type HeldReason = 'uncertain' | 'breaker' | 'setup' | 'budget' | 'paused'

export interface Attempt {
  /** Milliseconds since the epoch. */
  start: number
  end: number
  thread: number
  /** The transport that took it. */
  transport?: string
  /** Whether it used up one of the message's attempts. */
  counted: boolean
  outcome: Outcome
}

export interface RecipientState {
  address: string
  status: 'waiting' | 'deferred' | 'uncertain' | 'sent' | 'failed'
  reply?: SmtpReply
}

/** What changes about a message; the queue keeps it beside the job. */
export interface MessageState {
  status: Status
  heldReason?: HeldReason
  /** At least one attempt handed the body over and got no reply. */
  uncertain: boolean
  attempts: Attempt[]
  /** Attempts counted since the message was queued or last redriven. */
  counted: number
  recipients: RecipientState[]
  /** Milliseconds since the epoch. */
  nextAttemptAt?: number
  expiresAt: number
  /** When it last became due, in ms since the epoch: the beginning of its wait for a thread. */
  dueAt: number
  settledAt?: number
}

/** What a delivery came to: the attempt, and what is to be done. */
export interface Settlement {
  /** Absent when nothing was tried. */
  attempt?: Attempt
  decision: RetryDecision
  recipients: RecipientState[]
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

/** Everybody the message is for, each once. */
export function recipientsOf(job: Pick<MailJob, 'to' | 'cc' | 'bcc'>): string[] {
  const [only] = job.to
  if (only !== undefined && job.to.length + job.cc.length + job.bcc.length === 1) return [only.address]
  return [...new Set([...job.to, ...job.cc, ...job.bcc].map(({ address }) => address))]
}

/** The recipients the next attempt is for. */
export function openRecipients(state: MessageState): string[] {
  return state.recipients.filter(isOpen).map(({ address }) => address)
}

export function isOpen(recipient: RecipientState): boolean {
  return recipient.status !== 'sent' && recipient.status !== 'failed'
}

/** The recipients after an attempt. An outcome that names none applies to all that were open. */
export function mergeRecipients(before: readonly RecipientState[], outcome: Outcome): RecipientState[] {
  if (outcome.result === 'withdrawn') return [...before]
  const resultOf = resultsOf(outcome)
  const everyone = outcome.result === 'sent' ? 'accepted' : outcome.result
  return before.map((recipient) => {
    if (!isOpen(recipient)) return recipient
    const { result, reply } = resultOf(recipient.address) ?? { result: everyone, reply: outcome.reply }
    const after: RecipientState = { address: recipient.address, status: STATUS_OF[result] }
    if (reply !== undefined) after.reply = reply
    return after
  })
}

/** Most messages have one recipient, and a map for it would cost more than all the rest. */
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

export function settle(
  state: MessageState,
  { attempt, decision, recipients }: Settlement,
  now: number,
): void {
  if (attempt !== undefined) note(state, attempt)
  state.recipients = recipients
  enter(state, decision.status, now)
  if ('nextAttemptAt' in decision) state.dueAt = state.nextAttemptAt = decision.nextAttemptAt
  if (decision.status === 'held') state.heldReason = decision.reason
}

/** While a transport, or the threads, are out of order one attempt stands for them all, or days of it would fill the record. */
function note(state: MessageState, attempt: Attempt): void {
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

/** Every change of status passes here, so that what belongs to one status never lingers in the next. */
export function enter(state: MessageState, status: Status, now: number): void {
  state.status = status
  delete state.heldReason
  delete state.nextAttemptAt
  delete state.settledAt
  if (isSettled(status)) {
    state.settledAt = now
    if (status === 'failed' || status === 'partial') failOpenRecipients(state)
  }
}

function failOpenRecipients(state: MessageState): void {
  for (const recipient of state.recipients) if (isOpen(recipient)) recipient.status = 'failed'
}

/** Puts a message back in line by a person's wish: its history stays, its attempts begin anew. */
export function redrive(state: MessageState, now: number, maxAge: number): void {
  state.counted = 0
  for (const recipient of state.recipients) if (recipient.status !== 'sent') recipient.status = 'waiting'
  if (state.expiresAt <= now) state.expiresAt = now + maxAge
  enter(state, 'queued', now)
  state.dueAt = now
}

/** A person knows that it arrived. */
export function markSent(state: MessageState, now: number): void {
  for (const recipient of state.recipients) if (isOpen(recipient)) recipient.status = 'sent'
  enter(state, state.recipients.every(({ status }) => status === 'sent') ? 'sent' : 'partial', now)
}

/** The job without what it says: the data, the bodies and the attachments' bytes. */
export function withoutContent(job: MailJob): MailJob {
  const { content } = job
  return {
    ...job,
    content: content.kind === 'template' ? { ...content, data: NO_DATA } : { kind: 'literal' },
    attachments: job.attachments.map((attachment) => ({ ...attachment, content: '' })),
  }
}
