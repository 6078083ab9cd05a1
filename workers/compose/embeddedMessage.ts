import { isAscii } from 'node:buffer'
import { detectMimeType } from 'nodemailer/lib/mime-funcs'
import type { JobAttachment } from '../../src/protocol/tasks.js'

/** RFC 5321 section 4.5.3.1.6: octets of a line, without its CRLF. */
const MAX_LINE = 998
const BINARY = 'application/octet-stream'

/** The type of an attachment: its own, or the one of its file name. A composite type other than a message is never guessed. */
export function typeOf({ contentType, filename }: JobAttachment): string {
  if (contentType !== undefined) return contentType
  const guess = detectMimeType(filename ?? 'bin')
  return /^(?:multipart\/|message\/(?!rfc822$))/i.test(guess) ? BINARY : guess
}

/** Whether an attachment is a message (RFC 2046 section 5.2.1), which must not be encoded. */
export function isEmbeddedMessage(attachment: JobAttachment): boolean {
  return /^message\/rfc822$/i.test(typeOf(attachment)) && toEmbedded(contentOf(attachment)) !== undefined
}

function contentOf({ content }: JobAttachment): Uint8Array {
  return typeof content === 'string' ? Buffer.from(content) : content
}

/**
 * A message as a part: its line endings become CRLF, as in any mail, and nothing else changes. Returns undefined if it can't be
 * sent without an encoding, because a line is too long or it contains a NUL character. It is then a file like any other.
 */
export function toEmbedded(content: Uint8Array): { bytes: Buffer; encoding: '7bit' | '8bit' } | undefined {
  const text = Buffer.from(content.buffer, content.byteOffset, content.byteLength).toString('latin1')
  const lines = text.split(/\r\n|\r|\n/)
  if (text.includes('\0') || lines.some(({ length }) => length > MAX_LINE)) return undefined
  const bytes = Buffer.from(lines.join('\r\n'), 'latin1')
  return { bytes, encoding: isAscii(bytes) ? '7bit' : '8bit' }
}
