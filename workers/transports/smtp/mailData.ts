import type { Socket } from 'node:net'
import type { BufferLease } from '../../compose/bufferPool.js'

const CR = 13
const LF = 10
const DOT = 46

/** A message in the form in which it follows a server's 354 (RFC 5321 section 4.5.2), all but the final dot. */
export interface MailData {
  /** To be written as it is: every line ends in CRLF, a dot that begins a line is doubled. */
  bytes: Buffer
  /** Octets of the message as RFC 1870 counts them: without the doubled dots. */
  size: number
  /** There are octets above 127 anywhere (RFC 6152). */
  eightBit: boolean
  /** There are octets above 127 in the header (RFC 6531, 6532). */
  utf8Header: boolean
  /** Of the memory in which the bytes stand, if it can be used again. */
  lease?: BufferLease
}

/** A message that is in the form already. */
export function asMailData(message: Buffer, lease?: BufferLease): MailData {
  const data: MailData = { bytes: message, size: message.length, eightBit: false, utf8Header: false }
  if (lease !== undefined) data.lease = lease
  return data
}

/**
 * Brings a message into the form for DATA. CR and LF leave only as CRLF, so that no server can take a part of a
 * message for its end: a CR or an LF alone becomes CRLF. A message without such faults is used as it is.
 */
export function toMailData(message: Buffer): MailData {
  const found = scan(message)
  const text = found.broken || !endsLine(message) ? mend(message) : message
  const dots = text === message ? found.dots : scan(text).dots
  return {
    bytes: dots.length === 0 ? text : stuff(text, dots),
    size: text.length,
    eightBit: found.eightBit,
    utf8Header: found.eightBit && hasEightBitHeader(text),
  }
}

interface Findings {
  /** A CR without LF or an LF without CR. */
  broken: boolean
  /** Places of the dots that begin a line. Of no use if the line ends are broken. */
  dots: number[]
  eightBit: boolean
}

/**
 * Looks at four bytes at a time: nearly all words of a message hold neither a control character nor an octet above
 * 127, which one subtraction and a mask tell.
 */
function scan(bytes: Buffer): Findings {
  const { length } = bytes
  const dots: number[] = bytes[0] === DOT ? [0] : []
  const lead = Math.min(length, (4 - (bytes.byteOffset % 4)) % 4)
  const count = (length - lead) >>> 2
  const words = count === 0 ? NO_WORDS : new Int32Array(bytes.buffer, bytes.byteOffset + lead, count)
  let broken = look(bytes, 0, lead, dots)
  let high = 0
  for (let index = 0; index < count; index++) {
    const word = words[index]!
    high |= word
    // Exact where no octet is above 127; where one is, it may only lead to a needless look.
    if (((word - 0x0e0e0e0e) & ~word & HIGH) !== 0) {
      const at = lead + index * 4
      if (look(bytes, at, at + 4, dots)) broken = true
    }
  }
  const tail = lead + count * 4
  if (look(bytes, tail, length, dots)) broken = true
  for (let at = 0; at < lead; at++) high |= bytes[at]!
  for (let at = tail; at < length; at++) high |= bytes[at]!
  return { broken, dots, eightBit: (high & HIGH) !== 0 }
}

const NO_WORDS = new Int32Array(0)
/** The highest bit of each of four octets, as a signed number. */
const HIGH = 0x80808080 | 0

/** Collects the dots that begin a line. @returns whether a line end is broken */
function look(bytes: Buffer, from: number, to: number, dots: number[]): boolean {
  let broken = false
  for (let at = from; at < to; at++) {
    const byte = bytes[at]!
    if (byte === CR) {
      if (bytes[at + 1] !== LF) broken = true
    } else if (byte === LF) {
      if (at === 0 || bytes[at - 1] !== CR) broken = true
      if (bytes[at + 1] === DOT) dots.push(at + 1)
    }
  }
  return broken
}

function endsLine(bytes: Buffer): boolean {
  return bytes.length >= 2 && bytes[bytes.length - 1] === LF && bytes[bytes.length - 2] === CR
}

/** Every line end becomes CRLF, and the last line gets one. */
function mend(message: Buffer): Buffer {
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

function stuff(text: Buffer, dots: readonly number[]): Buffer {
  const out = Buffer.allocUnsafe(text.length + dots.length)
  let from = 0
  let to = 0
  for (const dot of dots) {
    to += text.copy(out, to, from, dot)
    out[to++] = DOT
    from = dot
  }
  text.copy(out, to, from)
  return out
}

function hasEightBitHeader(text: Buffer): boolean {
  const blank = text.indexOf('\r\n\r\n')
  const end = blank < 0 ? text.length : blank
  for (let at = 0; at < end; at++) if (text[at]! > 127) return true
  return false
}

const FINAL_DOT = Buffer.from('.\r\n')

/**
 * Writes a message, its final dot, and what rides behind that, as one.
 * @param flushed called once the final dot has left this process
 */
export function writeMessage(
  socket: Socket,
  bytes: Buffer,
  envelope: Buffer | undefined,
  flushed: () => void,
): void {
  socket.cork()
  socket.write(bytes)
  writeEnd(socket, envelope, flushed)
  socket.uncork()
}

/** The end of a message without the message: to nobody goes nothing. */
export function writeEmptyMessage(socket: Socket, flushed: () => void): void {
  writeEnd(socket, undefined, flushed)
}

function writeEnd(socket: Socket, envelope: Buffer | undefined, flushed: () => void): void {
  const end = envelope === undefined ? FINAL_DOT : Buffer.concat([FINAL_DOT, envelope])
  socket.write(end, (error) => {
    if (error === undefined || error === null) flushed()
  })
}
