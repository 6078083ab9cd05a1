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

/** Returns the hash of a body. See {@link BodyHash}. @param from the index of the body's first octet */
export function relaxedBodyHash(message: Buffer, from: number): string {
  const body = new BodyHash()
  body.add(message, from)
  return body.digest()
}

/**
 * Computes the SHA-256 hash, in base64, of a body in "relaxed" canonicalization (RFC 6376 section 3.4.4): white space at
 * the end of a line and empty lines at the end of the body are ignored, and other white space counts as one space. It
 * makes one pass and uses the same memory for any size. One body at a time: all share a buffer.
 */
export class BodyHash {
  #hasher: Hash | undefined
  /** Length of the canonicalized text that is not hashed yet. */
  #to = 0
  /** Line endings that are not written yet: at the end of the body, all but the first are ignored. */
  #lines = 0
  #space = false

  /** Adds a part of the body, with CRLF line endings; it must not end between CR and LF. */
  add(part: Buffer, from = 0): void {
    const end = part.length
    let to = this.#to
    let lines = this.#lines
    let space = this.#space
    let at = from
    while (at < end) {
      let byte = part[at]!
      if (byte === CR && part[at + 1] === LF) {
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
        if (to >= FULL) to = this.#hash(to)
        out[to++] = CR
        out[to++] = LF
      }
      if (space) out[to++] = SP
      space = false
      do {
        if (to >= FULL) to = this.#hash(to)
        out[to++] = byte
        // Not a number, and so not greater, at the end of the part.
        byte = part[++at]!
      } while (byte > SP)
    }
    this.#to = to
    this.#lines = lines
    this.#space = space
  }

  digest(): string {
    let to = this.#to
    // A body that does not end with a line ending gets one; an empty body stays empty.
    if (to > 0) {
      out[to++] = CR
      out[to++] = LF
    }
    const rest = out.subarray(0, to)
    return this.#hasher === undefined
      ? hash('sha256', rest, 'base64')
      : this.#hasher.update(rest).digest('base64')
  }

  /** @returns the length of the text that is not hashed after it */
  #hash(length: number): number {
    this.#hasher ??= createHash('sha256')
    this.#hasher.update(out.subarray(0, length))
    return 0
  }
}
