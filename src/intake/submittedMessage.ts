import { randomUUID } from 'node:crypto'
import type { AuthorFields } from './authorFields.js'
import { headerSectionOf, isStripped, toHeaderField } from './headerSection.js'
import { isRefusal, refusal, type SmtpRefusal } from './smtpReply.js'
import { type TraceSource, receivedField } from './traceFields.js'

/** A submitted message (RFC 6409), ready to be relayed. */
export interface SubmittedMessage {
  /** The message, one octet for each character: with a Received field, without Bcc and control fields. */
  octets: string
  /** The client's Message-ID, if it has one. */
  messageId?: string
  authorFields: AuthorFields
  /** The values of the control fields, `X-Threadpost-…`, by the rest of their names in lower case. */
  controls: Map<string, string>
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

/** Checks a message, removes what must not be relayed, and adds what is missing (RFC 6409 section 8). Reads it in linear time. */
export function readSubmitted(
  octets: string,
  source: TraceSource,
  limits: SubmittedLimits,
): SubmittedMessage | SmtpRefusal {
  const unsafe = UNSAFE.exec(octets)?.[0]
  if (unsafe !== undefined)
    return refusal(
      554,
      '5.6.0',
      unsafe === '\0'
        ? 'The message contains a NUL character'
        : `The message contains a bare ${unsafe === '\r' ? 'CR' : 'LF'}: every line must end with CRLF (RFC 5321 section 2.3.8)`,
    )
  const section = headerSectionOf(octets, limits)
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
      return refusal(554, '5.6.0', `The control field ${field.name.slice(0, 80)} is there twice`)
    controls.set(name, toHeaderField(octets, field).value)
  }
  const named = (name: string): string[] =>
    fields.filter((field) => field.name === name).map((field) => toHeaderField(octets, field).value)

  const [messageId] = named('message-id')
  let head = receivedField(source)
  if (messageId === undefined) head += `Message-ID: <${randomUUID()}@${source.server}>\r\n`
  if (named('date').length === 0) head += `Date: ${source.date}\r\n`
  // The kept fields are copied in runs: most messages have one field to remove, or none.
  let kept = 0
  for (const field of fields) {
    if (!isStripped(field.name)) continue
    head += octets.slice(kept, field.start)
    kept = field.end
  }
  const rest = octets.slice(kept)
  return {
    octets: head + (end < octets.length ? rest : `${rest}\r\n`),
    ...(messageId === undefined || messageId === '' ? {} : { messageId }),
    authorFields: { from: named('from'), sender: named('sender') },
    controls,
  }
}
