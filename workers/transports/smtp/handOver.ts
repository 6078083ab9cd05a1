import type { Socket } from 'node:net'
import type { LazyMessage } from '../../compose/lazyMessage.js'

/** Longest message that shares one write with its end, in octets: the send buffer of a socket takes it at once. */
const SINGLE_WRITE = 65_536

/**
 * Hands one message over: its bytes, and its end, without which the server can't take it (the final dot; or a last BDAT
 * chunk, RFC 3030).
 *
 *     start() ──────► body ── the kernel has all of it ──► end ── the kernel has it, too ──► flushed
 *              a short message begins here ───────────────►
 *
 * Once the write of the end has begun, nothing that the socket does proves that the end has not left: the kernel may have
 * taken it and not the bytes behind it in the same write, and then the server's reply is read before the write's callback
 * runs. Only an end whose write has not begun is certainly still in this process. So the end of a long message is not
 * written before the kernel has taken everything in front of it.
 *
 * A transaction keeps its `HandOver` (`Transaction.enterBody`), so that it knows whether it may have been sent.
 */
export class HandOver {
  #endBegun = false
  #flushed = false
  #stopped = false
  #onFlushed: (() => void) | undefined
  readonly #socket: Socket
  readonly #writeEnd: () => Buffer

  /** @param end returns the end, and what follows it in the same write; called right before that write */
  constructor(socket: Socket, end: () => Buffer) {
    this.#socket = socket
    this.#writeEnd = end
  }

  /** Whether the message may have left this process as a whole. */
  get endBegun(): boolean {
    return this.#endBegun
  }

  /** Whether the kernel has taken every byte, so that nothing reads them again. */
  get flushed(): boolean {
    return this.#flushed
  }

  /**
   * @param message without its end
   * @param onFlushed called when the kernel has taken every byte
   */
  start(message: Buffer | LazyMessage, onFlushed?: () => void): void {
    this.#onFlushed = onFlushed
    if (!Buffer.isBuffer(message)) this.#writeParts(message[Symbol.iterator]())
    else if (message.length > SINGLE_WRITE) this.#writeParts([message].values())
    else {
      this.#socket.cork()
      this.#socket.write(message)
      this.#startEnd()
      this.#socket.uncork()
    }
  }

  /** Never begins the end, unless that has begun. */
  stop(): void {
    this.#stopped = true
  }

  /** Writes the next part when the kernel has taken the one before. */
  #writeParts(parts: Iterator<Buffer>): void {
    const part = parts.next()
    if (part.done === true) this.#startEnd()
    else
      this.#socket.write(part.value, (error) => {
        if (!error && !this.#socket.destroyed && !this.#stopped) this.#writeParts(parts)
      })
  }

  #startEnd(): void {
    const end = this.#writeEnd()
    this.#endBegun = true
    this.#socket.write(end, (error) => {
      if (error) return
      this.#flushed = true
      this.#onFlushed?.()
    })
  }
}
