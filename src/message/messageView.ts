import { ThreadpostError } from '../errors.js'
import type { Outcome, SmtpReply } from '../protocol/outcome.js'
import { parseJson } from '../protocol/parseJson.js'
import type { ComposedParts, Json, JsonObject, Mailbox, RenderResult } from '../protocol/tasks.js'
import type { QueueDriver } from '../queue/driver.js'
import { DEFAULT_STREAM } from '../suppressions/suppression.js'
import type { Runner } from '../threads/runner.js'
import {
  type Attempt,
  type HeldReason,
  type MailJob,
  type MessageState,
  type RecipientState,
  shownRecipients,
  type Status,
} from './messageState.js'

/** A message as returned by `find()`: everything except its data, bodies and attachment contents. */
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
  /** Of a template, the subject is known once the message has been rendered. It is kept as long as the message. */
  subject?: string
  template?: string
  locale?: string
  /** Id of the message that this one sends again: see `sendAgain()`. */
  resendOf?: string
  transport: string
  /** The scope of suppressions and unsubscribes. */
  stream: string
  /** At equal priority, groups take turns. */
  group?: string
  priority: number
  tags: string[]
  metadata?: Record<string, Json>
  /** Context of the request that sent the message. */
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
  /** Present if the message can't be decrypted: addresses, subject, attempts, and recipients are not known. */
  unreadable?: true
  /** Present if an address was erased from it, and its content with it: see `mailer.erase()`. */
  erased?: true
}

/** One delivery attempt of a {@link Message}. Times are ISO 8601. */
export interface MessageAttempt {
  start: string
  end: string
  thread: number
  /** The transport that carried out the attempt: the message's own, or its failover. */
  transport: string
  counted: boolean
  /** The result; `code` gives the reason. */
  outcome: Outcome['result']
  code: Outcome['code']
  message: string
  phase: Outcome['phase']
  reply?: SmtpReply
  timings: Outcome['timings']
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
    ...optional('subject', job.subject ?? state.subject),
    ...(content.kind === 'template' ? { template: content.name, ...optional('locale', content.locale) } : {}),
    ...optional('resendOf', job.resendOf),
    transport: job.transport,
    stream: job.stream ?? DEFAULT_STREAM,
    ...optional('group', job.group),
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
    recipients: shownRecipients(state),
    ...(state.sealed === undefined ? {} : { unreadable: true as const }),
    ...optional('erased', job.erased),
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

/**
 * The content of a message, built again from the stored mail. `kept` is false if its data was dropped when it was settled
 * (`retain.data`). If the template has changed since, the preview shows its current version. A finished message (`raw`) has no html
 * and no text of its own; its parts are in its bytes.
 */
export type MessagePreview =
  | { kept: false }
  | ({
      kept: true
      /** The data for the placeholders; absent if the mail has none. */
      data?: JsonObject
    } & ComposedParts)

/** @returns undefined if there is no such message */
export async function previewOf(
  id: string,
  queue: QueueDriver,
  runner: Runner,
): Promise<MessagePreview | undefined> {
  const job = await queue.load(id)
  if (job === undefined) return undefined
  if (job === 'dropped') return { kept: false }
  const { content } = job
  const data =
    content.kind === 'literal' || content.kind === 'raw'
      ? {}
      : { data: parseJson(content.data) as JsonObject }
  return { kept: true, ...data, ...partsOf(await runner.compose(job)) }
}

/** @throws ThreadpostError `UNKNOWN_TEMPLATE`, `MISSING_DATA`, `TEMPLATE_ERROR` if it could not be rendered */
export function partsOf<T>(result: RenderResult<T>): T {
  if (result.ok) return result.parts
  const { code, message, location, missing } = result.outcome
  const known = code === 'MISSING_DATA' || code === 'UNKNOWN_TEMPLATE' ? code : 'TEMPLATE_ERROR'
  throw new ThreadpostError(known, message, {
    ...(location === undefined ? {} : { location }),
    ...(missing === undefined ? {} : { paths: missing, path: `data.${missing[0] ?? ''}` }),
  })
}
