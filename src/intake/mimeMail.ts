import { type HeaderField, type LeafPart, parseStructure, valueOf } from '../mime/mimeStructure.js'
import { decodeWords, type InboxAddress, type MailContents, parseMime } from '../mime/parseMime.js'
import { addressKey } from '../protocol/addressForms.js'
import { isRefusal, refusal, type SmtpRefusal } from './smtpReply.js'

export interface Envelope {
  from: string
  to: readonly string[]
}

/** The fields of a mail, which `send()` validates. */
export type MailFields = Record<string, unknown>

/** Fields that become fields of a mail, that the service writes anew, or that only trace the way here. */
const MAPPED = new Set([
  ...['from', 'to', 'cc', 'reply-to', 'sender', 'subject', 'message-id', 'in-reply-to', 'references', 'date'],
  ...[
    'mime-version',
    'content-type',
    'content-transfer-encoding',
    'content-disposition',
    'received',
    'return-path',
  ],
  ...['list-unsubscribe', 'list-unsubscribe-post'],
])
const PART_FIELDS = new Set([
  ...['content-type', 'content-transfer-encoding', 'content-disposition', 'content-id', 'x-attachment-id'],
  'mime-version',
])
const WRONG_CHARSET = 'text in a wrong charset'
const MULTIPARTS = new Set(['mixed', 'alternative', 'related'])

/**
 * The parts of a finished message, for a service that builds its messages itself.
 * @returns a refusal if anything would be lost
 */
export function partsMailOf(octets: Buffer, envelope: Envelope): MailFields | SmtpRefusal {
  // The parser takes no shared memory.
  const raw = Buffer.from(octets)
  const contents = parseMime(raw)
  const lost = lostIn(raw, contents)
  if (lost !== undefined)
    return refusal(554, '5.6.3', `The transport builds its messages itself, and ${lost} would be lost`)
  const fields = commonFields(contents, envelope)
  if (isRefusal(fields)) return fields
  const unsubscribe = listUnsubscribeOf(contents.headers)
  return {
    ...fields,
    subject: contents.subject,
    ...(contents.html === undefined ? {} : { html: contents.html }),
    ...(contents.text === undefined && contents.html !== undefined ? {} : { text: contents.text ?? '' }),
    ...(unsubscribe === undefined ? {} : { listUnsubscribe: unsubscribe }),
    headers: otherHeaders(contents.headers, (name) => !MAPPED.has(name)),
  }
}

/** A mail from a template, with the addresses, `X-*` fields, and files of a message. Its text is not used. */
export function templateMailOf(
  octets: Buffer,
  envelope: Envelope,
  template: { template: string; data: unknown; locale?: string },
): MailFields | SmtpRefusal {
  const contents = parseMime(Buffer.from(octets))
  // A field that is left out could be From.
  if (contents.leftOut.length > 0)
    return refusal(554, '5.6.3', 'The message has too many fields or parts to be built from a template')
  const fields = commonFields(contents, envelope)
  if (isRefusal(fields)) return fields
  return {
    ...fields,
    ...template,
    // Most programs set a subject. An empty one leaves the template's.
    ...(contents.subject === '' ? {} : { subject: contents.subject }),
    headers: otherHeaders(contents.headers, (name) => name.startsWith('x-')),
  }
}

function commonFields(contents: MailContents, envelope: Envelope): MailFields | SmtpRefusal {
  const { from, replyTo, headers, messageId, attachments } = contents
  const recipients = recipientsOf(contents, envelope)
  if (isRefusal(recipients)) return recipients
  const value = (name: string) => valueOf(headers, name)?.trim() ?? ''
  const references = value('references').match(/<[^\s<>]+>/g)
  return {
    ...recipients,
    ...(from === undefined ? {} : { from: mailboxOf(from) }),
    ...(replyTo.length === 0 ? {} : { replyTo: replyTo.map(mailboxOf) }),
    ...(value('sender') === '' ? {} : { sender: decodeWords(value('sender')) }),
    ...(messageId === undefined ? {} : { messageId }),
    ...(value('in-reply-to') === '' ? {} : { inReplyTo: value('in-reply-to') }),
    ...(references === null ? {} : { references }),
    envelope: { from: envelope.from },
    attachments: attachments.map(({ filename, contentType, cid, content }) => ({
      ...(filename === undefined ? {} : { filename }),
      ...(cid === undefined ? {} : { cid }),
      contentType,
      content,
    })),
  }
}

/** The recipients of the envelope, as To and Cc show them; hidden ones are Bcc. */
function recipientsOf(contents: MailContents, envelope: Envelope): MailFields | SmtpRefusal {
  const left = new Map(envelope.to.map((address) => [addressKey(address), address]))
  for (const { address } of [...contents.to, ...contents.cc])
    if (!left.has(addressKey(address)))
      return refusal(
        554,
        '5.6.3',
        `${address.slice(0, 100)} is in To or Cc and not a recipient of the envelope, so the message can't be built again`,
      )
  for (const { address } of [...contents.to, ...contents.cc]) left.delete(addressKey(address))
  return {
    to: contents.to.map(mailboxOf),
    cc: contents.cc.map(mailboxOf),
    bcc: [...left.values()].map((address) => ({ address })),
  }
}

function mailboxOf({ name, address }: InboxAddress): { name?: string; address: string } {
  return name === '' ? { address } : { name, address }
}

function otherHeaders(
  headers: readonly HeaderField[],
  included: (name: string) => boolean,
): Record<string, string | string[]> {
  const values = new Map<string, string[]>()
  for (const { name, value } of headers)
    if (included(name.toLowerCase()))
      values.set(name, [...(values.get(name) ?? []), decodeWords(value.trim())])
  return Object.fromEntries(
    [...values].map(([name, [first = '', ...more]]) => [name, more.length === 0 ? first : [first, ...more]]),
  )
}

function listUnsubscribeOf(headers: readonly HeaderField[]): MailFields | undefined {
  const value = valueOf(headers, 'list-unsubscribe')
  if (value === undefined) return undefined
  const targets = [...value.matchAll(/<([^<>]*)>/g)].map(([, target = '']) => target.trim())
  const mailto = targets.find((target) => /^mailto:/i.test(target))
  const url = targets.find((target) => /^https?:/i.test(target))
  return {
    ...(url === undefined ? {} : { url, oneClick: valueOf(headers, 'list-unsubscribe-post') !== undefined }),
    ...(mailto === undefined ? {} : { mailto: mailto.slice('mailto:'.length) }),
  }
}

/** Names what the fields of a mail can't express. */
function lostIn(raw: Uint8Array, contents: MailContents): string | undefined {
  const { parts, leftOut, header } = parseStructure(raw)
  if (leftOut.size > 0) return 'a part beyond the limits of the parser'
  if (header.filter(({ name }) => name.toLowerCase() === 'from').length > 1) return 'an author'
  if (/,/.test(addressListOf(header, 'from'))) return 'an author'
  const texts = { 'text/plain': 0, 'text/html': 0 }
  const places = new Set<number | LeafPart>()
  for (const part of parts) {
    const lost = lostPart(part, part.within.length === 0)
    if (lost !== undefined) return lost
    const kind = part.type.value
    if ((kind !== 'text/plain' && kind !== 'text/html') || isAttachment(part)) continue
    if (++texts[kind] > 1) return `the boundary between two parts of type ${kind}`
    places.add(part.within.findLast(({ subtype }) => subtype === 'alternative')?.id ?? part)
  }
  if (places.size > 1) return 'the boundary between two texts'
  if (/\ufffd/.test(contents.text ?? '') || /\ufffd/.test(contents.html ?? '')) return WRONG_CHARSET
  return undefined
}

function lostPart(part: LeafPart, isMessage: boolean): string | undefined {
  const kind = part.type.value.slice(0, 80)
  const multipart = part.within.find(({ subtype }) => !MULTIPARTS.has(subtype))?.subtype
  if (multipart !== undefined) return `the structure multipart/${multipart.slice(0, 80)}`
  if (kind.startsWith('multipart/')) return `a part of type ${kind}`
  const isText = kind === 'text/plain' || kind === 'text/html'
  if (!isText && part.within.at(-1)?.subtype === 'alternative') return `the alternative of type ${kind}`
  if (!isMessage) {
    const field = part.header.find(({ name }) => !PART_FIELDS.has(name.toLowerCase()))
    if (field !== undefined) return `the field ${field.name.slice(0, 80)} of a part`
  }
  const { parameters } = part.type
  const charset = parameters.get('charset')?.toLowerCase() ?? 'utf-8'
  if (isText && !isAttachment(part)) {
    if (!isDecodable(charset)) return `text in the charset ${charset.slice(0, 40)}`
    return exceedsAscii(charset, part.body) ? WRONG_CHARSET : undefined
  }
  if (charset !== 'utf-8' && charset !== 'us-ascii') return `the charset of an attached file`
  const parameter = [...parameters.keys()].find((name) => !/^(?:charset|name(?:\*.*)?|boundary)$/.test(name))
  return parameter === undefined ? undefined : `the parameter ${parameter.slice(0, 40)} of an attached file`
}

/** US-ASCII is read as Windows-1252, which has a character for each octet. */
function exceedsAscii(charset: string, body: Uint8Array): boolean {
  return /^(?:us-)?ascii$/.test(charset) && body.some((octet) => octet > 0x7f)
}

function isAttachment({ header }: LeafPart): boolean {
  return /^\s*attachment\b/i.test(valueOf(header, 'content-disposition') ?? '')
}

function isDecodable(charset: string): boolean {
  try {
    return new TextDecoder(charset).encoding !== ''
  } catch {
    return false
  }
}

/** The value without quoted names and comments, in which a comma separates nothing. */
function addressListOf(header: readonly HeaderField[], name: string): string {
  return (valueOf(header, name) ?? '').replace(/"(?:[^"\\]|\\.)*"/g, '').replace(/\([^()]*\)/g, '')
}
