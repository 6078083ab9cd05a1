import { createHash, hash, type Hash } from 'node:crypto'

const TAB = 9
const LF = 10
const CR = 13
const SP = 32

/** Size of the buffer for canonicalized text, in bytes: a typical message is hashed in one call. */
const CHUNK = 64 * 1024

const out = Buffer.allocUnsafeSlow(CHUNK)

/**
 * Returns the SHA-256 hash, in base64, of a body in "relaxed" canonicalization (RFC 6376 section 3.4.4): white space at
 * the end of a line and empty lines at the end of the body are ignored, and other white space counts as one space. It
 * makes one pass and uses the same memory for any size.
 *
 * @param message with CRLF line endings
 * @param from the index of the body's first octet
 */
export function relaxedBodyHash(message: Uint8Array, from: number): string {
  const end = message.length
  let hasher: Hash | undefined
  let to = 0
  let at = from
  /** Line endings that are not written yet: at the end of the body, all but the first are ignored. */
  let lines = 0
  let space = false
  const flush = (): void => {
    hasher ??= createHash('sha256')
    hasher.update(out.subarray(0, to))
    to = 0
  }
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
      if (to > CHUNK - 4) flush()
      out[to++] = CR
      out[to++] = LF
    }
    if (space) out[to++] = SP
    space = false
    do {
      if (to > CHUNK - 4) flush()
      out[to++] = byte
      byte = message[++at]!
      // `byte` is undefined at the end of the message.
    } while (byte > SP)
  }
  // A body that does not end with a line ending gets one; an empty body stays empty.
  if (to > 0 || hasher !== undefined) {
    if (to > CHUNK - 4) flush()
    out[to++] = CR
    out[to++] = LF
  }
  const rest = out.subarray(0, to)
  return hasher === undefined ? hash('sha256', rest, 'base64') : hasher.update(rest).digest('base64')
}
