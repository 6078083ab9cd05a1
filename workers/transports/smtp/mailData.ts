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
  const findings = scan(message)
  const text = findings.bareLineEnding || !endsLine(message) ? normalizeLineEndings(message) : message
  const dots = text === message ? findings.dots : scan(text).dots
  return {
    message: text,
    dots,
    size: text.length,
    eightBit: findings.eightBit,
    utf8Header: findings.eightBit && hasEightBitHeader(text),
  }
}

interface Findings {
  /** There is a CR without LF or an LF without CR. */
  bareLineEnding: boolean
  /** Indexes of the dots at the start of a line. Meaningless if `bareLineEnding`. */
  dots: number[]
  eightBit: boolean
}

/**
 * Checks four bytes at a time: one subtraction and a mask rule out control characters and octets above 127, which nearly
 * all words of a message don't have.
 */
function scan(bytes: Buffer): Findings {
  const { length } = bytes
  const dots: number[] = bytes[0] === DOT ? [0] : []
  const lead = Math.min(length, (4 - (bytes.byteOffset % 4)) % 4)
  const count = (length - lead) >>> 2
  const words = count === 0 ? NO_WORDS : new Int32Array(bytes.buffer, bytes.byteOffset + lead, count)
  let bareLineEnding = scanBytes(bytes, 0, lead, dots)
  let high = 0
  for (let index = 0; index < count; index++) {
    const word = words[index]!
    high |= word
    // Exact if no octet is above 127; if one is, the worst case is a needless scan of the four bytes.
    if (((word - 0x0e0e0e0e) & ~word & HIGH) !== 0) {
      const at = lead + index * 4
      if (scanBytes(bytes, at, at + 4, dots)) bareLineEnding = true
    }
  }
  const tail = lead + count * 4
  if (scanBytes(bytes, tail, length, dots)) bareLineEnding = true
  for (let at = 0; at < lead; at++) high |= bytes[at]!
  for (let at = tail; at < length; at++) high |= bytes[at]!
  return { bareLineEnding, dots, eightBit: (high & HIGH) !== 0 }
}

const NO_WORDS = new Int32Array(0)
/** The high bits of four octets, as a signed 32-bit integer. */
const HIGH = 0x80808080 | 0

/** Adds the dots at the start of a line to `dots`. @returns whether there is a bare CR or LF */
function scanBytes(bytes: Buffer, from: number, to: number, dots: number[]): boolean {
  let bareLineEnding = false
  for (let at = from; at < to; at++) {
    const byte = bytes[at]!
    if (byte === CR) {
      if (bytes[at + 1] !== LF) bareLineEnding = true
    } else if (byte === LF) {
      if (at === 0 || bytes[at - 1] !== CR) bareLineEnding = true
      if (bytes[at + 1] === DOT) dots.push(at + 1)
    }
  }
  return bareLineEnding
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
