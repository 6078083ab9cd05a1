import { NO_DATA } from '../message/json.js'
import {
  type MailJob,
  type MessageState,
  newState,
  type Status,
  TOP_PRIORITY,
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
} from './storedRow.js'

/** The part of a job's content that stays when data and bodies are dropped. */
type Shell = { kind: 'template'; name: string; locale?: string } | { kind: 'mjml' | 'literal' }
type Head = Omit<MailJob, 'content' | 'attachments'> & {
  content: Shell
  attachments: Omit<JobAttachment, 'content'>[]
}
type Rest = Pick<MessageState, 'uncertain' | 'heldReason' | 'counted' | 'attempts' | 'recipients'>

/** @param keepKey milliseconds an idempotency key is remembered at least */
export function packJob(job: MailJob, keepKey: number): NewRow {
  const { content, attachments } = job
  const head: Head = {
    ...job,
    content: shellOf(content),
    attachments: attachments.map(({ content: _, ...about }) => about),
  }
  return {
    id: job.id,
    messageId: job.messageId,
    head: JSON.stringify(head),
    content: innerOf(content),
    attachments: attachments.length === 0 ? null : attachments.map(({ content }) => ({ content })),
    rank: TOP_PRIORITY - job.priority,
    acceptedAt: job.acceptedAt,
    notBefore: job.notBefore ?? null,
    expiresAt: job.expiresAt,
    key: job.idempotencyKey ?? null,
    fingerprint: job.fingerprint ?? null,
    keyUntil: keyExpiry(keepKey, job),
  }
}

function shellOf(content: Content): Shell {
  if (content.kind !== 'template') return { kind: content.kind }
  const { kind, name, locale } = content
  return locale === undefined ? { kind, name } : { kind, name, locale }
}

/** The data of a template as they are; of anything else an object. */
function innerOf(content: Content): string {
  if (content.kind === 'template') return content.data
  const { kind: _, ...inner } = content
  return JSON.stringify(inner)
}

export function unpackClaimed(row: ClaimedRow): MailJob {
  return unpackJob(row.head, row.content, row.attachments)
}

export function unpackLoaded({ head, content, attachments }: LoadedRow): MailJob | 'dropped' {
  return content === null ? 'dropped' : unpackJob(head, content, attachments)
}

/** The job as it is shown: without data, bodies and attachments' bytes. */
export function unpackHead(row: StoredRow): MailJob {
  return unpackJob(row.head, undefined, [])
}

function unpackJob(headText: string, inner: string | undefined, bytes: readonly AttachmentBytes[]): MailJob {
  const { content: shell, attachments, ...rest } = JSON.parse(headText) as Head
  return {
    ...rest,
    content: contentOf(shell, inner),
    attachments: attachments.map((about, index) => ({ ...about, content: bytes[index]?.content ?? '' })),
  }
}

function contentOf(shell: Shell, inner: string | undefined): Content {
  if (shell.kind === 'template') return { ...shell, data: (inner ?? NO_DATA) as JsonText }
  return inner === undefined
    ? { kind: 'literal' }
    : ({ ...shell, ...(JSON.parse(inner) as object) } as Content)
}

export function packState(state: MessageState): StateRow {
  const { uncertain, heldReason, counted, attempts, recipients } = state
  const rest: Rest = { uncertain, counted, attempts, recipients }
  if (heldReason !== undefined) rest.heldReason = heldReason
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
  if (row.rest !== null) Object.assign(state, JSON.parse(row.rest) as Rest)
  state.status = statusOf(row)
  if (state.status !== 'held') delete state.heldReason
  state.dueAt = row.dueAt
  state.expiresAt = row.expiresAt
  if (row.nextAttemptAt !== null) state.nextAttemptAt = row.nextAttemptAt
  if (row.settledAt !== null) state.settledAt = row.settledAt
  return state
}

/** As `find()` shows it, in the status that it is shown in. */
export function rowToMessage(row: StoredRow, shown: Status): Message {
  const job = unpackHead(row)
  return withShownStatus(toMessage(job, unpackState(row, job)), shown)
}

export function statusOf(row: Pick<StateRow, 'status'>): Status {
  return STATUS_NAMES[row.status] ?? 'queued'
}
