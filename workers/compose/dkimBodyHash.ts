import { createHash, hash, type Hash } from 'node:crypto'

const TAB = 9
const LF = 10
const CR = 13
const SP = 32

/** Size of the buffer for canonicalized text, in bytes: a typical message is hashed in one call. */
const CHUNK = 64 * 1024
/** From here on the buffer is hashed: a character, a space, and a line ending always fit behind it. */
const FULL = CHUNK - 8

const out = Buffer.allocUnsafeSlow(CHUNK)

/**
 * Returns the SHA-256 hash, in base64, of a body in "relaxed" canonicalization (RFC 6376 section 3.4.4): white space at
 * the end of a line and empty lines at the end of the body are ignored, and other white space counts as one space. It
 * makes one pass and uses the same memory for any size.
 *
 * @param message with CRLF line endings
 * @param from the index of the body's first octet
 */
export function relaxedBodyHash(message: Buffer, from: number): string {
  const end = message.length
  let hasher: Hash | undefined
  let to = 0
  /** Line endings that are not written yet: at the end of the body, all but the first are ignored. */
  let lines = 0
  let space = false
  let at = from
  while (at < end) {
    let byte = message[at]!
    if (byte === CR && message[at + 1] === LF) {
      lines++
      space = false
      at += 2
      continue
    }
    if (byte === SP || byte === TAB) {
      space = true
      at++
      continue
    }
    for (; lines > 0; lines--) {
      if (to >= FULL) {
        hasher = update(hasher, to)
        to = 0
      }
      out[to++] = CR
      out[to++] = LF
    }
    if (space) out[to++] = SP
    space = false
    do {
      if (to >= FULL) {
        hasher = update(hasher, to)
        to = 0
      }
      out[to++] = byte
      // Not a number, and so not greater, at the end of the message.
      byte = message[++at]!
    } while (byte > SP)
  }
  // A body that does not end with a line ending gets one; an empty body stays empty.
  if (to > 0) {
    out[to++] = CR
    out[to++] = LF
  }
  return hasher === undefined
    ? hash('sha256', out.subarray(0, to), 'base64')
    : update(hasher, to).digest('base64')
}

function update(hasher: Hash | undefined, length: number): Hash {
  return (hasher ?? createHash('sha256')).update(out.subarray(0, length))
}
