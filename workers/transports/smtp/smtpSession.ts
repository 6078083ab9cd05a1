import type { Socket } from 'node:net'
import type { SmtpReply } from '../../../src/protocol/outcome.js'
import type { SmtpTimeouts } from '../../../src/protocol/transportConfig.js'
import type { CloseReason } from '../sendResults.js'
import type { Extensions, OpenConnection } from './connect.js'
import { DeadlineTimer } from './deadlineTimer.js'
import { writeMessage, writeEmptyMessage } from './mailData.js'
import { ReplyReader } from './reply.js'
import type { Transaction } from './transaction.js'

/** Whom a session gets its transactions from. */
export interface SessionOwner {
  /**
   * The next transaction, if there is one.
   * @param riding it is to ride behind another's final dot
   */
  take(riding: boolean): Transaction | undefined
  /** It certainly was not sent, through no fault of its own. */
  giveBack(transaction: Transaction): void
  /** The session has nothing left to do. */
  idle(session: SmtpSession): void
  /** The session says goodbye: it takes nothing more. */
  leaving(session: SmtpSession): void
  ended(session: SmtpSession): void
}

/** How long a server may take to answer QUIT and close, in ms. */
const FAREWELL = 1_000

/**
 * Drives mail transactions over one connection. Where the server offers PIPELINING, an envelope is one write, and the
 * next message's envelope rides in the write that carries the final dot (RFC 2920 section 3.1): one round trip a
 * message. Where not, the same steps go one by one.
 *
 * Replies come in the order of what was written, so at any time the next reply belongs to, in this order: the
 * message handed over (`#handedOver`), a RSET (`#resetting`), the envelope that was begun (`#opening`).
 * DATA ends a group of commands, so there is never more than one of each.
 */
export class SmtpSession {
  readonly extensions: Extensions
  readonly #socket: Socket
  readonly #timeouts: SmtpTimeouts
  readonly #owner: SessionOwner
  readonly #replies = new ReplyReader()
  readonly #alarm = new DeadlineTimer(() => this.#overdue())

  #opening: Transaction | undefined
  /** Commands of the envelope that are still to be written: all at once, or one a reply. */
  #commands: string[] = []
  #handedOver: Transaction | undefined
  /** What was handed over is a lone dot: nobody was to get the message. */
  #nothing = false
  /** The final dot has left this process. */
  #flushed = false
  #resetting = false
  /** The server holds a transaction that came to no message: the next envelope must begin with RSET. */
  #resetDue = false
  /** It has been idle or has served: if it turns out to be dead, it died unnoticed. */
  #kept = false
  #ended = false
  #quitting = false

  constructor({ socket, extensions }: OpenConnection, timeouts: SmtpTimeouts, owner: SessionOwner) {
    this.extensions = extensions
    this.#socket = socket
    this.#timeouts = timeouts
    this.#owner = owner
    socket.on('data', (chunk: Buffer) => this.#receive(chunk))
    socket.on('end', () => this.#end('closed'))
    socket.on('close', () => this.#end('closed'))
    socket.on('error', () => this.#end('closed'))
  }

  /** Takes a transaction, if it can begin one now. To be called whenever there may be one. */
  advance(): void {
    const riding = this.#handedOver !== undefined
    const envelope = this.free ? this.#board(riding) : undefined
    if (envelope !== undefined) this.#socket.write(envelope)
    else if (!this.busy && !this.#ended) this.#rest()
  }

  get busy(): boolean {
    return this.#opening !== undefined || this.#handedOver !== undefined
  }

  /** Whether it could begin an envelope at once. */
  get free(): boolean {
    if (this.#ended || this.#quitting || this.#opening !== undefined) return false
    return this.#handedOver === undefined || (this.extensions.pipelining && !this.#nothing)
  }

  /** Says QUIT once nothing is under way, and closes (RFC 5321 section 4.1.1.10). */
  quit(): void {
    if (this.#quitting || this.#ended) return
    this.#quitting = true
    if (!this.busy) this.#farewell()
  }

  /** Ends it where it stands. */
  abort(): void {
    this.#end('closed')
  }

  /** The next transaction's envelope, as far as it is to be written now. */
  #board(riding: boolean): Buffer | undefined {
    if (riding && !this.extensions.pipelining) return undefined
    let commands: string[] | undefined
    let transaction: Transaction | undefined
    while (commands === undefined) {
      transaction = this.#owner.take(riding)
      if (transaction === undefined) return undefined
      commands = transaction.begin(this.extensions)
    }
    this.#opening = transaction
    this.#commands = commands
    if (this.#resetDue) {
      this.#resetDue = false
      this.#resetting = true
      this.#commands.unshift('RSET\r\n')
    }
    if (!riding) this.#await(this.#timeouts.envelope)
    return this.#nextCommands()
  }

  #nextCommands(): Buffer {
    const { pipelining } = this.extensions
    const text = pipelining ? this.#commands.splice(0).join('') : (this.#commands.shift() ?? '')
    return Buffer.from(text, 'utf8')
  }

  #receive(chunk: Buffer): void {
    if (this.#ended) return
    this.#replies.feed(chunk)
    for (let reply = this.#replies.next(); reply !== undefined; reply = this.#replies.next()) {
      if (reply === 'garbage') this.#end('invalid')
      else this.#hear(reply)
      if (this.#isEnded()) return
    }
  }

  #hear(reply: SmtpReply): void {
    if (reply.code === 421) this.#shutDown(reply)
    else if (this.#handedOver !== undefined) this.#hearDelivery(this.#handedOver, reply)
    else if (this.#resetting) this.#hearReset(reply)
    else if (this.#opening !== undefined) this.#hearEnvelope(this.#opening, reply)
    else this.#end(this.#quitting ? 'closed' : 'invalid')
  }

  #hearDelivery(transaction: Transaction, reply: SmtpReply): void {
    const early = !this.#flushed
    // Nothing can be accepted before its end was sent.
    if (reply.code < 300 ? early : reply.code < 400) {
      this.#end('invalid')
      return
    }
    this.#handedOver = undefined
    this.#kept = true
    if (this.#nothing) {
      this.#nothing = false
      this.#resetDue = true
      transaction.deliverNothing(reply)
    } else {
      transaction.deliver(reply)
      // It has left this process, and the server has it: nobody reads these bytes again.
      if (!early) transaction.data.lease?.release()
    }
    // Refused while it was still being sent: the rest of it would be taken for commands.
    if (early) this.#end('closed')
    else if (this.#opening !== undefined) this.#await(this.#timeouts.envelope)
    else this.advance()
  }

  #hearReset({ code }: SmtpReply): void {
    this.#resetting = false
    if (code >= 300) this.#end('closed')
    else this.#continue()
  }

  #hearEnvelope(transaction: Transaction, reply: SmtpReply): void {
    const step = transaction.hear(reply, !this.extensions.pipelining)
    switch (step) {
      case 'next':
        this.#continue()
        return
      case 'data':
      case 'empty':
        // What came along with the 354 can't be an answer to a message that was not sent yet.
        if (this.#replies.empty) this.#handOver(transaction, step === 'empty')
        else this.#end('invalid')
        return
      case 'over':
        this.#opening = undefined
        this.#resetDue = transaction.open
        this.#kept = true
        this.advance()
        return
      case 'invalid':
        this.#end('invalid')
    }
  }

  #continue(): void {
    if (this.#commands.length > 0) this.#socket.write(this.#nextCommands())
  }

  #handOver(transaction: Transaction, nothing: boolean): void {
    this.#opening = undefined
    this.#handedOver = transaction
    this.#nothing = nothing
    this.#flushed = false
    this.#await(this.#timeouts.body)
    const flushed = (): void => {
      if (this.#handedOver === transaction) this.#flushed = true
    }
    if (nothing) {
      writeEmptyMessage(this.#socket, flushed)
      return
    }
    const envelope = this.#board(true)
    transaction.handOver()
    writeMessage(this.#socket, transaction.data.bytes, envelope, flushed)
  }

  /** 421: the server closes the connection, whatever else was asked (RFC 5321 section 3.8). */
  #shutDown(reply: SmtpReply): void {
    const answered = this.#handedOver ?? this.#opening
    if (answered !== undefined && answered === this.#handedOver) {
      this.#handedOver = undefined
      this.#kept = true
      if (this.#nothing) answered.deliverNothing(reply)
      else answered.deliver(reply)
    } else if (answered !== undefined && (answered.heard || !this.#kept)) {
      this.#opening = undefined
      answered.shutDown(reply)
    }
    this.#end('closed')
  }

  /** The one place where a session ends. What was under way is settled by how far it had got. */
  #end(ending: CloseReason): void {
    if (this.#ended) return
    this.#ended = true
    this.#alarm.stop()
    this.#socket.on('error', () => undefined)
    this.#socket.destroy()
    const handedOver = this.#handedOver
    const opening = this.#opening
    this.#handedOver = this.#opening = undefined
    if (handedOver !== undefined) handedOver.lose(ending, this.#flushed && !this.#nothing)
    if (opening !== undefined) {
      const unheard = handedOver !== undefined || (ending === 'closed' && this.#kept && !opening.heard)
      if (unheard) this.#owner.giveBack(opening)
      else opening.lose(ending, false)
    }
    this.#owner.ended(this)
  }

  #overdue(): void {
    if (this.busy) this.#end('timeout')
    else if (this.#quitting) this.#end('closed')
    else this.quit()
  }

  /** Nothing to do: the session is kept for a while, unless it is to quit. */
  #rest(): void {
    if (this.#quitting) {
      this.#farewell()
      return
    }
    this.#kept = true
    this.#alarm.set(performance.now() + this.#timeouts.idle)
    this.#owner.idle(this)
  }

  #farewell(): void {
    if (this.#socket.writableEnded) return
    this.#owner.leaving(this)
    this.#alarm.set(performance.now() + FAREWELL)
    this.#socket.end('QUIT\r\n')
  }

  #await(phase: number): void {
    const transaction = this.#handedOver ?? this.#opening
    this.#alarm.set(Math.min(performance.now() + phase, transaction?.deadline ?? Infinity))
  }

  #isEnded(): boolean {
    return this.#ended
  }
}
