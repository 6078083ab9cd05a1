import { isAscii } from 'node:buffer'
import type { JobAttachment, MessagePayload } from '../../src/protocol/tasks.js'
import { base64Length, writeBase64 } from './base64.js'
import { type BufferLease, BufferPool } from './bufferPool.js'
import type { DkimSigner } from './dkimSigner.js'
import { attachmentFields, headerFields } from './headerFields.js'
import { type PieceRow, QuotedPrintableWriter } from './quotedPrintable.js'

/** The rendered parts of a message. An empty string means that there is no such part. */
export interface MessageParts {
  subject: string
  html: string
  /** The HTML as pieces, if its template is precompiled: the same text, cheaper to encode. */
  htmlRow?: PieceRow
  text: string
}

/** A message (RFC 5322) as octets, with CRLF line endings. */
export interface Composed {
  bytes: Buffer
  /**
   * Whether the message is known to need no changes for DATA: it is ASCII, every line ends with CRLF, and none starts
   * with a dot. False if unknown.
   */
  transparent: boolean
  /** Releases the memory of `bytes`, if it comes from a pool. */
  lease?: BufferLease
}

const LF = 10
const out = new BufferPool()
const writer = new QuotedPrintableWriter(out)

/**
 * Builds a message (RFC 5322, RFC 2045): text and HTML, as alternatives if there are both; attachments that the HTML shows
 * by `cid:` as related parts (RFC 2387); all others as attachments. The same payload and parts result in the same octets:
 * Message-ID and Date come from the payload, and the boundaries are derived from its id.
 *
 * @param signer signs the message where it lies, without copying it
 */
export function compose(payload: MessagePayload, parts: MessageParts, signer?: DkimSigner): Composed {
  const { id, attachments } = payload
  const html = parts.htmlRow ?? parts.html
  out.clear(signer?.headroom)
  out.writeText(headerFields(payload, payload.subject ?? parts.subject))
  out.writeText('MIME-Version: 1.0\r\n')
  if (attachments.length === 0) body(id, parts.text, html, attachments)
  else bodyAndFiles(id, parts.text, html, attachments)
  if (out.bytes[out.length - 1] !== LF) out.writeText('\r\n')
  const written = out.take()
  // Values can't contain line breaks, a field starts with its name, and neither encoding leaves a dot at the start of a line.
  const transparent = isAscii(written.bytes)
  if (signer === undefined) return { ...written, transparent }
  return { ...written, bytes: signer.sign(written.bytes, signer.headroom), transparent }
}

function bodyAndFiles(
  id: string,
  text: string,
  html: string | PieceRow,
  attachments: readonly JobAttachment[],
): void {
  out.reserve(attachments.reduce((sum, { size }) => sum + base64Length(size), 0))
  const inline = html === '' ? [] : attachments.filter(({ cid }) => cid !== undefined)
  const attached = html === '' ? attachments : attachments.filter(({ cid }) => cid === undefined)
  if (attached.length === 0) body(id, text, html, inline)
  else multipart('mixed', `=_m-${id}`, [() => body(id, text, html, inline), ...attached.map(file)])
}

function body(id: string, text: string, html: string | PieceRow, inline: readonly JobAttachment[]): void {
  if (html === '') part('plain', text)
  else if (text === '') htmlBody(id, html, inline)
  else multipart('alternative', `=_${id}`, [() => part('plain', text), () => htmlBody(id, html, inline)])
}

function htmlBody(id: string, html: string | PieceRow, inline: readonly JobAttachment[]): void {
  if (inline.length === 0) part('html', html)
  else multipart('related; type="text/html"', `=_r-${id}`, [() => part('html', html), ...inline.map(file)])
}

/** @param boundary unique in the message; no encoded body can contain `=_` (RFC 2045 section 6.7) */
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
