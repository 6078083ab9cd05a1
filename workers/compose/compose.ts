import { isAscii } from 'node:buffer'
import type { JobAttachment, MessagePayload } from '../../src/protocol/tasks.js'
import { base64Length, writeBase64 } from './base64.js'
import { type BufferLease, BufferPool } from './bufferPool.js'
import { attachmentFields, headerFields } from './headerFields.js'
import { type PieceRow, QuotedPrintableWriter } from './quotedPrintable.js'

/** What a message says, bound; a part that is `''` is none. */
export interface MessageParts {
  subject: string
  html: string
  /** The HTML as pieces, where it is bound late: the same text at less cost. */
  htmlRow?: PieceRow
  text: string
}

/** A message (RFC 5322) as octets, with CRLF line ends. */
export interface Composed {
  bytes: Buffer
  /**
   * It is known to be in the form in which it follows a 354: ASCII, every line ended by CRLF, none beginning with a
   * dot. False where nobody has looked.
   */
  transparent: boolean
  /** Of the memory in which they stand, if it can be used again. */
  lease?: BufferLease
}

const LF = 10
const out = new BufferPool()
const writer = new QuotedPrintableWriter(out)

/**
 * Builds a message (RFC 5322, RFC 2045): text and HTML, as alternatives where there are both; what the HTML shows by a
 * `cid:` beside it (RFC 2387), everything else attached. The same letter and parts give the same octets: Message-ID and
 * Date are the letter's, the boundaries follow from its id.
 */
export function compose(letter: MessagePayload, parts: MessageParts): Composed {
  const { id, attachments } = letter
  const html = parts.htmlRow ?? parts.html
  out.clear()
  out.writeText(headerFields(letter, letter.subject ?? parts.subject))
  out.writeText('MIME-Version: 1.0\r\n')
  if (attachments.length === 0) body(id, parts.text, html, attachments)
  else bodyAndFiles(id, parts.text, html, attachments)
  if (out.bytes[out.length - 1] !== LF) out.writeText('\r\n')
  const taken = out.take()
  // Values were checked for line ends, a field begins with its name, and neither encoding leaves a dot at a line's begin.
  return { ...taken, transparent: isAscii(taken.bytes) }
}

function bodyAndFiles(
  id: string,
  text: string,
  html: string | PieceRow,
  attachments: readonly JobAttachment[],
): void {
  out.reserve(attachments.reduce((sum, { size }) => sum + base64Length(size), 0))
  const shown = html === '' ? [] : attachments.filter(({ cid }) => cid !== undefined)
  const attached = html === '' ? attachments : attachments.filter(({ cid }) => cid === undefined)
  if (attached.length === 0) body(id, text, html, shown)
  else multipart('mixed', `=_m-${id}`, [() => body(id, text, html, shown), ...attached.map(file)])
}

function body(id: string, text: string, html: string | PieceRow, shown: readonly JobAttachment[]): void {
  if (html === '') part('plain', text)
  else if (text === '') htmlBody(id, html, shown)
  else multipart('alternative', `=_${id}`, [() => part('plain', text), () => htmlBody(id, html, shown)])
}

function htmlBody(id: string, html: string | PieceRow, shown: readonly JobAttachment[]): void {
  if (shown.length === 0) part('html', html)
  else multipart('related; type="text/html"', `=_r-${id}`, [() => part('html', html), ...shown.map(file)])
}

/** @param boundary begins like no other of the message; no encoded body can hold `=_` (RFC 2045 section 6.7) */
function multipart(subtype: string, boundary: string, entities: readonly (() => void)[]): void {
  out.writeText(`Content-Type: multipart/${subtype};\r\n boundary="${boundary}"\r\n`)
  for (const entity of entities) {
    out.writeText(`\r\n--${boundary}\r\n`)
    entity()
  }
  out.writeText(`\r\n--${boundary}--\r\n`)
}

function part(subtype: 'plain' | 'html', content: string | PieceRow): void {
  out.writeText(
    `Content-Type: text/${subtype}; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n`,
  )
  writer.body(content)
}

function file(attachment: JobAttachment): () => void {
  return () => {
    const { content } = attachment
    out.writeText(`${attachmentFields(attachment)}\r\n`)
    writeBase64(out, typeof content === 'string' ? Buffer.from(content) : content)
  }
}
