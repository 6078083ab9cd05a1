import type { Socket } from 'node:net'
import type { SmtpReply } from '../../../src/protocol/outcome.js'
import type { SmtpTransport } from '../../../src/protocol/transportConfig.js'
import type { CloseReason } from '../sendResults.js'
import type { Extensions, OpenConnection } from './connect.js'
import { DeadlineTimer } from './deadlineTimer.js'
import { ReplyReader } from './reply.js'
import { QUIT_TIMEOUT, type Session, type SessionOwner } from './sessionOwner.js'
import type { Transaction } from './transaction.js'

/**
 * RSETs after messages that the server refused, before a session ends with QUIT. Exim drops the connection at the eleventh, without
 * an answer to what was written behind it.
 */
export const MAX_RESETS = 8

/**
 * Holds the life of a session outside its transactions, which subclasses run: replies, deadlines, idling, QUIT, and a
 * single end.
 *
 *     in use ◄────► idle ──── quit(), idle for too long, or no messages left: QUIT ────► quitting ────► ended
 *
 * From every state, a close, an invalid reply or a timeout leads to `ended`.
 */
export abstract class SessionLifecycle implements Session {
  readonly extensions: Extensions
  protected readonly socket: Socket
  protected readonly config: SmtpTransport
  protected readonly owner: SessionOwner
  protected readonly ehloName: string
  protected readonly replies = new ReplyReader()
  /** Number of transactions that it may still begin. */
  protected left: number
  /** A message was answered after its last octet. */
  protected served = false
  /** The connection has been idle or has served: it may have died unnoticed. */
  protected reused = false
  protected quitting = false
  readonly #timer = new DeadlineTimer(() => this.#onTimeout())
  #ended = false

  constructor({ socket, extensions, ehloName }: OpenConnection, config: SmtpTransport, owner: SessionOwner) {
    this.extensions = extensions
    this.socket = socket
    this.config = config
    this.owner = owner
    this.ehloName = ehloName
    this.left = config.messagesPerConnection
    socket.on('data', (chunk: Buffer) => this.#receive(chunk))
    for (const event of ['end', 'close', 'error']) socket.on(event, () => this.end('closed'))
  }

  abstract get busy(): boolean
  abstract get free(): boolean
  abstract advance(): void

  /** Handles one reply. */
  protected abstract onReply(reply: SmtpReply): void
  /** Called when every reply that has arrived was handled. */
  protected abstract afterReplies(): void
  /** Settles or requeues every message in progress: the session has ended. */
  protected abstract settleAll(reason: CloseReason): void

  /** Sends QUIT once no transaction is in progress, and closes (RFC 5321 section 4.1.1.10). */
  quit(): void {
    if (this.quitting || this.#ended) return
    this.quitting = true
    if (!this.busy) this.#sendQuit()
  }

  /** Closes the connection immediately. */
  abort(): void {
    this.end('closed')
  }

  /** Whether it may begin another transaction at all. */
  protected get usable(): boolean {
    return !this.#ended && !this.quitting && this.left > 0
  }

  /** Takes the owner's next message that has commands, and returns them with it. Counts it. */
  protected takeNext(
    pipelined: boolean,
    body?: 'BDAT',
  ): { transaction: Transaction; commands: string[] } | undefined {
    for (;;) {
      const transaction = this.owner.takeNext(pipelined, pipelined || this.served)
      if (transaction === undefined) return undefined
      const commands = transaction.begin(this.extensions, this.ehloName, body)
      if (commands === undefined) continue
      this.left--
      return { transaction, commands }
    }
  }

  /** Ends the session unless the server answers within the timeout (ms), and by the transaction's own deadline. */
  protected setDeadline(timeout: number, deadline = Infinity): void {
    this.#timer.set(Math.min(performance.now() + timeout, deadline))
  }

  /** Nothing is in progress. */
  protected becomeIdle(): void {
    if (this.#ended) return
    if (this.quitting || this.left === 0) {
      this.#sendQuit()
      return
    }
    this.reused = true
    this.setDeadline(this.config.timeouts.idle)
    this.owner.onIdle(this)
  }

  /** The only place where a session ends. */
  protected end(reason: CloseReason): void {
    if (this.#ended) return
    this.#ended = true
    this.#timer.stop()
    this.socket.on('error', () => undefined)
    this.socket.destroy()
    this.settleAll(reason)
    this.owner.onEnd(this)
  }

  #receive(chunk: Buffer): void {
    if (this.#ended) return
    this.replies.feed(chunk)
    for (let reply = this.replies.next(); reply !== undefined; reply = this.replies.next()) {
      if (reply === 'garbage') this.end('invalid')
      else this.onReply(reply)
      if (this.#isEnded()) return
    }
    this.afterReplies()
  }

  #onTimeout(): void {
    if (this.busy) this.end('timeout')
    else if (this.quitting) this.end('closed')
    else this.quit()
  }

  #sendQuit(): void {
    if (this.socket.writableEnded) return
    this.quitting = true
    this.owner.onQuit(this)
    this.setDeadline(QUIT_TIMEOUT)
    this.socket.end('QUIT\r\n')
  }

  /** A method, because TypeScript would narrow the field across the calls that may end the session. */
  #isEnded(): boolean {
    return this.#ended
  }
}
