import { NO_DATA } from '../message/json.js'
import {
  type MailJob,
  type MessageState,
  newState,
  type Status,
  MAX_PRIORITY,
} from '../message/messageState.js'
import { toMessage, type Message } from '../message/messageView.js'
import type { Content, JobAttachment, JsonText } from '../protocol/tasks.js'
import { keyExpiry } from './idempotencyKeys.js'
import { withShownStatus } from './listing.js'
import {
  type AttachmentBytes,
  type LoadedRow,
  type NewRow,
  STATUS_NAMES,
  STATUS_NUMBERS,
  type StateRow,
  type StoredRow,
  type ClaimedRow,
  type WholeRow,
} from './storedRow.js'

/** The part of a job's content that remains when data and bodies are dropped. */
type ContentSummary =
  { kind: 'template'; name: string; locale?: string } | { kind: Exclude<Content['kind'], 'template'> }
/** The job without its content, as `head` stores it. */
type JobHead = Omit<MailJob, 'content' | 'attachments'> & {
  content: ContentSummary
  attachments: Omit<JobAttachment, 'content'>[]
}
/** The state without the fields that have their own columns, as `rest` stores it. */
type StateRest = Pick<
  MessageState,
  'uncertain' | 'heldReason' | 'counted' | 'attempts' | 'recipients' | 'subject' | 'loaded'
>

/** The unchanging part of another queue's message. @param keepKey as for {@link packJob} */
export function packWhole(row: WholeRow, keepKey: number): NewRow {
  const { head, content, attachments } = row
  return {
    ...packJob(unpackHead(row), keepKey),
    head,
    content: content ?? '',
    attachments: attachments.length === 0 ? null : attachments,
  }
}

/** @param keepKey minimum time in ms for which an idempotency key is remembered */
export function packJob(job: MailJob, keepKey: number): NewRow {
  const { content, attachments } = job
  const head: JobHead = {
    ...job,
    content: summaryOf(content),
    attachments: attachments.map(({ content: _, ...metadata }) => metadata),
  }
  return {
    id: job.id,
    messageId: job.messageId,
    head: JSON.stringify(head),
    content: bodyOf(content),
    attachments: attachments.length === 0 ? null : attachments.map(({ content }) => ({ content })),
    rank: MAX_PRIORITY - job.priority,
    group: job.group ?? '',
    acceptedAt: job.acceptedAt,
    notBefore: job.notBefore ?? null,
    expiresAt: job.expiresAt,
    key: job.idempotencyKey ?? null,
    fingerprint: job.fingerprint ?? null,
    keyUntil: keyExpiry(keepKey, job),
  }
}

function summaryOf(content: Content): ContentSummary {
  if (content.kind !== 'template') return { kind: content.kind }
  const { kind, name, locale } = content
  return locale === undefined ? { kind, name } : { kind, name, locale }
}

/** Returns the data of a template unchanged; for other content, JSON of its fields. */
function bodyOf(content: Content): string {
  if (content.kind === 'template') return content.data
  const { kind: _, ...body } = content
  return JSON.stringify(body)
}

export function unpackClaimed(row: ClaimedRow): MailJob {
  return unpackJob(row.head, row.content, row.attachments)
}

export function unpackLoaded({ head, content, attachments }: LoadedRow): MailJob | 'dropped' {
  return content === null ? 'dropped' : unpackJob(head, content, attachments)
}

/** Returns the job as it is shown: without data, bodies and the attachments' bytes. */
export function unpackHead(row: StoredRow): MailJob {
  return unpackJob(row.head, undefined, [])
}

function unpackJob(head: string, body: string | undefined, bytes: readonly AttachmentBytes[]): MailJob {
  const { content: summary, attachments, ...rest } = JSON.parse(head) as JobHead
  return {
    ...rest,
    content: contentOf(summary, body),
    attachments: attachments.map((metadata, index) => ({
      ...metadata,
      content: bytes[index]?.content ?? '',
    })),
  }
}

function contentOf(summary: ContentSummary, body: string | undefined): Content {
  if (summary.kind === 'template') return { ...summary, data: (body ?? NO_DATA) as JsonText }
  return body === undefined
    ? { kind: 'literal' }
    : ({ ...summary, ...(JSON.parse(body) as object) } as Content)
}

export function packState(state: MessageState): StateRow {
  const { uncertain, heldReason, counted, attempts, recipients, subject, loaded } = state
  const rest: StateRest = { uncertain, counted, attempts, recipients }
  if (heldReason !== undefined) rest.heldReason = heldReason
  if (subject !== undefined) rest.subject = subject
  if (loaded !== undefined) rest.loaded = loaded
  return {
    status: STATUS_NUMBERS[state.status],
    dueAt: state.dueAt,
    expiresAt: state.expiresAt,
    nextAttemptAt: state.nextAttemptAt ?? null,
    settledAt: state.settledAt ?? null,
    rest: JSON.stringify(rest),
  }
}

export function unpackState(row: StoredRow, job: MailJob): MessageState {
  const state = newState(job)
  delete state.nextAttemptAt
  if (row.rest !== null) Object.assign(state, JSON.parse(row.rest) as StateRest)
  state.status = statusOf(row)
  if (state.status !== 'held') delete state.heldReason
  state.dueAt = row.dueAt
  state.expiresAt = row.expiresAt
  if (row.nextAttemptAt !== null) state.nextAttemptAt = row.nextAttemptAt
  if (row.settledAt !== null) state.settledAt = row.settledAt
  return state
}

/** Returns the message as `find()` shows it. @param shown see `shownStatus()` */
export function rowToMessage(row: StoredRow, shown: Status): Message {
  const job = unpackHead(row)
  return withShownStatus(toMessage(job, unpackState(row, job)), shown)
}

export function statusOf(row: Pick<StateRow, 'status'>): Status {
  return STATUS_NAMES[row.status] ?? 'queued'
}

/** Returns the subject that the template gave the message, if it has been rendered. */
export function boundSubject({ rest }: Pick<StateRow, 'rest'>): string | undefined {
  return rest === null ? undefined : (JSON.parse(rest) as StateRest).subject
}

/** The kind of an attachment's content as text: a string, or bytes in base64. */
type PackedFile = [kind: 's' | 'b', text: string]

/** The attachments' bytes as text, for a server that takes and returns texts; '' if there are none. */
export function packFiles(files: readonly AttachmentBytes[] | null): string {
  if (files === null) return ''
  return JSON.stringify(
    files.map(({ content }): PackedFile =>
      typeof content === 'string' ? ['s', content] : ['b', Buffer.from(content).toString('base64')],
    ),
  )
}

/** The reverse of {@link packFiles}. */
export function unpackFiles(files: string | null | undefined): AttachmentBytes[] {
  if (files === null || files === undefined || files === '') return []
  return (JSON.parse(files) as PackedFile[]).map(([kind, text]) => ({
    content: kind === 's' ? text : new Uint8Array(Buffer.from(text, 'base64')),
  }))
}
