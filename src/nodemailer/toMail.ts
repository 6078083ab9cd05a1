import type { Address, Mail } from '../index.js'
import { parseMailboxList } from '../message/addresses.js'
import { Validator, isPlainObject, kindOf } from '../validation.js'
import { attachmentsOf, textOf } from './attachmentMapping.js'
import { mapHeaders } from './headerMapping.js'
import { refuse } from './refusal.js'

const check: Validator = new Validator('INVALID_MESSAGE')

/** As many as nodemailer takes; the mailer's own limit is the lower one. */
const MAX_ADDRESSES = 100_000

const REFUSED: Readonly<Record<string, string>> = {
  raw: 'threadpost builds each message itself: give subject, html and text.',
  sender: 'Give from, and where bounces go as envelope.from.',
  watchHtml: 'Give html.',
  amp: 'A mail has a text and an HTML part.',
  icalEvent: "Give it as an attachment with contentType 'text/calendar; method=REQUEST'.",
  alternatives: 'A mail has a text and an HTML part: give the rest as attachments.',
  attachDataUrls: 'Give the images as attachments with a cid.',
  dsn: 'Delivery status notifications are not asked for.',
  requireTLSExtensionEnabled: 'REQUIRETLS is not spoken; requireTLS is a setting of the transport.',
  dkim: 'A key belongs to the transport: give dkim to createTransport().',
  auth: 'A login belongs to the transport: make one for each user.',
  otp: 'Give the code in the text.',
  ses: 'Use a transport of your own mailer: ses:.',
  normalizeHeaderKey: 'Names of headers are written as X-My-Key.',
}

/** Of no consequence here: files and addresses are never read, and how a body is encoded is decided by what it holds. */
const IGNORED = [
  'disableFileAccess',
  'disableUrlAccess',
  'encoding',
  'textEncoding',
  'newline',
  'boundaryPrefix',
  'baseBoundary',
  '_dkim',
]

/** What nodemailer has no field for, and passes through. */
const OURS = [
  'template',
  'data',
  'locale',
  'mjml',
  'transport',
  'delay',
  'sendAt',
  'expiresAt',
  'idempotencyKey',
  'tags',
  'metadata',
  'onUncertain',
  'listUnsubscribe',
] as const

const MAPPED = [
  'from',
  'to',
  'cc',
  'bcc',
  'replyTo',
  'inReplyTo',
  'references',
  'subject',
  'messageId',
  'date',
  'text',
  'html',
  'attachments',
  'headers',
  'list',
  'priority',
  'xMailer',
  'envelope',
  'maxRecipients',
  'signal',
]
const KEYS = [...MAPPED, ...OURS, ...IGNORED, ...Object.keys(REFUSED)]

export interface MappedMail {
  mail: Mail
  /** What the Date header is to say, as ISO 8601. */
  date?: string
}

/**
 * A message as nodemailer describes it, as a mail of threadpost's.
 * @throws ThreadpostError `UNSUPPORTED` with the path of what only nodemailer can do, `INVALID_MESSAGE`
 */
export function toMail(message: unknown, defaults: Readonly<Record<string, unknown>>): MappedMail {
  if (!isPlainObject(message)) check.fail('', `A message must be an object, got ${kindOf(message)}`)
  const given = withDefaults(message, defaults)
  check.object(given, '', KEYS)
  refuse(given, REFUSED)

  const fields: Record<string, unknown> = {}
  for (const key of OURS) if (given[key] !== undefined) fields[key] = given[key]
  const from = oneOf(given['from'], 'from')
  if (from !== undefined) fields['from'] = from
  fields['replyTo'] = listOf(given['replyTo'], 'replyTo')
  Object.assign(fields, recipientsOf(given), mapHeaders(given, check))
  if (given['attachments'] !== undefined && given['attachments'] !== null)
    fields['attachments'] = attachmentsOf(given['attachments'], check)
  for (const key of ['messageId', 'inReplyTo'] as const)
    if (given[key] !== undefined) fields[key] = bracketed(check.string(given[key], key))
  if (given['references'] !== undefined) fields['references'] = referencesOf(given['references'])
  for (const key of ['text', 'html'] as const)
    if (given[key] !== undefined && given[key] !== null) fields[key] = textOf(given[key], key, check)
  const bound = given['template'] !== undefined || given['mjml'] !== undefined
  if (!bound && fields['text'] === undefined && fields['html'] === undefined) fields['text'] = ''
  if (given['subject'] !== undefined) fields['subject'] = given['subject']
  else if (!bound) fields['subject'] = ''

  const mail = fields as unknown as Mail
  return given['date'] === undefined ? { mail } : { mail, date: dateOf(given['date']) }
}

/** What the message sets counts; headers are merged one by one. */
function withDefaults(
  message: Record<string, unknown>,
  defaults: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const given = { ...defaults, ...message }
  if (isPlainObject(defaults['headers']) && isPlainObject(message['headers']))
    given['headers'] = { ...defaults['headers'], ...message['headers'] }
  return given
}

function listOf(value: unknown, path: string): Address[] {
  return parseMailboxList(value, path, check, MAX_ADDRESSES)
}

function oneOf(value: unknown, path: string): Address | undefined {
  const [only, ...others] = listOf(value, path)
  if (others.length > 0) check.fail(path, 'holds several addresses')
  return only
}

/**
 * An envelope of its own says who gets the mail. Whom it adds to those in To and Cc gets it as a blind copy; it can't
 * leave anybody out of them.
 */
function recipientsOf(given: Record<string, unknown>): Record<string, unknown> {
  const [to, cc, bcc] = ['to', 'cc', 'bcc'].map((key) => listOf(given[key], key)) as [
    Address[],
    Address[],
    Address[],
  ]
  const { maxRecipients, envelope } = given
  const limit = (count: number): void => {
    if (typeof maxRecipients === 'number' && maxRecipients > 0 && count > maxRecipients)
      check.fail(
        'to',
        `the mail has ${count} recipients, at most ${maxRecipients} are allowed (maxRecipients)`,
      )
  }
  if (envelope === undefined || envelope === null) {
    limit(to.length + cc.length + bcc.length)
    return { to, cc, bcc }
  }
  const { from, ...lists } = check.object(envelope, 'envelope', ['from', 'to', 'cc', 'bcc'])
  const reversePath = oneOf(from, 'envelope.from')
  const returned = reversePath === undefined ? {} : { envelope: { from: addressOf(reversePath) } }
  const reached = ['to', 'cc', 'bcc'].flatMap((key) => listOf(lists[key], `envelope.${key}`))
  if (reached.length === 0) return { to, cc, bcc, ...returned }
  limit(reached.length)
  const wanted = new Set(reached.map(addressOf))
  const named = new Set([...to, ...cc].map(addressOf))
  for (const address of named)
    if (!wanted.has(address))
      check.fail('envelope.to', `must hold everybody in to and cc: each of them gets the mail`)
  return { to, cc, bcc: reached.filter((mailbox) => !named.has(addressOf(mailbox))), ...returned }
}

function addressOf(mailbox: Address): string {
  return typeof mailbox === 'string' ? mailbox : mailbox.address
}

function referencesOf(value: unknown): string[] {
  const texts = typeof value === 'string' ? [value] : check.array(value, 'references', 100)
  return texts
    .flatMap((text, index) => check.string(text, `references[${index}]`).split(/\s+/))
    .filter((id) => id !== '')
    .map(bracketed)
}

function bracketed(id: string): string {
  const text = id.trim()
  return text.startsWith('<') ? text : `<${text}>`
}

function dateOf(value: unknown): string {
  const date = value instanceof Date ? value : new Date(check.string(value, 'date'))
  if (Number.isNaN(date.getTime())) check.fail('date', 'is not a date')
  return date.toISOString()
}
