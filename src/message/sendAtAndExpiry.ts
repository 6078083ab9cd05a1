import { types } from 'node:util'
import type { Validator } from '../validation.js'

const LATEST = Date.UTC(2200, 0)
/** A number below is a time in seconds: in milliseconds it would be before March 1973. */
const EARLIEST_NUMBER = 100_000_000_000
const MAX_AHEAD = 366 * 24 * 60 * 60 * 1000
const FORMS =
  "a Date, milliseconds since the epoch, or ISO 8601 with a time zone such as '2027-01-05T09:00:00+01:00'"
/** RFC 3339, and the forms of the zone that ISO 8601 also allows. */
const ISO =
  /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?(Z|([+-])(\d\d)(?::?(\d\d))?)?$/i

/** The time of the first attempt, in ms since the epoch: `delay` or `sendAt`. */
export function notBeforeOf(
  mail: Record<string, unknown>,
  now: number,
  check: Validator,
): number | undefined {
  if (mail['delay'] !== undefined && mail['sendAt'] !== undefined)
    check.fail('sendAt', 'set either delay or sendAt, not both')
  if (mail['delay'] !== undefined) return now + check.duration(mail['delay'], 'delay', 0, MAX_AHEAD)
  if (mail['sendAt'] === undefined) return undefined
  const time = timeOf(mail['sendAt'], 'sendAt', check)
  if (time > now + MAX_AHEAD) check.fail('sendAt', 'is more than a year in the future')
  return time
}

/** The time after which a mail is not sent, in ms since the epoch. `maxAge` of a delayed mail starts after the delay. */
export function expiryOf(
  mail: Record<string, unknown>,
  now: number,
  maxAge: number,
  check: Validator,
  notBefore = now,
): number {
  if (mail['expiresAt'] === undefined) return Math.ceil(Math.max(now, notBefore) + maxAge)
  const time = timeOf(mail['expiresAt'], 'expiresAt', check)
  if (time <= now) check.fail('expiresAt', 'is in the past')
  if (time <= notBefore) check.fail('expiresAt', 'is earlier than the first attempt')
  return time
}

/** A time in whole ms since the epoch: from a Date of any realm, ISO 8601 text with a time zone, or milliseconds. */
export function timeOf(value: unknown, path: string, check: Validator): number {
  const time = types.isDate(value)
    ? value.getTime()
    : typeof value === 'string'
      ? parseIso(value, path, check)
      : typeof value === 'number'
        ? value
        : NaN
  if (!Number.isFinite(time)) check.fail(path, `must be ${FORMS}`)
  if (typeof value === 'number' && time >= 0 && time < EARLIEST_NUMBER)
    check.fail(
      path,
      'looks like a number of seconds; write milliseconds since the epoch, such as Date.now() + 60_000',
    )
  if (time < 0 || time > LATEST) check.fail(path, 'is not between 1970 and 2200')
  return Math.round(time)
}

function parseIso(text: string, path: string, check: Validator): number {
  const found = text.length > 64 ? null : ISO.exec(text)
  if (found === null) check.fail(path, `must be ${FORMS}, got ${JSON.stringify(text.slice(0, 64))}`)
  const [
    ,
    year,
    month,
    day,
    hour,
    minute,
    second = '0',
    fraction = '',
    zone,
    sign,
    zoneHour = '0',
    zoneMinute = '0',
  ] = found
  if (zone === undefined)
    check.fail(path, `has no time zone; write '${text}Z' for UTC, or an offset such as '${text}+01:00'`)
  const fields = [year, month, day, hour, minute, second].map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  const [years, months, days, hours, minutes, seconds] = fields
  const utc = Date.UTC(years, months - 1, days, hours, minutes, seconds)
  const date = new Date(utc)
  const exists =
    date.getUTCFullYear() === years &&
    date.getUTCMonth() === months - 1 &&
    date.getUTCDate() === days &&
    hours < 24 &&
    minutes < 60 &&
    seconds < 60 &&
    Number(zoneHour) < 24 &&
    Number(zoneMinute) < 60
  if (!exists) check.fail(path, `is not a date that exists: ${JSON.stringify(text)}`)
  const offset = (Number(zoneHour) * 60 + Number(zoneMinute)) * 60_000
  return utc + Number(`0.${fraction}0`) * 1000 - (sign === '-' ? -offset : offset)
}
