import { isAscii } from 'node:buffer'
import type { JobAttachment } from '../../src/protocol/tasks.js'
import type { WirePayload } from '../wireForm.js'
import { base64Length, writeBase64 } from './base64.js'
import { type BufferLease, BufferPool } from './bufferPool.js'
import type { DkimSigner } from './dkimSigner.js'
import { isEmbeddedMessage, toEmbedded } from './embeddedMessage.js'
import { attachmentFields, headerFields } from './headerFields.js'
import { LazyMessage, type LazyPiece } from './lazyMessage.js'
import { type PieceRow, QuotedPrintableWriter } from './quotedPrintable.js'

/** The rendered parts of a message. An empty string means that there is no such part. */
export interface MessageParts {
  subject: string
  html: string
  /** The HTML as pieces, if its template is precompiled: the same text, cheaper to encode. */
  htmlRow?: PieceRow
  text: string
}

/** A message (RFC 5322) as octets, with CRLF line endings. A {@link LazyMessage} makes them as they are needed. */
export interface Composed {
  readonly bytes: Buffer
  /**
   * Whether the message is known to need no changes for DATA: it is ASCII, every line ends with CRLF, and none starts
   * with a dot. False if unknown.
   */
  readonly transparent: boolean
  /** Releases the memory of `bytes`, if it comes from a pool. */
  readonly lease?: BufferLease | undefined
}

const LF = 10
/** Attachments from this length on, in octets, are encoded as the message is sent. */
const LARGE = 192 * 1024
/** Large attachments of the message that is being written, and the number of octets written in front of each. */
let large: { at: number; attached: Uint8Array }[] = []
const out = new BufferPool()
const writer = new QuotedPrintableWriter(out)

/**
 * Builds a message (RFC 5322, RFC 2045): text and HTML, as alternatives if there are both; attachments that the HTML shows
 * by `cid:` as related parts (RFC 2387); all others as attachments. The same payload and parts result in the same octets:
 * Message-ID and Date come from the payload, and the boundaries are derived from its id.
 *
 * @param signer signs the message where it lies, without copying it
 * @param form with `ascii`, an address that requires SMTPUTF8 is only named in To and Cc (RFC 6857 section 3.1.8)
 */
export function compose(
  payload: WirePayload,
  parts: MessageParts,
  signer?: DkimSigner,
  form: 'ascii' | 'utf8' = 'utf8',
): Composed {
  const { id, attachments, content } = payload
  if (content.kind === 'raw') {
    const { buffer, byteOffset, length } = content.octets
    const bytes = Buffer.from(buffer, byteOffset, length)
    return { bytes: signer?.sign(bytes) ?? bytes, transparent: false }
  }
  const html = parts.htmlRow ?? parts.html
  out.clear(signer?.headroom)
  large = []
  out.writeText(headerFields(payload, payload.subject ?? parts.subject, form))
  out.writeText('MIME-Version: 1.0\r\n')
  if (attachments.length === 0) body(id, parts.text, html, attachments)
  else bodyAndFiles(id, parts.text, html, attachments)
  if (out.bytes[out.length - 1] !== LF) out.writeText('\r\n')
  const written = out.take()
  // Values can't contain line breaks, a field starts with its name, and neither encoding leaves a dot at the start of a line.
  // An attached message isn't encoded.
  const transparent = isAscii(written.bytes) && !attachments.some(isEmbeddedMessage)
  if (large.length > 0) {
    const message = new LazyMessage(piecesOf(written.bytes), transparent, written.lease)
    return signer?.signLazy(message) ?? message
  }
  if (signer === undefined) return { ...written, transparent }
  return { ...written, bytes: signer.sign(written.bytes, signer.headroom), transparent }
}

/** Divides what was written where large attachments belong. */
function piecesOf(written: Buffer): LazyPiece[] {
  const pieces: LazyPiece[] = []
  let from = 0
  for (const { at, attached } of large) {
    pieces.push(written.subarray(from, at), { attached })
    from = at
  }
  return [...pieces, written.subarray(from)]
}

function bodyAndFiles(
  id: string,
  text: string,
  html: string | PieceRow,
  attachments: readonly JobAttachment[],
): void {
  out.reserve(attachments.reduce((sum, { size }) => sum + (size < LARGE ? base64Length(size) : 0), 0))
  const inline = html === '' ? [] : attachments.filter(({ cid }) => cid !== undefined)
  const attached = html === '' ? attachments : attachments.filter(({ cid }) => cid === undefined)
  const calendar = attachments.find((attachment) => attachment.calendar !== undefined)
  if (attached.length === 0) body(id, text, html, inline)
  else multipart('mixed', `=_m-${id}`, [() => body(id, text, html, inline, calendar), ...attached.map(file)])
}

/** @param calendar also the last alternative, which is the one that calendar clients prefer (RFC 6047 section 2.4) */
function body(
  id: string,
  text: string,
  html: string | PieceRow,
  inline: readonly JobAttachment[],
  calendar?: JobAttachment,
): void {
  const alternatives: (() => void)[] = []
  if (text !== '' || html === '') alternatives.push(() => part('plain', text))
  if (html !== '') alternatives.push(() => htmlBody(id, html, inline))
  if (calendar !== undefined) alternatives.push(() => calendarPart(calendar))
  const [only] = alternatives
  if (alternatives.length === 1) only?.()
  else multipart('alternative', `=_${id}`, alternatives)
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

/** In base64, so that no server changes a line ending. */
function calendarPart({ calendar = 'REQUEST', content }: JobAttachment): void {
  out.writeText(
    `Content-Type: text/calendar; charset=utf-8; method=${calendar}\r\nContent-Transfer-Encoding: base64\r\n\r\n`,
  )
  writeBase64(out, bytesOf(content))
}

function file(attachment: JobAttachment): () => void {
  return () => {
    const embedded = isEmbeddedMessage(attachment) ? toEmbedded(bytesOf(attachment.content)) : undefined
    out.writeText(`${attachmentFields(attachment, embedded?.encoding)}\r\n`)
    if (embedded !== undefined) out.writeBytes(embedded.bytes)
    else if (attachment.size < LARGE) writeBase64(out, bytesOf(attachment.content))
    else large.push({ at: out.written, attached: bytesOf(attachment.content) })
  }
}

function bytesOf(content: JobAttachment['content']): Uint8Array {
  return typeof content === 'string' ? Buffer.from(content) : content
}
