import type { MailJob, MessageState, Status } from '../../message/messageState.js'
import type { RowCipher } from '../encryption/rowCipher.js'
import type { RecordChange, SharedRecord } from '../records.js'
import { packFiles, packJob, unpackClaimed, unpackFiles } from '../rowCodec.js'
import { type Replacement, STATUS_NAMES, STATUS_NUMBERS, type StoredRow } from '../storedRow.js'
import { CLAIM_ROW_FIELDS, ROW_FIELDS, type ScriptRecord } from './scripts.js'

/** A reply of Redis in RESP2. */
export type Reply = string | number | null | Reply[]

/** Values of the fields that a script was asked for; null where the hash has no such field. */
export type RowValues = (string | null)[]

/** A row of a message in Redis. */
export interface RedisRow extends StoredRow {
  /** Name of the message's wake-up, if it isn't the message's id: see `scripts/claim.lua`. */
  wake: string | undefined
}

/** The action that a BullMQ job must take for its message. */
export type Claim =
  /** The message is `sending` now, by this process. */
  | { action: 'deliver'; row: StoredRow; job: MailJob }
  /** It isn't due before this time, in ms since the epoch. */
  | { action: 'wait'; until: number }
  /** A live process is delivering it. */
  | { action: 'recheck' }
  /** The queue is paused. */
  | { action: 'requeue' }
  /** It needs no job. */
  | { action: 'drop' }
  /** It expired. */
  | { action: 'expire'; row: StoredRow }
  /** The process that was delivering it no longer exists. */
  | { action: 'recover'; row: StoredRow }

/**
 * A message as the script `enqueue` takes it.
 * @param keepKey milliseconds for which an idempotency key is remembered at least
 */
export function packMessage(job: MailJob, keepKey: number, cipher?: RowCipher): ScriptRecord<'enqueue'> {
  const row = packJob(job, keepKey, cipher)
  const { id, messageId, head, content, attachments, notBefore, expiresAt, key, fingerprint, keyUntil } = row
  return {
    id,
    mid: messageId,
    print: fingerprint ?? '',
    key: key ?? '',
    others: (row.otherForms ?? []).map((form) => `${form.key ?? ''}\n${form.fingerprint ?? ''}\n`).join(''),
    ttl: Math.max(1, Math.ceil(keyUntil - Date.now())),
    head,
    content,
    files: packFiles(attachments),
    due: Math.max(notBefore ?? 0, job.acceptedAt),
    exp: expiresAt,
    next: notBefore ?? '',
    lane: `${job.priority}:${row.group}`,
  }
}

/** A reply of the script `claim`. */
export function unpackClaim(
  [action, value]: [Claim['action'], RowValues | string],
  cipher?: RowCipher,
): Claim {
  switch (action) {
    case 'deliver': {
      const values = valuesByField(CLAIM_ROW_FIELDS, value as RowValues)
      const attachments = unpackFiles(values.files)
      const row = openWith(cipher, { ...rowFrom(values), content: values.content ?? '{}', attachments })
      return { action, row, job: unpackClaimed(row) }
    }
    case 'wait':
      return { action, until: Number(value) }
    case 'expire':
    case 'recover':
      return { action, row: unpackRow(value as RowValues, cipher) }
    default:
      return { action }
  }
}

/** Whether the message of a row exists. */
export function isPresent(values: RowValues): boolean {
  return values[ROW_FIELDS.indexOf('status')] !== null
}

/** A row with the fields {@link ROW_FIELDS}. */
export function unpackRow(values: RowValues, cipher?: RowCipher): RedisRow {
  return openWith(cipher, rowFrom(valuesByField(ROW_FIELDS, values)))
}

function openWith<R extends StoredRow>(cipher: RowCipher | undefined, row: R): R {
  return cipher?.open(row) ?? row
}

function valuesByField<F extends string>(
  fields: readonly F[],
  values: RowValues,
): Record<F, string | null | undefined> {
  const named = {} as Record<F, string | null | undefined>
  for (const [index, field] of fields.entries()) named[field] = values[index]
  return named
}

function rowFrom(values: Readonly<Record<(typeof ROW_FIELDS)[number], string | null | undefined>>): RedisRow {
  return {
    seq: Number(values.seq),
    rev: Number(values.rev),
    losses: Number(values.losses ?? 0),
    status: STATUS_NUMBERS[(values.status ?? STATUS_NAMES[0]) as Status],
    dueAt: Number(values.due),
    expiresAt: Number(values.exp),
    nextAttemptAt: numberOrNull(values.next),
    settledAt: numberOrNull(values.settled),
    rest: values.rest || null,
    head: values.head ?? '{}',
    wake: values.wake ?? undefined,
  }
}

function numberOrNull(text: string | null | undefined): number | null {
  return text === null || text === undefined || text === '' ? null : Number(text)
}

/** A change of a record as the script `writeRecords` takes it. */
export function packChange(change: RecordChange): ScriptRecord<'writeRecords'> {
  const { key, keepUntil, add = {}, raise = {}, document = '', remove } = change
  return {
    key,
    keep: keepUntil,
    add: JSON.stringify(add),
    raise: JSON.stringify(raise),
    document,
    remove: remove === true ? 1 : 0,
  }
}

/** A record in a reply of the script `readRecords`. */
export type RecordReply = [key: string, age: number, fields: string[]]

export function unpackRecord([key, age, fields]: RecordReply): SharedRecord {
  const record: SharedRecord = { key, age, numbers: {} }
  for (let index = 0; index < fields.length; index += 2) {
    const [name = '', value = ''] = fields.slice(index, index + 2)
    if (name.startsWith('n:')) record.numbers[name.slice(2)] = Number(value)
    else if (name === 'document') record.document = value
  }
  return record
}

/** Name of the index of messages that are held for a transport's budget, by priority. */
export function heldIndex(transport: string, priority: number): string {
  return `${priority}:${transport}`
}

/** A wake-up that can be claimed now. */
export interface FoundWakeUp {
  wake: string
  priority: number
}

export interface FoundMessage {
  id: string
  row: RedisRow
}

/** A new state of a message. */
export interface StateChange {
  id: string
  /** The revision that it was made from. */
  rev: number
  state: MessageState
  /** Whether the content is removed. */
  dropContent: boolean
  /** Process deaths in a row; kept until a delivery ends in another way. */
  losses: number
  /** Whether the message needs a new job. */
  needsJob: boolean
  /** Index of the messages held for a budget, if it is one of them: see {@link heldIndex}. */
  heldIndex?: string
  replacement?: Replacement
  records?: readonly RecordChange[] | undefined
}
