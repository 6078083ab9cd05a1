import type { Outcome, SmtpReply } from '../wire/outcome.js'
import type { Attempt, HeldReason, MailJob, MessageState, RecipientState, Status } from './record.js'
import type { Json, Mailbox } from '../wire/tasks.js'

/** What `find()` shows of a message: all but its data, bodies and attachments' content. */
export interface Message {
  id: string
  messageId: string
  status: Status
  heldReason?: HeldReason
  uncertain: boolean
  from: Mailbox
  to: Mailbox[]
  cc: Mailbox[]
  bcc: Mailbox[]
  subject?: string
  template?: string
  locale?: string
  transport: string
  priority: number
  tags: string[]
  metadata?: Record<string, Json>
  /** Of the request that sent it. */
  context?: Record<string, Json>
  attachments: { filename?: string; contentType?: string; size: number }[]
  /** All times are ISO 8601. */
  acceptedAt: string
  sendAt?: string
  expiresAt: string
  nextAttemptAt?: string
  settledAt?: string
  attempts: MessageAttempt[]
  recipients: RecipientState[]
}

export interface MessageAttempt {
  start: string
  end: string
  thread: number
  /** The transport that took it: the message's own, or one in its place. */
  transport: string
  counted: boolean
  /** What it came to; `code` tells why. */
  outcome: Outcome['result']
  code: Outcome['code']
  message: string
  phase: Outcome['phase']
  reply?: SmtpReply
  timings: Outcome['timings']
}

/** What leaves the house is a copy: changing it changes no mail. */
export function copyRecipients(recipients: readonly RecipientState[]): RecipientState[] {
  return recipients.map((recipient) =>
    recipient.reply === undefined ? { ...recipient } : { ...recipient, reply: { ...recipient.reply } },
  )
}

function copy(mailbox: Mailbox): Mailbox {
  return { ...mailbox }
}

export function toMessage(job: MailJob, state: MessageState): Message {
  const { content } = job
  return {
    id: job.id,
    messageId: job.messageId,
    status: state.status,
    ...optional('heldReason', state.heldReason),
    uncertain: state.uncertain,
    from: { ...job.from },
    to: job.to.map(copy),
    cc: job.cc.map(copy),
    bcc: job.bcc.map(copy),
    ...optional('subject', job.subject),
    ...(content.kind === 'template' ? { template: content.name, ...optional('locale', content.locale) } : {}),
    transport: job.transport,
    priority: job.priority,
    tags: [...job.tags],
    ...optional('metadata', job.metadata && structuredClone(job.metadata)),
    ...optional('context', job.context && structuredClone(job.context)),
    attachments: job.attachments.map(({ filename, contentType, size }) => ({
      ...optional('filename', filename),
      ...optional('contentType', contentType),
      size,
    })),
    acceptedAt: iso(job.acceptedAt),
    ...(job.notBefore === undefined ? {} : { sendAt: iso(job.notBefore) }),
    expiresAt: iso(state.expiresAt),
    ...(state.nextAttemptAt === undefined ? {} : { nextAttemptAt: iso(state.nextAttemptAt) }),
    ...(state.settledAt === undefined ? {} : { settledAt: iso(state.settledAt) }),
    attempts: state.attempts.map((attempt) => toMessageAttempt(attempt, job.transport)),
    recipients: copyRecipients(state.recipients),
  }
}

function toMessageAttempt(
  { start, end, thread, transport, counted, outcome }: Attempt,
  own: string,
): MessageAttempt {
  return {
    start: iso(start),
    end: iso(end),
    thread,
    transport: transport ?? own,
    counted,
    outcome: outcome.result,
    code: outcome.code,
    message: outcome.message,
    phase: outcome.phase,
    ...optional('reply', outcome.reply && { ...outcome.reply }),
    timings: { ...outcome.timings },
  }
}

function iso(time: number): string {
  return new Date(time).toISOString()
}

function optional<K extends string, V>(key: K, value: V | undefined): { [key in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [key in K]: V })
}
