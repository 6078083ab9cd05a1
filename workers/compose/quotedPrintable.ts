import { BufferPool } from './bufferPool.js'

/**
 * A body as a row of pieces. A number is an index into the constants, which are the same for every message of a template;
 * a string is a value of this message.
 */
export interface PieceRow {
  constants: readonly string[]
  row: readonly (number | string)[]
}

/** A line has at most 76 characters, including the `=` of a soft line break (RFC 2045 section 6.7). */
const LAST_COLUMN = 75
const CR = 13
const LF = 10
const EQUALS = 61
const DOT = 46
const HEX = Buffer.from('0123456789ABCDEF')

const ESCAPED = 0
const LITERAL = 1
const SPACE = 2
const BREAK = 3
const STOP = 4
const KINDS = Uint8Array.from({ length: 256 }, (_, octet) => {
  if (octet === CR || octet === LF) return BREAK
  if (octet === 9 || octet === 32) return SPACE
  if (octet === DOT) return STOP
  return octet > 32 && octet < 127 && octet !== EQUALS ? LITERAL : ESCAPED
})

/** Length up to which copying a value in JavaScript is faster than a call to the native encoder. */
const SHORT = 48

/** Writes a short text in UTF-8. @returns its length in octets */
function writeShort(input: Buffer, text: string): number {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code > 127) return input.write(text, 0, 'utf8')
    input[at] = code
  }
  return text.length
}

interface Constant {
  octets: Buffer
  endColumn: number
  /** It can follow at any column without a soft line break. */
  beginsWithBreak: boolean
}

/**
 * Encodes text as quoted-printable. All line endings become CRLF, and no line starts with a dot, so that SMTP needs no dot
 * stuffing.
 *
 * A constant is encoded once, as if at the start of a line. A soft line break precedes it unless it starts a line anyway;
 * a value continues where the constant before it ended. A space at the end of a piece is always encoded, because a line
 * may end there.
 */
export class QuotedPrintableWriter {
  readonly #out: BufferPool
  #column = 0
  #input: Buffer = Buffer.allocUnsafeSlow(4 * 1024)

  constructor(out: BufferPool) {
    this.#out = out
  }

  /** Writes a complete body. */
  body(body: string | PieceRow): void {
    this.#column = 0
    if (typeof body === 'string') {
      this.#text(body)
      return
    }
    const encodings = encodingsOf(body.constants)
    for (const piece of body.row) {
      if (typeof piece === 'string') this.#text(piece)
      else this.#constant((encodings[piece] ??= encodeOnce(body.constants[piece] ?? '')))
    }
  }

  get column(): number {
    return this.#column
  }

  #constant({ octets, endColumn, beginsWithBreak }: Constant): void {
    if (octets.length === 0) return
    if (this.#column > 0 && !beginsWithBreak) {
      this.#out.reserve(3)
      this.#softBreak(this.#out.bytes, this.#out.length)
      this.#out.length += 3
    }
    this.#out.writeBytes(octets)
    this.#column = endColumn
  }

  #softBreak(bytes: Buffer, at: number): void {
    bytes[at] = EQUALS
    bytes[at + 1] = CR
    bytes[at + 2] = LF
  }

  #text(text: string): void {
    if (text === '') return
    if (this.#input.length < text.length * 3) this.#input = Buffer.allocUnsafeSlow(text.length * 3)
    const input = this.#input
    const end = text.length <= SHORT ? writeShort(input, text) : input.write(text, 0, 'utf8')
    // At most three characters per octet, and a soft line break every 25 octets.
    this.#out.reserve(end * 3 + (Math.ceil(end / 25) + 1) * 3)
    const { bytes } = this.#out
    let to = this.#out.length
    let column = this.#column
    for (let at = 0; at < end; at++) {
      const octet = input[at]!
      const kind = KINDS[octet]!
      if (kind === BREAK) {
        if (octet === CR && at + 1 < end && input[at + 1] === LF) at++
        bytes[to++] = CR
        bytes[to++] = LF
        column = 0
        continue
      }
      const literal =
        kind === LITERAL ||
        (kind === SPACE && at + 1 < end && KINDS[input[at + 1]!] !== BREAK) ||
        (kind === STOP && column > 0 && column < LAST_COLUMN)
      if (column + (literal ? 1 : 3) > LAST_COLUMN) {
        this.#softBreak(bytes, to)
        to += 3
        column = 0
      }
      if (literal) {
        bytes[to++] = octet
        column++
      } else {
        bytes[to++] = EQUALS
        bytes[to++] = HEX[octet >> 4]!
        bytes[to++] = HEX[octet & 15]!
        column += 3
      }
    }
    this.#out.length = to
    this.#column = column
  }
}

const scratch = new BufferPool()

/** Encoded constants, by the identity of a template's array of constants, which never changes. */
const encoded = new WeakMap<readonly string[], (Constant | undefined)[]>()

function encodingsOf(constants: readonly string[]): (Constant | undefined)[] {
  const known = encoded.get(constants)
  if (known !== undefined) return known
  const fresh: (Constant | undefined)[] = []
  encoded.set(constants, fresh)
  return fresh
}

function encodeOnce(text: string): Constant {
  scratch.clear()
  const writer = new QuotedPrintableWriter(scratch)
  writer.body(text)
  const octets = Buffer.from(scratch.take().bytes)
  return { octets, endColumn: writer.column, beginsWithBreak: /^[\r\n]/.test(text) }
}
