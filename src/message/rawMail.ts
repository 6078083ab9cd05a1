import { types } from 'node:util'
import { ThreadpostError } from '../errors.js'
import { scanOctets } from '../protocol/octetScan.js'
import { allocateOctets, copyOctets, isChecked } from '../protocol/octets.js'
import type { Content, Mailbox } from '../protocol/tasks.js'
import { isBytes, isPlainObject, kindOf, Validator } from '../validation.js'
import { parseAddress, parseMailbox, parseMailboxes } from './addresses.js'
import { ByteSequence } from './ids.js'
import { DELIVERY_FIELDS } from './mailFields.js'

/** The fields that a mail with a finished message may have. */
const RAW_FIELDS = new Set<string>(['raw', 'envelope', 'priority', 'group', ...DELIVERY_FIELDS])
/** A header field (RFC 5322 section 2.2). */
const FIELD = /^[!-9;-~]+[ \t]*:/
const TRACE = /^(?:received|date|message-id)[ \t]*:.*(?:\r\n[ \t].*)*\r\n/gim
const ENCODED_WORD = /=\?([^?\s]{1,40})\?([bq])\?([^?\s]{0,2000})\?=/gi
/** White space between two encoded words is not part of the text (RFC 2047 section 6.2). */
const BETWEEN = /(\?=)[ \t]{1,100}(?==\?)/g

/** The content of a finished message and its envelope. */
export interface RawParts {
  content: Content
  from: Mailbox
  to: Mailbox[]
  envelopeFrom: string
  messageId?: string
  subject?: string
}

/** Reads a finished message. Nothing is removed from it; only line endings become CRLF, as SMTP requires (RFC 5321 section 2.3.8). */
export function rawPartsOf(
  mail: Readonly<Record<string, unknown>>,
  check: Validator,
  maxRecipients: number,
): RawParts {
  for (const [field, value] of Object.entries(mail))
    if (value !== undefined && !RAW_FIELDS.has(field))
      check.fail(field, "can't be combined with raw, which is a finished message")
  const envelope = check.object(mail['envelope'] ?? {}, 'envelope', ['from', 'to'])
  if (envelope['from'] === undefined)
    check.fail('envelope.from', "is required with raw; '' is a null reverse-path")
  const envelopeFrom = envelope['from'] === '' ? '' : parseAddress(envelope['from'], 'envelope.from', check)
  const to = parseMailboxes(envelope['to'], 'envelope.to', check, maxRecipients)
  if (to.length === 0)
    check.fail('envelope.to', 'is required with raw: no recipient is taken from its header')

  const octets = octetsOf(mail['raw'], check)
  const end = octets.indexOf('\r\n\r\n')
  const header = octets.toString('utf8', 0, end === -1 ? octets.length : end).replace(/\r\n(?=[ \t])/g, '')
  if (!FIELD.test(header)) check.fail('raw', 'must begin with a header field such as From: (RFC 5322)')
  const messageId = /^<[\x21-\x3b\x3d\x3f-\x7e]+>$/.exec(fieldOf(header, 'message-id'))?.[0]
  const subject = decodeEncodedWords(fieldOf(header, 'subject')).replace(/\p{Cc}/gu, ' ')
  return {
    content: { kind: 'raw', octets },
    from: authorOf(fieldOf(header, 'from'), envelopeFrom, check),
    to,
    envelopeFrom,
    ...(messageId === undefined ? {} : { messageId }),
    ...(subject === '' ? {} : { subject: subject.slice(0, 998) }),
  }
}

/** Every line break as CRLF. A message that has no other is not copied: it may be large. */
function withLineEndings(octets: Buffer): Buffer {
  if (!scanOctets(octets).bareLineEnding) return octets
  return copyOctets(Buffer.from(octets.toString('latin1').replace(/\r\n?|\n/g, '\r\n'), 'latin1'))
}

/**
 * The mail as idempotency compares it: without the fields that differ when a client submits the same message again, which are the trace
 * fields of the servers in between, and a date or an identifier that one of them added.
 */
export function withoutTrace(
  mail: Readonly<Record<string, unknown>>,
  check: Validator,
): Readonly<Record<string, unknown>> {
  if (mail['raw'] === undefined) return mail
  const octets = octetsOf(mail['raw'], check)
  const end = octets.indexOf('\r\n\r\n') + 2
  const header = octets.toString('latin1', 0, end).replace(TRACE, '')
  return { ...mail, raw: new ByteSequence([Buffer.from(header, 'latin1'), octets.subarray(end)]) }
}

/** @throws ThreadpostError `UNSUPPORTED` if the transport builds its messages itself */
export function refuseRawOver(transport: string): never {
  throw new ThreadpostError(
    'UNSUPPORTED',
    `raw: the transport '${transport}', or its failover, builds its messages itself; send raw over SMTP, Amazon SES, or Mailgun`,
    { path: 'raw' },
  )
}

/** The message, checked. */
function octetsOf(raw: unknown, check: Validator): Buffer {
  if (types.isUint8Array(raw) && isChecked(raw))
    return Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength)
  const octets = ownOctetsOf(raw, check)
  if (octets.includes(0)) check.fail('raw', 'contains a NUL character')
  return withLineEndings(octets)
}

/** The message in memory of its own: the caller may reuse its buffer. */
function ownOctetsOf(raw: unknown, check: Validator): Buffer {
  if (typeof raw === 'string') {
    const octets = allocateOctets(Buffer.byteLength(raw))
    octets.write(raw)
    return octets
  }
  if (isBytes(raw, 'raw', check)) return copyOctets(raw)
  // The JSON form of bytes: in a prepared mail, and over HTTP.
  if (isPlainObject(raw) && typeof raw['base64'] === 'string')
    return copyOctets(Buffer.from(raw['base64'], 'base64'))
  return check.fail('raw', `must be a string or bytes, got ${kindOf(raw)}`)
}

function fieldOf(header: string, name: string): string {
  const line = header.split('\r\n').find((each) => each.toLowerCase().startsWith(`${name}:`))
  return line === undefined ? '' : line.slice(name.length + 1).trim()
}

/** The first author, for lists and events. The envelope's sender stands in for one that can't be parsed. */
function authorOf(from: string, envelopeFrom: string, check: Validator): Mailbox {
  if (from === '') check.fail('raw', 'has no From field (RFC 5322 section 3.6)')
  const address = /^(?:"(?:[^"\\]|\\.)*"|[^"<])*<((?:"(?:[^"\\]|\\.)*"|[^">])*)>/.exec(from)?.[1] ?? from
  try {
    return parseMailbox({ address: address.trim() }, 'raw', new Validator('INVALID_MESSAGE'))
  } catch {
    if (envelopeFrom === '') check.fail('raw', 'has a From field without a valid address')
    return { address: envelopeFrom }
  }
}

/** Decodes the encoded words of a header value (RFC 2047). A word in an unknown charset stays as it is. */
function decodeEncodedWords(value: string): string {
  if (!value.includes('=?')) return value
  return value
    .replace(BETWEEN, '$1')
    .replace(ENCODED_WORD, (word, charset: string, encoding: string, text: string) => {
      const octets = encoding.toLowerCase() === 'b' ? Buffer.from(text, 'base64') : fromQ(text)
      try {
        return new TextDecoder(charset.replace(/\*.*/, '')).decode(octets)
      } catch {
        return word
      }
    })
}

function fromQ(text: string): Buffer {
  const octets = text
    .replaceAll('_', ' ')
    .replace(/=([0-9a-f]{2})/gi, (_code, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(octets, 'latin1')
}
