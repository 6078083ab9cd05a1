import type { Address, Mail } from '../index.js'
import { parseMailboxList } from '../message/addresses.js'
import { Validator, isPlainObject } from '../validation.js'
import { withoutGroups } from './addressGroups.js'
import { attachmentsOf, textOf } from './attachmentMapping.js'
import { refuseFields } from './fields.js'
import { mapHeaders } from './headerMapping.js'

const check: Validator = new Validator('INVALID_MESSAGE')

/** Addresses per field. The mailer's own limit is lower. */
const MAX_ADDRESSES = 100_000

/** Fields without an equivalent in threadpost, and what to do instead. */
const REFUSED: Readonly<Record<string, string>> = {
  raw: 'threadpost builds each message itself: pass subject, html, and text.',
  sender: 'Use from, and set the address for bounces as envelope.from.',
  watchHtml: 'Use html.',
  amp: 'A mail has a text part and an HTML part.',
  icalEvent: "Pass it as an attachment with contentType 'text/calendar; method=REQUEST'.",
  alternatives: 'A mail has a text part and an HTML part: pass other content as attachments.',
  dsn: 'threadpost does not request delivery status notifications.',
  requireTLSExtensionEnabled:
    'threadpost does not support REQUIRETLS (RFC 8689); requireTLS is an option of the transport.',
  dkim: 'Keys belong to the transport: pass dkim to createTransport().',
  auth: 'Credentials belong to the transport: create one transport per user.',
  otp: 'Put the code in the text.',
  ses: 'Create a mailer with an ses: transport and pass it to createTransport().',
  normalizeHeaderKey: 'Header names are always written as X-My-Key.',
}

/** Fields without effect here: the access to files and URLs was checked before, and the encoding of a body follows from its content. */
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

/** threadpost's own fields, which pass through unchanged. */
const PASSED_THROUGH = [
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

/** Fields of nodemailer that this module maps. */
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
const KEYS = [...MAPPED, ...PASSED_THROUGH, ...IGNORED, ...Object.keys(REFUSED)]

export interface MappedMail {
  mail: Mail
  /** Value of the Date header, in ISO 8601 format. */
  date?: string
}

/**
 * Converts a message of nodemailer to a mail of threadpost.
 * @param input the message with its defaults, and with all content read
 * @throws ThreadpostError `UNSUPPORTED` with the path of a field that only nodemailer supports, `INVALID_MESSAGE`
 */
export function toMail(input: Record<string, unknown>): MappedMail {
  check.object(input, '', KEYS)
  refuseFields(input, REFUSED)

  const fields: Record<string, unknown> = {}
  for (const key of PASSED_THROUGH) if (input[key] !== undefined) fields[key] = input[key]
  const from = mailboxOf(input['from'], 'from')
  if (from !== undefined) fields['from'] = from
  fields['replyTo'] = listOf(input['replyTo'], 'replyTo')
  Object.assign(fields, recipientsOf(input), mapHeaders(input, check))
  if (input['attachments'] !== undefined && input['attachments'] !== null)
    fields['attachments'] = attachmentsOf(input['attachments'], check)
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
  const { maxRecipients, envelope } = input
  const checkLimit = (count: number): void => {
    if (typeof maxRecipients === 'number' && maxRecipients > 0 && count > maxRecipients)
      check.fail('to', `the mail has ${count} recipients; maxRecipients allows ${maxRecipients}`)
  }
  if (envelope === undefined || envelope === null) {
    checkLimit(to.length + cc.length + bcc.length)
    return { to, cc, bcc }
  }
  const { from, ...lists } = check.object(envelope, 'envelope', ['from', 'to', 'cc', 'bcc'])
  const reversePath = mailboxOf(from, 'envelope.from')
  const envelopeFrom = reversePath === undefined ? {} : { envelope: { from: addressOf(reversePath) } }
  const envelopeTo = ['to', 'cc', 'bcc'].flatMap((key) => listOf(lists[key], `envelope.${key}`))
  if (envelopeTo.length === 0) return { to, cc, bcc, ...envelopeFrom }
  checkLimit(envelopeTo.length)
  const reached = new Set(envelopeTo.map(addressOf))
  const visible = new Set([...to, ...cc].map(addressOf))
  for (const address of visible)
    if (!reached.has(address)) check.fail('envelope.to', 'must contain every address in to and cc')
  return { to, cc, bcc: envelopeTo.filter((mailbox) => !visible.has(addressOf(mailbox))), ...envelopeFrom }
}

function addressOf(mailbox: Address): string {
  return typeof mailbox === 'string' ? mailbox : mailbox.address
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
  const date = value instanceof Date ? value : new Date(check.string(value, 'date'))
  if (Number.isNaN(date.getTime())) check.fail('date', 'is not a date')
  return date.toISOString()
}
