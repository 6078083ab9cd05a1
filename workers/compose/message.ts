import { isAscii } from 'node:buffer'
import type { Letter } from '../../src/wire/tasks.js'
import type { Composed } from './compose.js'
import { headerFields } from './headerFields.js'
import { Octets } from './octets.js'
import { type PieceRow, QuotedPrintableWriter } from './quotedPrintable.js'

/** What a message says, bound; a part that is `''` is none. */
export interface MessageParts {
  subject: string
  html: string
  /** The HTML as pieces, where it is bound late: the same text at less cost. */
  htmlRow?: PieceRow
  text: string
}

const out = new Octets()
const writer = new QuotedPrintableWriter(out)

/**
 * Builds a message without attachments (RFC 5322, RFC 2045): a text part, an HTML part, or the two as alternatives.
 * The same letter and parts give the same octets: Message-ID and Date are the letter's, the boundary its id.
 */
export function buildMessage(letter: Letter, parts: MessageParts): Composed {
  const { subject, text } = parts
  const html = parts.htmlRow ?? parts.html
  out.clear()
  out.text(headerFields(letter, letter.subject ?? subject))
  out.text('MIME-Version: 1.0\r\n')
  if (html !== '' && text !== '') {
    alternatives(boundaryOf(letter.id), text, html)
  } else {
    if (html === '') part('plain', text)
    else part('html', html)
    if (writer.column > 0) out.text('\r\n')
  }
  const taken = out.take()
  // Values were checked for line ends, a field begins with its name, and the writer leaves no dot at a line's begin.
  return { ...taken, transparent: isAscii(taken.bytes) }
}

function alternatives(boundary: string, text: string, html: string | PieceRow): void {
  out.text(`Content-Type: multipart/alternative;\r\n boundary="${boundary}"\r\n\r\n--${boundary}\r\n`)
  part('plain', text)
  out.text(`\r\n--${boundary}\r\n`)
  part('html', html)
  out.text(`\r\n--${boundary}--\r\n`)
}

function part(subtype: 'plain' | 'html', body: string | PieceRow): void {
  out.text(
    `Content-Type: text/${subtype}; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n`,
  )
  writer.body(body)
}

/** No quoted-printable body can hold `=_` (RFC 2045 section 6.7). */
function boundaryOf(id: string): string {
  return `=_${id}`
}
