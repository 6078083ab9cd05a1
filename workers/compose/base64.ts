import type { BufferPool } from './bufferPool.js'

const ALPHABET = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/')
const PADDING = 61
const CR = 13
const LF = 10
/** Octets per line: 76 characters (RFC 2045 section 6.8). */
const LINE = 57

/** Returns the number of characters that `octets` octets become, with a CRLF between lines. */
export function base64Length(octets: number): number {
  return Math.ceil(octets / 3) * 4 + Math.max(0, Math.ceil(octets / LINE) - 1) * 2
}

/** Writes octets as base64, in lines separated by CRLF. The last line has no line ending. */
export function writeBase64(out: BufferPool, octets: Uint8Array): void {
  out.reserve(base64Length(octets.length))
  out.length = encodeLines(octets, 0, octets.length, out.bytes, out.length)
}

/**
 * Encodes a part of octets. A CRLF precedes each line but the very first, so that the texts of consecutive parts can be joined.
 *
 * @param from a multiple of the octets in a line
 * @param bytes have room for the text
 * @returns the index behind the text
 */
function encodeLines(octets: Uint8Array, from: number, to: number, bytes: Buffer, start: number): number {
  let at = start
  for (let line = from; line < to; line += LINE) {
    if (line > 0) {
      bytes[at++] = CR
      bytes[at++] = LF
    }
    const end = Math.min(line + LINE, to)
    const whole = end - ((end - line) % 3)
    for (let index = line; index < whole; index += 3) {
      const group = (octets[index]! << 16) | (octets[index + 1]! << 8) | octets[index + 2]!
      bytes[at++] = ALPHABET[group >> 18]!
      bytes[at++] = ALPHABET[(group >> 12) & 63]!
      bytes[at++] = ALPHABET[(group >> 6) & 63]!
      bytes[at++] = ALPHABET[group & 63]!
    }
    if (whole === end) continue
    const first = octets[whole]!
    const second = whole + 1 < end ? octets[whole + 1]! : 0
    bytes[at++] = ALPHABET[first >> 2]!
    bytes[at++] = ALPHABET[((first & 3) << 4) | (second >> 4)]!
    bytes[at++] = whole + 1 < end ? ALPHABET[(second & 15) << 2]! : PADDING
    bytes[at++] = PADDING
  }
  return at
}

/** Octets that are encoded at a time, in whole lines: some 100 kB of text. */
const PART = LINE * 1_344

/** Yields the same text as {@link writeBase64} in parts. They share their memory: each is valid until the next is asked for. */
export function* base64Parts(octets: Uint8Array): Generator<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(base64Length(Math.min(PART, octets.length)) + 2)
  for (let from = 0; from < octets.length; from += PART) {
    const length = encodeLines(octets, from, Math.min(from + PART, octets.length), bytes, 0)
    yield bytes.subarray(0, length)
  }
}
