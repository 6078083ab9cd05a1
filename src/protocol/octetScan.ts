const CR = 13
const LF = 10
const DOT = 46

/** Properties of a message that matter to a server. */
interface OctetFindings {
  /** There is a CR without LF or an LF without CR (RFC 5321 section 2.3.8). */
  bareLineEnding: boolean
  /** Indexes of the dots at the start of a line. Meaningless if `bareLineEnding`. */
  dots: number[]
  eightBit: boolean
}

/**
 * Checks four bytes at a time: one subtraction and a mask rule out control characters and octets above 127, which nearly
 * all words of a message don't have.
 */
export function scanOctets(bytes: Uint8Array): OctetFindings {
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
function scanBytes(bytes: Uint8Array, from: number, to: number, dots: number[]): boolean {
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
