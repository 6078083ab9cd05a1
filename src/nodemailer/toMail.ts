import { types } from 'node:util'
import type { Address, Mail } from '../index.js'
import { parseMailboxList } from '../message/addresses.js'
import { DELIVERY_FIELDS } from '../message/mailFields.js'
import { addressKey } from '../protocol/addressForms.js'
import { Validator, isPlainObject } from '../validation.js'
import { withoutGroups } from './addressGroups.js'
import { attachmentsOf, textOf } from './attachmentMapping.js'
import { ADDRESS_FIELDS, refuseFields, unsupported } from './fields.js'
import { mapHeaders } from './headerMapping.js'
import { toCalendar } from './icalEvent.js'

const check: Validator = new Validator('INVALID_MESSAGE')

/** Addresses per field. The mailer's own limit is lower. */
const MAX_ADDRESSES = 100_000

/** Fields without an equivalent in threadpost, and what to do instead. */
const REFUSED: Readonly<Record<string, string>> = {
  dsn: 'Transports request them: pass a mailer whose transport has dsn: true.',
  requireTLSExtensionEnabled:
    'threadpost does not support REQUIRETLS (RFC 8689); requireTLS is an option of the transport.',
  dkim: 'Keys belong to the transport: pass dkim to createTransport().',
  auth: 'Credentials belong to the transport: create one transport per user.',
  ses: 'Create a mailer with an ses: transport and pass it to createTransport().',
  normalizeHeaderKey: 'Header names are always written as X-My-Key.',
}

/** Fields without effect here: the access to files and URLs was checked before, and nodemailer's composer reads the others itself. */
const IGNORED = [
  'disableFileAccess',
  'disableUrlAccess',
  'attachDataUrls',
  'encoding',
  'textEncoding',
  'newline',
  'boundaryPrefix',
  'baseBoundary',
  '_dkim',
]

/** Content that only nodemailer's composer builds: `withoutComposedContent()` has removed it. */
const COMPOSED = ['alternatives', 'amp', 'watchHtml', 'otp']

/** threadpost's own fields, which pass through unchanged. */
const PASSED_THROUGH = [...DELIVERY_FIELDS, 'template', 'data', 'locale', 'mjml', 'listUnsubscribe'] as const

/** Fields of nodemailer that this module maps. */
const MAPPED = [
  ...ADDRESS_FIELDS,
  'inReplyTo',
  'references',
  'subject',
  'messageId',
  'date',
  'text',
  'html',
  'icalEvent',
  'raw',
  'attachments',
  'headers',
  'list',
  'priority',
  'xMailer',
  'envelope',
  'maxRecipients',
  'signal',
]
/** `size` and `use8BitMime` have no effect: the session knows both. */
const ENVELOPE = ['from', 'to', 'cc', 'bcc', 'size', 'use8BitMime', 'requireTLSExtensionEnabled']
const KEYS = [...MAPPED, ...PASSED_THROUGH, ...COMPOSED, ...IGNORED, ...Object.keys(REFUSED)]

export interface MappedMail {
  mail: Mail
  /** Value of the Date header, in ISO 8601 format. */
  date?: string
}

/**
 * Converts a message of nodemailer to a mail of threadpost.
 * @param input the message with its defaults, and with all content read
 * @param forPlugins whether it may have other fields, which plugins use
 * @throws ThreadpostError `UNSUPPORTED` with the path of a field that only nodemailer supports, `INVALID_MESSAGE`
 */
export function toMail(input: Record<string, unknown>, forPlugins = false): MappedMail {
  if (!forPlugins) check.object(input, '', KEYS)
  refuseFields(input, REFUSED)
  if (hasRaw(input)) return { mail: rawMailOf(input) }

  const fields: Record<string, unknown> = {}
  for (const key of PASSED_THROUGH) if (input[key] !== undefined) fields[key] = input[key]
  const from = mailboxOf(input['from'], 'from')
  if (from !== undefined) fields['from'] = from
  const sender = mailboxOf(input['sender'], 'sender')
  if (sender !== undefined) fields['sender'] = sender
  fields['replyTo'] = listOf(input['replyTo'], 'replyTo')
  Object.assign(fields, recipientsOf(input), mapHeaders(input, check))
  if (input['attachments'] !== undefined && input['attachments'] !== null)
    fields['attachments'] = attachmentsOf(input['attachments'], check)
  if (input['icalEvent']) fields['calendar'] = toCalendar(input['icalEvent'], check)
  for (const key of ['messageId', 'inReplyTo'] as const)
    if (input[key] !== undefined) fields[key] = withBrackets(check.string(input[key], key))
  if (input['references'] !== undefined) fields['references'] = referencesOf(input['references'])
  for (const key of ['text', 'html'] as const)
    if (input[key] !== undefined && input[key] !== null) fields[key] = textOf(input[key], key, check)
  const usesTemplate = input['template'] !== undefined || input['mjml'] !== undefined
  if (!usesTemplate && fields['text'] === undefined && fields['html'] === undefined) fields['text'] = ''
  if (input['subject'] !== undefined) fields['subject'] = input['subject']
  else if (!usesTemplate) fields['subject'] = ''

  const mail = fields as unknown as Mail
  return input['date'] === undefined ? { mail } : { mail, date: dateOf(input['date']) }
}

/** Whether a message is finished. nodemailer ignores an empty `raw`. */
export function hasRaw({ raw }: Readonly<Record<string, unknown>>): boolean {
  return raw !== undefined && raw !== null && raw !== false && raw !== ''
}

/**
 * A finished message. As with nodemailer, its envelope is `envelope`, or else the addresses of the message's fields, and every
 * other field is ignored, because nothing is added to the message.
 */
function rawMailOf(input: Record<string, unknown>): Mail {
  const { raw, envelope } = input
  const content = isPlainObject(raw) ? raw['content'] : raw
  const fields: Record<string, unknown> = {}
  for (const key of DELIVERY_FIELDS) if (input[key] !== undefined) fields[key] = input[key]
  const given = isPlainObject(envelope) ? envelope : {}
  const recipients = (from: Record<string, unknown>, prefix: string): Address[] =>
    ['to', 'cc', 'bcc'].flatMap((key) => listOf(from[key], `${prefix}${key}`))
  const explicit = recipients(given, 'envelope.')
  const to = explicit.length > 0 ? explicit : recipients(input, '')
  checkLimit(input, to.length)
  const from = reversePathOf(given['from']) ?? reversePathOf(input['from'], 'from')
  return { ...fields, raw: content, envelope: { from, to } } as unknown as Mail
}

/** Merges the default fields with those of the message, which take precedence. Headers are merged one by one. */
export function withDefaults(
  message: Record<string, unknown>,
  defaults: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const input = { ...defaults, ...message }
  if (isPlainObject(defaults['headers']) && isPlainObject(message['headers']))
    input['headers'] = { ...defaults['headers'], ...message['headers'] }
  return input
}

function listOf(value: unknown, path: string): Address[] {
  return parseMailboxList(withoutGroups(value), path, check, MAX_ADDRESSES)
}

function mailboxOf(value: unknown, path: string): Address | undefined {
  const [address, ...others] = listOf(value, path)
  if (others.length > 0) check.fail(path, 'must be a single address')
  return address
}

/**
 * Returns the recipients. An explicit envelope must contain all addresses in To and Cc; its other addresses become
 * blind copies.
 */
function recipientsOf(input: Record<string, unknown>): Record<string, unknown> {
  const [to, cc, bcc] = ['to', 'cc', 'bcc'].map((key) => listOf(input[key], key)) as [
    Address[],
    Address[],
    Address[],
  ]
  const { envelope } = input
  if (envelope === undefined || envelope === null) {
    checkLimit(input, to.length + cc.length + bcc.length)
    return { to, cc, bcc }
  }
  if (isPlainObject(envelope) && envelope['requireTLSExtensionEnabled'] === true)
    unsupported('envelope.requireTLSExtensionEnabled', REFUSED['requireTLSExtensionEnabled'] ?? '')
  const { from, ...lists } = check.object(envelope, 'envelope', ENVELOPE)
  const reversePath = reversePathOf(from)
  const envelopeFrom = reversePath === undefined ? {} : { envelope: { from: reversePath } }
  const envelopeTo = ['to', 'cc', 'bcc'].flatMap((key) => listOf(lists[key], `envelope.${key}`))
  if (envelopeTo.length === 0) return { to, cc, bcc, ...envelopeFrom }
  checkLimit(input, envelopeTo.length)
  const reached = new Set(envelopeTo.map(keyOf))
  const visible = new Set([...to, ...cc].map(keyOf))
  for (const address of visible)
    if (!reached.has(address)) check.fail('envelope.to', 'must contain every address in to and cc')
  return { to, cc, bcc: envelopeTo.filter((mailbox) => !visible.has(keyOf(mailbox))), ...envelopeFrom }
}

function checkLimit({ maxRecipients }: Record<string, unknown>, count: number): void {
  if (typeof maxRecipients === 'number' && maxRecipients > 0 && count > maxRecipients)
    check.fail('to', `the mail has ${count} recipients; maxRecipients allows ${maxRecipients}`)
}

/** The address that bounces go to; `''` is the null reverse-path. */
function reversePathOf(value: unknown, path = 'envelope.from'): string | undefined {
  if (value === '') return ''
  const mailbox = mailboxOf(value, path)
  return mailbox === undefined ? undefined : addressOf(mailbox)
}

function addressOf(mailbox: Address): string {
  return typeof mailbox === 'string' ? mailbox : mailbox.address
}

/** The same for all spellings of an address. */
function keyOf(mailbox: Address): string {
  return addressKey(addressOf(mailbox))
}

function referencesOf(value: unknown): string[] {
  const texts = typeof value === 'string' ? [value] : check.array(value, 'references', 100)
  return texts
    .flatMap((text, index) => check.string(text, `references[${index}]`).split(/\s+/))
    .filter((id) => id !== '')
    .map(withBrackets)
}

function withBrackets(id: string): string {
  const text = id.trim()
  return text.startsWith('<') ? text : `<${text}>`
}

function dateOf(value: unknown): string {
  const date = types.isDate(value) ? value : new Date(check.string(value, 'date'))
  if (Number.isNaN(date.getTime())) check.fail('date', 'is not a date')
  return date.toISOString()
}
