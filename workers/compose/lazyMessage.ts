import { base64Length, base64Parts } from './base64.js'
import type { BufferLease } from './bufferPool.js'

/** A part of a message: octets as they are sent, or the octets of an attachment, which are sent as base64. */
export type LazyPiece = Buffer | { attached: Uint8Array }

/**
 * A composed message whose large attachments are encoded part by part as it is sent, so that their text is never in memory
 * as a whole. It has no dots at the start of a line and is ASCII, unless `transparent` is false.
 */
export class LazyMessage {
  /** Length in octets. */
  readonly length: number
  readonly transparent: boolean
  readonly lease: BufferLease | undefined
  readonly #pieces: readonly LazyPiece[]

  /**
   * @param pieces the first has the whole header, and the last has the end of the last line; a piece never ends between CR and LF
   * @param lease of the memory of the pieces
   */
  constructor(pieces: readonly LazyPiece[], transparent: boolean, lease?: BufferLease) {
    this.length = pieces.reduce((sum, piece) => sum + lengthOf(piece), 0)
    this.transparent = transparent
    this.lease = lease
    this.#pieces = pieces
  }

  /** The octets in front of the first large attachment, with the whole header. */
  get beginning(): Buffer {
    return this.#pieces[0] as Buffer
  }

  /** The message as a whole, for transports that need it so. */
  get bytes(): Buffer {
    const bytes = Buffer.allocUnsafeSlow(this.length)
    let at = 0
    for (const part of this) at += part.copy(bytes, at)
    return bytes
  }

  /** Yields the message. Each part is valid until the next is asked for, and none ends between CR and LF. */
  *[Symbol.iterator](): Generator<Buffer> {
    for (const piece of this.#pieces) {
      if (Buffer.isBuffer(piece)) yield piece
      else yield* base64Parts(piece.attached)
    }
  }

  /** Returns the message with another lease of the memory of its pieces. */
  withLease(lease: BufferLease): LazyMessage {
    return new LazyMessage(this.#pieces, this.transparent, lease)
  }

  /** Returns the message with further header fields in front. */
  withFields(fields: Buffer): LazyMessage {
    return new LazyMessage([fields, ...this.#pieces], this.transparent, this.lease)
  }

  /** Splits off the last octet. */
  splitLast(): [front: LazyMessage, last: Buffer] {
    const last = this.#pieces.at(-1) as Buffer
    const front = [...this.#pieces.slice(0, -1), last.subarray(0, -1)]
    return [new LazyMessage(front, this.transparent, this.lease), last.subarray(-1)]
  }
}

function lengthOf(piece: LazyPiece): number {
  return Buffer.isBuffer(piece) ? piece.length : base64Length(piece.attached.length)
}
