import { randomUUID } from 'node:crypto'
import { scanOctets } from '../protocol/octetScan.js'
import { copyOctets } from '../protocol/octets.js'
import type { AuthorFields } from './authorFields.js'
import { headerSectionOf, isStripped, toHeaderField } from './headerSection.js'
import { isRefusal, refusal, type SmtpRefusal } from './smtpReply.js'
import { type TraceSource, receivedField } from './traceFields.js'

/** A submitted message (RFC 6409), ready to be relayed. */
export interface SubmittedMessage {
  /** The message with a Received field, without Bcc and control fields. */
  octets: Buffer
  /** The client's Message-ID, if it has one. */
  messageId?: string
  authorFields: AuthorFields
  /** The values of the control fields, `X-Threadpost-…`, by the rest of their names in lower case. */
  controls: Map<string, string>
}

/** A message as it was received. */
export interface CollectedMessage {
  octets: Buffer
  /** Octets in front of it, in the same memory, that its header may take. */
  headroom: number
}

/** Limits of the same names as the server's. */
export interface SubmittedLimits {
  header: number
  fields: number
  hops: number
}

const CONTROL = 'x-threadpost-'
/** A CR or an LF that is not part of a CRLF, or a NUL: servers disagree on what these mean, which smuggles messages past one of them. */
const UNSAFE = /\r(?!\n)|(?<!\r)\n|\0/

/**
 * Checks a message, removes what must not be relayed, and adds what is missing (RFC 6409 section 8). Reads it in linear time. The new
 * header takes the place of the old one, so that a large message is not copied.
 */
export function readSubmitted(
  message: CollectedMessage,
  source: TraceSource,
  limits: SubmittedLimits,
): SubmittedMessage | SmtpRefusal {
  const unsafe = unsafeIn(message.octets)
  if (unsafe !== undefined) return unsafe
  const text = message.octets.toString('latin1', 0, limits.header + 1)
  const section = headerSectionOf(text, limits)
  if (isRefusal(section)) return section

  const { fields, end } = section
  const hops = fields.filter(({ name }) => name === 'received').length
  if (hops > limits.hops)
    return refusal(554, '5.4.6', `The message has ${hops} Received fields: it is going round in a loop`)
  const controls = new Map<string, string>()
  for (const field of fields) {
    if (!field.name.startsWith(CONTROL)) continue
    const name = field.name.slice(CONTROL.length)
    if (controls.has(name))
      return refusal(554, '5.6.0', `The control field ${field.name.slice(0, 80)} occurs twice`)
    controls.set(name, toHeaderField(text, field).value)
  }
  const named = (name: string): string[] =>
    fields.filter((field) => field.name === name).map((field) => toHeaderField(text, field).value)

  const [messageId] = named('message-id')
  let head = receivedField(source)
  if (messageId === undefined) head += `Message-ID: <${randomUUID()}@${source.server}>\r\n`
  if (named('date').length === 0) head += `Date: ${source.date}\r\n`
  // The kept fields are copied in runs: most messages have one field to remove, or none.
  let kept = 0
  for (const field of fields) {
    if (!isStripped(field.name)) continue
    head += text.slice(kept, field.start)
    kept = field.end
  }
  head += text.slice(kept, end)
  return {
    octets: withHeader(message, end, head),
    ...(messageId === undefined || messageId === '' ? {} : { messageId }),
    authorFields: { from: named('from'), sender: named('sender') },
    controls,
  }
}

function unsafeIn(octets: Buffer): SmtpRefusal | undefined {
  if (!scanOctets(octets).bareLineEnding && !octets.includes(0)) return undefined
  const [character] = UNSAFE.exec(octets.toString('latin1')) ?? []
  return refusal(
    554,
    '5.6.0',
    character === '\0'
      ? 'The message contains a NUL character'
      : `The message contains a bare ${character === '\r' ? 'CR' : 'LF'}: every line must end with CRLF (RFC 5321 section 2.3.8)`,
  )
}

/** Puts another header in front of the empty line, at `end`, or adds that line. */
function withHeader({ octets, headroom }: CollectedMessage, end: number, text: string): Buffer {
  const header = Buffer.from(text, 'latin1')
  const start = headroom + end - header.length
  if (end === octets.length || start < 0)
    return copyOctets(header, end === octets.length ? CRLF : octets.subarray(end))
  const memory = Buffer.from(octets.buffer, octets.byteOffset - headroom, headroom + octets.length)
  memory.set(header, start)
  return memory.subarray(start)
}

const CRLF = Buffer.from('\r\n')
