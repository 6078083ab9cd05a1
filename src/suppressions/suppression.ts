import { createHash } from 'node:crypto'
import { parseAddress } from '../message/addresses.js'
import { timeOf } from '../message/sendAtAndExpiry.js'
import { addressKey } from '../protocol/addressForms.js'
import { parseJson } from '../protocol/parseJson.js'
import type { RecordRange, SharedRecord } from '../queue/records.js'
import { forbidControls, Validator } from '../validation.js'

/** Why an address gets no more mail. */
export const SUPPRESSION_REASONS = ['bounce', 'complaint', 'unsubscribe', 'manual'] as const
export type SuppressionReason = (typeof SUPPRESSION_REASONS)[number]

/** An entry of the list of addresses that get no more mail. */
export interface Suppression {
  /** The address in the form in which addresses are compared: the domain as lowercase A-labels, the local part in lower case. */
  address: string
  reason: SuppressionReason
  /** The stream that the entry is for. @default every stream */
  stream?: string
  /** Time of the first such entry, ISO 8601. */
  since: string
  /** Time after which the entry no longer counts, ISO 8601. @default none */
  expiresAt?: string
  /** A note, such as the server's reply. At most 500 characters. @default none */
  detail?: string
}

/** An entry to be added. */
export interface SuppressionInput {
  /** The address, without a name. */
  address: string
  reason: SuppressionReason
  /** The stream that the entry is for. @default every stream */
  stream?: string
  /** Time after which the entry no longer counts: a Date, ISO 8601 with a time zone, or milliseconds since the epoch. @default never */
  expiresAt?: Date | string | number
  /** A note, at most 500 characters. @default none */
  detail?: string
}

/** The stream of a mail that names none. */
export const DEFAULT_STREAM = 'transactional'
const STREAM = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
const MAX_DETAIL = 500
/** Encoded addresses up to this length are part of the key, so that the list is in their order. */
const MAX_ENCODED = 100

/** Prefix of the keys of all entries. */
export const PREFIX = 's:'
const EVERY_STREAM = '*'

/** Entries are kept until they are removed. */
const FOREVER = Number.MAX_SAFE_INTEGER

/** @throws ThreadpostError with the code of the validator if the value is no name of a stream */
export function streamOf(value: unknown, path: string, check: Validator): string {
  const stream = check.string(value, path, 64)
  if (!STREAM.test(stream))
    check.fail(path, "must be a name such as 'newsletter': letters, digits, and . _ - within it")
  return stream
}

/**
 * The form in which suppressed addresses are compared: the domain as lowercase A-labels (RFC 5890), and the local part in lower
 * case, since no large provider distinguishes it. Plus tags and dots are kept: they may name other mailboxes.
 */
export function suppressionKey(address: string): string {
  return addressKey(address).normalize('NFC').toLowerCase()
}

const check: Validator = new Validator('INVALID_MESSAGE')

/** @throws ThreadpostError `INVALID_MESSAGE` with the path of the invalid field */
export function toSuppression(input: unknown, now: number): Suppression {
  const { address, reason, stream, expiresAt, detail } = check.object(input, '', [
    'address',
    'reason',
    'stream',
    'expiresAt',
    'detail',
  ])
  const suppression: Suppression = {
    address: suppressionKey(parseAddress(address, 'address', check)),
    reason: check.oneOf(reason, 'reason', SUPPRESSION_REASONS),
    since: new Date(now).toISOString(),
  }
  if (stream !== undefined && stream !== null) suppression.stream = streamOf(stream, 'stream', check)
  if (expiresAt !== undefined && expiresAt !== null) {
    const time = timeOf(expiresAt, 'expiresAt', check)
    if (time <= now) check.fail('expiresAt', 'is in the past')
    suppression.expiresAt = new Date(time).toISOString()
  }
  if (detail !== undefined && detail !== null)
    suppression.detail = forbidControls(check.string(detail, 'detail', MAX_DETAIL), 'detail', check)
  return suppression
}

/** Prefix of the keys of an address's entries. A long address is stored as its hash, which is below every other. */
function prefixOf(address: string): string {
  const encoded = encodeURIComponent(address.toWellFormed())
  return encoded.length <= MAX_ENCODED
    ? `${PREFIX}${encoded}:`
    : `${PREFIX}!${createHash('sha256').update(address).digest('base64url')}:`
}

export function keyOf({ address, stream = EVERY_STREAM, reason }: Suppression): string {
  return `${prefixOf(address)}${stream}:${reason}`
}

/** The entries of an address, given in the form in which addresses are compared. */
export function rangeOfAddress(address: string): RecordRange {
  const prefix = prefixOf(address)
  return { from: prefix, to: `${prefix}\x7f` }
}

/** The time until which the queue keeps an entry, in ms since the epoch. */
export function keptUntil({ expiresAt }: Suppression): number {
  return expiresAt === undefined ? FOREVER : Date.parse(expiresAt)
}

/** An entry that can't be decrypted is still shown. */
export function fromRecord({ document }: SharedRecord): Suppression {
  if (document === undefined)
    return { address: '(encrypted)', reason: 'manual', since: new Date(0).toISOString() }
  return parseJson(document) as Suppression
}

/** Whether an entry counts for a stream. */
export function countsFor({ stream }: Suppression, asked: string): boolean {
  return stream === undefined || stream === asked
}
