import { scanOctets } from '../../../src/protocol/octetScan.js'
import type { BufferLease } from '../../compose/bufferPool.js'
import type { Composed } from '../../compose/compose.js'
import { LazyMessage } from '../../compose/lazyMessage.js'

const CR = 13
const LF = 10
const DOT = 46

/** A message that is ready to be sent: every line ends with CRLF. */
export interface MailData {
  message: Buffer | LazyMessage
  /** Indexes of the dots at the start of a line, which DATA doubles (RFC 5321 section 4.5.2) and BDAT does not. */
  dots: readonly number[]
  /** Size of the message in octets (RFC 1870). */
  size: number
  /** The message has octets above 127 (RFC 6152). */
  eightBit: boolean
  /** The header has octets above 127 (RFC 6531, 6532). */
  utf8Header: boolean
  /** Releases the memory of the message, if it comes from a pool. */
  lease?: BufferLease | undefined
}

const NO_DOTS: readonly number[] = []

/** Prepares a composed message. */
export function mailDataOf(composed: Composed): MailData {
  if (!composed.transparent) return toMailData(composed.bytes)
  const message = composed instanceof LazyMessage ? composed : composed.bytes
  const { lease } = composed
  return { message, dots: NO_DOTS, size: message.length, eightBit: false, utf8Header: false, lease }
}

/**
 * Prepares a message for DATA. A bare CR or LF becomes CRLF, so that no server can mistake a part of the message for
 * its end (SMTP smuggling). A well-formed message is not copied.
 */
export function toMailData(message: Buffer): MailData {
  const findings = scanOctets(message)
  const text = findings.bareLineEnding || !endsLine(message) ? normalizeLineEndings(message) : message
  const dots = text === message ? findings.dots : scanOctets(text).dots
  return {
    message: text,
    dots,
    size: text.length,
    eightBit: findings.eightBit,
    utf8Header: findings.eightBit && hasEightBitHeader(text),
  }
}

function endsLine(bytes: Buffer): boolean {
  return bytes.length >= 2 && bytes[bytes.length - 1] === LF && bytes[bytes.length - 2] === CR
}

/** Replaces every line ending with CRLF, and terminates the last line. */
function normalizeLineEndings(message: Buffer): Buffer {
  const out = Buffer.allocUnsafe(message.length * 2 + 2)
  let to = 0
  for (let at = 0; at < message.length; at++) {
    const byte = message[at]!
    if (byte === CR || byte === LF) {
      out[to++] = CR
      out[to++] = LF
      if (byte === CR && message[at + 1] === LF) at++
    } else {
      out[to++] = byte
    }
  }
  if (!endsLine(out.subarray(0, to))) {
    out[to++] = CR
    out[to++] = LF
  }
  return out.subarray(0, to)
}

/** Returns the message as it follows the server's 354, without the final dot. It is copied only if it has such dots. */
export function dotStuffed({ message, dots }: MailData): Buffer | LazyMessage {
  if (dots.length === 0 || !Buffer.isBuffer(message)) return message
  const out = Buffer.allocUnsafe(message.length + dots.length)
  let from = 0
  let to = 0
  for (const dot of dots) {
    to += message.copy(out, to, from, dot)
    out[to++] = DOT
    from = dot
  }
  message.copy(out, to, from)
  return out
}

/** Splits off the last octet. */
export function splitLast({ message }: MailData): [front: Buffer | LazyMessage, last: Buffer] {
  return Buffer.isBuffer(message) ? [message.subarray(0, -1), message.subarray(-1)] : message.splitLast()
}

function hasEightBitHeader(text: Buffer): boolean {
  const blank = text.indexOf('\r\n\r\n')
  const end = blank < 0 ? text.length : blank
  for (let at = 0; at < end; at++) if (text[at]! > 127) return true
  return false
}

/** Ends the message (RFC 5321 section 4.1.1.4). */
export const FINAL_DOT = Buffer.from('.\r\n')
