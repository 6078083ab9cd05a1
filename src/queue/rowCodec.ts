import { isAscii } from 'node:buffer'
import { NO_DATA } from '../message/json.js'
import {
  type HeldReason,
  type MailJob,
  type MessageState,
  newState,
  type Status,
  MAX_PRIORITY,
} from '../message/messageState.js'
import { toMessage, type Message } from '../message/messageView.js'
import { copyOctets, plainOctets } from '../protocol/octets.js'
import { parseJson } from '../protocol/parseJson.js'
import type { Content, JsonText } from '../protocol/tasks.js'
import type { RowCipher } from './encryption/rowCipher.js'
import { withShownStatus } from './listing.js'
import {
  type AttachmentBytes,
  type ContentSummary,
  type JobHead,
  type LoadedRow,
  type NewRow,
  STATUS_NAMES,
  STATUS_NUMBERS,
  type StateRow,
  type StoredRow,
  type ClaimedRow,
  type WholeRow,
} from './storedRow.js'
import { unreadable } from './unreadable.js'

/** The state without the fields that have their own columns, as `rest` stores it. */
type StateRest = Pick<
  MessageState,
  'uncertain' | 'heldReason' | 'counted' | 'attempts' | 'recipients' | 'subject' | 'loaded'
>

/**
 * The unchanging part and the state of another queue's message.
 * @param keepKey as for {@link packJob}
 * @throws ThreadpostError `UNREADABLE`
 */
export function packWhole(
  row: WholeRow,
  keepKey: number,
  cipher: RowCipher | undefined,
): NewRow & Pick<StateRow, 'rest'> {
  const { head, content, attachments, rest } = row
  const job = unpackHead(row)
  if (job.sealed !== undefined) throw unreadable(job.id)
  const clear = {
    ...packJob(job, keepKey),
    head,
    content: content ?? '',
    attachments: attachments.length === 0 ? null : attachments,
  }
  if (cipher === undefined) return { ...clear, rest }
  const sealed = cipher.sealRow(clear, parseJson(head) as JobHead)
  if (rest === null || rest === '') return { ...sealed, rest: null }
  const { heldReason } = parseJson(rest) as Partial<StateRest>
  return { ...sealed, rest: cipher.sealRest(job.id, rest, heldReason) }
}

/**
 * @param keepKey minimum time in ms for which an idempotency key is remembered
 * @param cipher of an encrypted queue
 */
export function packJob(job: MailJob, keepKey: number, cipher?: RowCipher): NewRow {
  const { content, attachments } = job
  const head: JobHead = {
    ...job,
    content: summaryOf(content),
    attachments: attachments.map(({ content: _, ...metadata }) => metadata),
  }
  const row: NewRow = {
    id: job.id,
    messageId: job.messageId,
    head: JSON.stringify(head),
    content: bodyOf(content),
    attachments: filesOf(job),
    rank: MAX_PRIORITY - job.priority,
    group: job.group ?? '',
    acceptedAt: job.acceptedAt,
    notBefore: job.notBefore ?? null,
    expiresAt: job.expiresAt,
    key: job.idempotencyKey ?? null,
    fingerprint: job.fingerprint ?? null,
    keyUntil: keyExpiry(keepKey, job),
  }
  return cipher === undefined ? row : cipher.sealRow(row, head)
}

function summaryOf(content: Content): ContentSummary {
  if (content.kind !== 'template') return { kind: content.kind }
  const { kind, name, locale } = content
  return locale === undefined ? { kind, name } : { kind, name, locale }
}

/** Returns the bytes that are stored as bytes: a finished message, or attachments. */
function filesOf({ content, attachments }: MailJob): AttachmentBytes[] | null {
  if (content.kind === 'raw') return [{ content: content.octets, isMessage: true }]
  return attachments.length === 0 ? null : attachments.map(({ content }) => ({ content }))
}

/** Returns the data of a template unchanged; for other content, JSON of its fields. */
function bodyOf(content: Content): string {
  if (content.kind === 'template') return content.data
  if (content.kind === 'raw') return NO_DATA
  const { kind: _, ...body } = content
  return JSON.stringify(body)
}

export function unpackClaimed(row: ClaimedRow): MailJob {
  return unpackJob(row.head, row.content, row.attachments)
}

/** @throws ThreadpostError `UNREADABLE` */
export function unpackLoaded({ head, content, attachments }: LoadedRow): MailJob | 'dropped' {
  if (content === null) return 'dropped'
  const job = unpackJob(head, content, attachments)
  if (job.sealed !== undefined) throw unreadable(job.id)
  return job
}

/** Returns the job as it is shown: without data, bodies and the attachments' bytes. */
export function unpackHead(row: StoredRow): MailJob {
  return unpackJob(row.head, undefined, [])
}

function unpackJob(head: string, body: string | undefined, bytes: readonly AttachmentBytes[]): MailJob {
  const { content: summary, attachments, ...rest } = parseJson(head) as JobHead
  // No key opens it: what it has in place of addresses are tokens.
  if (rest.sealed !== undefined)
    return {
      ...rest,
      to: [],
      cc: [],
      bcc: [],
      replyTo: [],
      tags: [],
      attachments: [],
      content: contentOf(summary, undefined, []),
    }
  return {
    ...rest,
    content: contentOf(summary, body, bytes),
    attachments: attachments.map((metadata, index) => ({
      ...metadata,
      content: bytes[index]?.content ?? '',
    })),
  }
}

function contentOf(
  summary: ContentSummary,
  body: string | undefined,
  bytes: readonly AttachmentBytes[],
): Content {
  if (summary.kind === 'template') return { ...summary, data: (body ?? NO_DATA) as JsonText }
  if (body === undefined) return { kind: 'literal' }
  const fields = parseJson(body) as object
  if (summary.kind === 'raw') return { kind: 'raw', octets: octetsOf(fields, bytes) }
  return { ...summary, ...fields } as Content
}

/** Returns the finished message. Version 0.2.0 stored it as text, with a character for each octet. */
function octetsOf(fields: { octets?: string }, [file]: readonly AttachmentBytes[]): Uint8Array {
  const octets = file?.content ?? fields.octets ?? ''
  return typeof octets === 'string' ? copyOctets(Buffer.from(octets, 'latin1')) : octets
}

type SealState = (rest: string, heldReason: HeldReason | undefined) => string

/** @param seal seals the state of an encrypted queue: see {@link sealerFor} */
export function packState(state: MessageState, seal: SealState = (rest) => rest): StateRow {
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
    // The state that can't be decrypted stays as it is.
    rest: state.sealed === undefined ? seal(JSON.stringify(rest), heldReason) : state.sealed || null,
  }
}

/** Returns what seals the state of a message; undefined in a queue that is not encrypted. */
export function sealerFor(id: string, cipher: RowCipher | undefined): SealState | undefined {
  return cipher && ((rest, heldReason) => cipher.sealRest(id, rest, heldReason))
}

export function unpackState(row: StoredRow, job: MailJob): MessageState {
  const state = newState(job)
  delete state.nextAttemptAt
  const rest = row.rest === null ? {} : (parseJson(row.rest) as Partial<StateRest & { sealed: string }>)
  if (job.sealed !== undefined || rest.sealed !== undefined) state.sealed = row.rest ?? ''
  else Object.assign(state, rest)
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
  return rest === null ? undefined : (parseJson(rest) as StateRest).subject
}

/** The kind of an attachment's content as text: a string, bytes that are ASCII, or bytes in base64. */
type PackedFile = [kind: 's' | 'a' | 'b', text: string]

/** The attachments' bytes as text, for a server that takes and returns texts; '' if there are none. */
export function packFiles(files: readonly AttachmentBytes[] | null): string {
  if (files === null) return ''
  return JSON.stringify(
    files.map(({ content }): PackedFile => {
      if (typeof content === 'string') return ['s', content]
      const bytes = Buffer.from(content.buffer, content.byteOffset, content.length)
      return isAscii(bytes) ? ['a', bytes.toString('latin1')] : ['b', bytes.toString('base64')]
    }),
  )
}

/** The reverse of {@link packFiles}. */
export function unpackFiles(files: string | null | undefined): AttachmentBytes[] {
  if (files === null || files === undefined || files === '') return []
  return (parseJson(files) as PackedFile[]).map(([kind, text]) => ({
    content: kind === 's' ? text : plainOctets(Buffer.from(text, kind === 'a' ? 'latin1' : 'base64')),
  }))
}

/** Returns when a key expires: never before its message, so that an expired key always belongs to a settled message. */
export function keyExpiry(
  keep: number,
  { acceptedAt, expiresAt }: Pick<MailJob, 'acceptedAt' | 'expiresAt'>,
): number {
  return Math.max(acceptedAt + keep, expiresAt)
}
