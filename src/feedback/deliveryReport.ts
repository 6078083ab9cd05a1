import { types } from 'node:util'
import { parseAddress } from '../message/addresses.js'
import { timeOf } from '../message/sendAtAndExpiry.js'
import { Validator } from '../validation.js'
import { categorize } from './categorize.js'
import {
  BOUNCE_CATEGORIES,
  type BounceCategory,
  type Delivery,
  DELIVERY_STATES,
  type DeliveryState,
} from './deliveryStates.js'

/** A report on one recipient of a message. One of `id`, `messageId`, and `providerId` names the message. */
export interface RecipientDeliveryReport {
  /** The message's id. @default none */
  id?: string
  /** The value of the Message-ID header, with or without angle brackets. @default none */
  messageId?: string
  /** The id that the provider gave the message when it accepted it. @default none */
  providerId?: string
  /** The recipient's address. @default the message's only recipient */
  recipient?: string
  state: DeliveryState
  /** When it happened: a Date, ISO 8601 with a time zone, or milliseconds since the epoch. @default now */
  at?: Date | string | number
  /** Whether a bounce is final for this address. @default derived from `enhanced` and `detail` */
  permanent?: boolean
  /** The subject of a bounce or a delay. @default derived from `enhanced` and `detail` */
  category?: BounceCategory
  /** Enhanced status code (RFC 3463), such as `5.1.1`. @default none */
  enhanced?: string
  /** The text of the server. It is cut to 500 characters. @default none */
  detail?: string
  /** Who reports it. @default 'manual' */
  source?: string
}

/** A report that arrived as a mail: a DSN (RFC 3464), a complaint (ARF, RFC 5965), or another bounce. */
export interface RawDeliveryReport {
  /** The whole message (RFC 5322). */
  raw: string | Uint8Array
  /** Whether anyone may have sent it: then, without a valid token, it suppresses nobody and settles nothing. @default whether the mailer has the option `bounces` */
  unverified?: boolean
}

export type DeliveryReport = RecipientDeliveryReport | RawDeliveryReport

export interface ReportOptions {
  /** A name under which these reports are taken in only once, within an hour. At most 500 characters. @default none */
  once?: string
}

/** A checked report, before its message is known. */
export interface CheckedReport {
  id?: string
  messageId?: string
  providerId?: string
  recipient?: string
  /** As in {@link RecipientReport}. */
  key?: string
  /** As in {@link RecipientReport}. */
  orOnly?: true
  /** Whether it names its message by an id that may be stored later: see `earlyReports.ts`. */
  mayBeEarly?: true
  delivery: Delivery
}

const KEYS = [
  'id',
  'messageId',
  'providerId',
  'recipient',
  'state',
  'at',
  'permanent',
  'category',
  'enhanced',
  'detail',
  'source',
] as const satisfies readonly (keyof RecipientDeliveryReport)[]

const MAX_ID = 998
const MAX_DETAIL = 500
/** A time further ahead is a mistake of the reporter's clock. */
const MAX_AHEAD = 24 * 60 * 60 * 1000
const ENHANCED = /^[245]\.\d{1,3}\.\d{1,3}$/

const check: Validator = new Validator('INVALID_MESSAGE')

/**
 * @param now milliseconds since the epoch
 * @throws ThreadpostError `INVALID_MESSAGE` with the path of the invalid field
 */
export function checkReport(value: unknown, path: string, now: number): CheckedReport {
  const report = check.object(value, path, KEYS)
  const at = (field: string): string => (path === '' ? field : `${path}.${field}`)
  const { state: given, permanent, category, enhanced, detail, source = 'manual' } = report
  const checked: CheckedReport = {
    delivery: {
      state: check.oneOf(given, at('state'), DELIVERY_STATES),
      at: new Date(report['at'] === undefined ? now : timeWithin(report['at'], at('at'), now)).toISOString(),
      source: check.string(source, at('source'), 32),
    },
  }
  for (const key of ['id', 'messageId', 'providerId'] as const)
    if (report[key] !== undefined) checked[key] = check.string(report[key], at(key), MAX_ID)
  if (checked.id === undefined && checked.messageId === undefined && checked.providerId === undefined)
    check.fail(at('id'), 'name the message with id, messageId or providerId')
  if (checked.id === undefined) checked.mayBeEarly = true
  if (report['recipient'] !== undefined)
    checked.recipient = parseAddress(report['recipient'], at('recipient'), check)
  const { delivery } = checked
  if (enhanced !== undefined) {
    if (!ENHANCED.test(check.string(enhanced, at('enhanced'), 12)))
      check.fail(at('enhanced'), "is not an enhanced status code such as '5.1.1'")
    delivery.enhanced = enhanced as string
  }
  if (detail !== undefined) delivery.detail = cleanDetail(check.string(detail, at('detail')))
  if (permanent !== undefined) delivery.permanent = check.boolean(permanent, at('permanent'))
  if (category !== undefined) delivery.category = check.oneOf(category, at('category'), BOUNCE_CATEGORIES)
  complete(delivery)
  return checked
}

/** Fills in what a bounce or a delay is about, from what the server said. */
export function complete(delivery: Omit<Delivery, 'at'>): void {
  if (delivery.state !== 'bounced' && delivery.state !== 'delayed') return
  const { enhanced, detail: text } = delivery
  const kind = categorize({ enhanced, text })
  delivery.category ??= kind.category
  if (delivery.state === 'bounced') delivery.permanent ??= kind.permanent
}

/** One line of at most 500 characters, without control characters. */
export function cleanDetail(text: string): string {
  return text
    .slice(0, 4 * MAX_DETAIL)
    .toWellFormed()
    .replace(/[\s\p{Cc}\u2028\u2029]+/gu, ' ')
    .trim()
    .slice(0, MAX_DETAIL)
}

function timeWithin(value: unknown, path: string, now: number): number {
  const time = timeOf(value, path, check)
  return time > now + MAX_AHEAD ? now : time
}

/** Bytes of a mail that reports something. */
const MAX_RAW = 50 * 1024 * 1024

/** @throws ThreadpostError `INVALID_MESSAGE` if it is no mail */
export function rawOf(
  value: unknown,
  path: string,
  check: Validator,
): { raw: Uint8Array; unverified: boolean } {
  const { raw, unverified = false } = check.object(value, path, ['raw', 'unverified'])
  const at = path === '' ? 'raw' : `${path}.raw`
  if (typeof raw !== 'string' && !types.isUint8Array(raw)) check.fail(at, 'must be a mail, as text or bytes')
  if (raw.length > MAX_RAW) check.fail(at, `has more than ${MAX_RAW} bytes`)
  return {
    raw: typeof raw === 'string' ? Buffer.from(raw) : raw,
    unverified: check.boolean(unverified, path === '' ? 'unverified' : `${path}.unverified`),
  }
}
