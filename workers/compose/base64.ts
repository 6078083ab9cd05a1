import type { BufferPool } from './bufferPool.js'

const ALPHABET = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/')
const PADDING = 61
const CR = 13
const LF = 10
/** Octets per line: 76 characters (RFC 2045 section 6.8). */
const LINE = 57

/** Returns the number of characters that `octets` octets become, line endings included. */
export function base64Length(octets: number): number {
  return Math.ceil(octets / 3) * 4 + Math.ceil(octets / LINE) * 2
}

/** Writes octets as base64, in lines separated by CRLF. The last line has no line ending. */
export function writeBase64(out: BufferPool, octets: Uint8Array): void {
  out.reserve(base64Length(octets.length))
  const { bytes } = out
  let to = out.length
  for (let line = 0; line < octets.length; line += LINE) {
    if (line > 0) {
      bytes[to++] = CR
      bytes[to++] = LF
    }
    const end = Math.min(line + LINE, octets.length)
    const whole = end - ((end - line) % 3)
    for (let at = line; at < whole; at += 3) {
      const group = (octets[at]! << 16) | (octets[at + 1]! << 8) | octets[at + 2]!
      bytes[to++] = ALPHABET[group >> 18]!
      bytes[to++] = ALPHABET[(group >> 12) & 63]!
      bytes[to++] = ALPHABET[(group >> 6) & 63]!
      bytes[to++] = ALPHABET[group & 63]!
    }
    if (whole === end) continue
    const first = octets[whole]!
    const second = whole + 1 < end ? octets[whole + 1]! : 0
    bytes[to++] = ALPHABET[first >> 2]!
    bytes[to++] = ALPHABET[((first & 3) << 4) | (second >> 4)]!
    bytes[to++] = whole + 1 < end ? ALPHABET[(second & 15) << 2]! : PADDING
    bytes[to++] = PADDING
  }
  out.length = to
}
