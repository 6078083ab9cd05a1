import { isPlainObject } from '../validation.js'
import { ADDRESS_FIELDS } from './fields.js'

/** Fields that nodemailer takes for absent if they are false, as in `cc: manager && manager.email`. */
const MAY_BE_FALSE = new Set<string>([
  ...ADDRESS_FIELDS,
  ...['subject', 'text', 'html', 'attachments', 'alternatives'],
  ...['inReplyTo', 'references', 'messageId', 'date', 'priority', 'list', 'headers', 'icalEvent', 'envelope'],
])
/** Fields that nodemailer takes for absent if they are empty. */
const MAY_BE_EMPTY = new Set(['inReplyTo', 'references', 'messageId', 'date', 'priority'])
const MAY_BE_EMPTY_IN_ATTACHMENTS = new Set(['contentType', 'encoding', 'cid'])

/** Removes what nodemailer takes for absent: applications pass nullable columns of their database. */
export function withoutUnset(message: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const fields: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(message)) {
    if (value === null || (value === false && MAY_BE_FALSE.has(name))) continue
    if (value === '' && MAY_BE_EMPTY.has(name)) continue
    fields[name] = value
  }
  const { subject, headers, attachments } = fields
  if (typeof subject === 'number') fields['subject'] = String(subject)
  if (isPlainObject(headers)) fields['headers'] = headersOf(headers)
  if (Array.isArray(attachments))
    fields['attachments'] = attachments.map((entry: unknown) =>
      isPlainObject(entry) ? attachmentOf(entry) : entry,
    )
  return fields
}

function headersOf(headers: Record<string, unknown>): Record<string, unknown> {
  const entries = Object.entries(headers).filter(([, value]) => value !== null && value !== undefined)
  return Object.fromEntries(
    entries.map(([name, value]) => [
      name,
      value instanceof Date ? value.toUTCString().replace('GMT', '+0000') : value,
    ]),
  )
}

function attachmentOf(entry: Record<string, unknown>): Record<string, unknown> {
  const set = Object.entries(entry).filter(
    ([name, value]) => value !== null && !(value === '' && MAY_BE_EMPTY_IN_ATTACHMENTS.has(name)),
  )
  return Object.fromEntries(set)
}
