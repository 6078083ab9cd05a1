import type { Socket } from 'node:net'
import type { SmtpReply } from '../../../src/protocol/outcome.js'
import type { SmtpTransport } from '../../../src/protocol/transportConfig.js'
import type { CloseReason } from '../sendResults.js'
import type { Extensions, OpenConnection } from './connect.js'
import { DeadlineTimer } from './deadlineTimer.js'
import { EnvelopeCommands } from './envelopeCommands.js'
import { HandOver } from './handOver.js'
import { dotStuffed, FINAL_DOT } from './mailData.js'
import { ReplyReader } from './reply.js'
import { QUIT_TIMEOUT, type Session, type SessionOwner } from './sessionOwner.js'
import type { Transaction } from './transaction.js'

/**
 * Runs mail transactions over one connection that is greeted, encrypted and authenticated (`connect()`).
 *
 *     ┌────────────────► idle ──── quit(), or idle for too long: QUIT ────► quitting ────► ended
 *     │                    │ startNext(): [RSET] MAIL, RCPT …, DATA         From every state, a close, an invalid reply
 *     │                    ▼                                               or a 421 leads to ended; from envelope and
 *     ├─ refused ───── envelope ◄───────────────────────┐                  body a timeout does, too.
 *     │                    │ 354: sendBody()            │ final reply, the next envelope is in flight
 *     │                    ▼                            │
 *     └─ final reply ─── body ──────────────────────────┘
 *
 * With PIPELINING (RFC 2920) an envelope is one write, and the next message's envelope joins the write that carries the
 * final dot: one round trip per message. Without it, each command waits for the reply to the one before. DATA ends a
 * group of commands, so at most one message is in `body` and one in `envelope`. Replies belong, in this order, to the
 * message in `body`, to RSET, to the message in `envelope`.
 *
 * The phase `body` is set right before the message is written. When the session ends, a message in `body` is uncertain
 * if the write of its final dot has begun (`HandOver`), and not sent otherwise. A message in `envelope`
 * is not sent: it is requeued if another message is in `body`, or if a reused connection closed before it answered any
 * command; otherwise the attempt is deferred. If the session has served messages and refuses MAIL, the refusal may be
 * about the session: the session quits, and the message is tried once on a fresh connection.
 */
export class SmtpSession implements Session {
  readonly extensions: Extensions
  readonly #socket: Socket
  readonly #config: SmtpTransport
  readonly #owner: SessionOwner
  readonly #replies = new ReplyReader()
  readonly #timer = new DeadlineTimer(() => this.#onTimeout())

  readonly #ehloName: string
  readonly #commands: EnvelopeCommands

  #inEnvelope: Transaction | undefined
  #inBody: Transaction | undefined
  #handOver: HandOver | undefined
  /** Number of transactions that it may still begin. */
  #left: number
  /** A message was answered after its final dot. */
  #served = false
  /** The connection has been idle or has served: it may have died unnoticed. */
  #reused = false
  #ended = false
  #quitting = false

  constructor(connection: OpenConnection, config: SmtpTransport, owner: SessionOwner) {
    const { socket, extensions, ehloName } = connection
    this.extensions = extensions
    this.#commands = new EnvelopeCommands(extensions.pipelining)
    this.#socket = socket
    this.#ehloName = ehloName
    this.#config = config
    this.#left = config.messagesPerConnection
    this.#owner = owner
    socket.on('data', (chunk: Buffer) => this.#receive(chunk))
    for (const event of ['end', 'close', 'error']) socket.on(event, () => this.#end('closed'))
  }

  /** Starts the owner's next transaction if possible. The owner calls this whenever one may be waiting. */
  advance(): void {
    const envelope = this.free ? this.#startNext(this.#inBody !== undefined) : undefined
    if (envelope !== undefined) this.#socket.write(envelope)
    else if (!this.busy && !this.#ended) this.#becomeIdle()
  }

  get busy(): boolean {
    return this.#inEnvelope !== undefined || this.#inBody !== undefined
  }

  /** Whether an envelope could be written at once. */
  get free(): boolean {
    if (this.#ended || this.#quitting || this.#left === 0 || this.#inEnvelope !== undefined) return false
    // Commands in front of the final dot would become a part of the message.
    return this.#inBody === undefined || (this.extensions.pipelining && this.#endBegun)
  }

  get #endBegun(): boolean {
    return this.#handOver?.endBegun === true
  }

  /** Sends QUIT once no transaction is in progress, and closes (RFC 5321 section 4.1.1.10). */
  quit(): void {
    if (this.#quitting || this.#ended) return
    this.#quitting = true
    if (!this.busy) this.#sendQuit()
  }

  /** Closes the connection immediately. */
  abort(): void {
    this.#end('closed')
  }

  /** Moves the next transaction into `envelope`. Returns the commands to write now: all of them, or the first. */
  #startNext(pipelined: boolean): Buffer | undefined {
    if ((pipelined && !this.extensions.pipelining) || this.#left === 0) return undefined
    let commands: string[] | undefined
    let transaction: Transaction | undefined
    while (commands === undefined) {
      transaction = this.#owner.takeNext(pipelined, pipelined || this.#served)
      if (transaction === undefined) return undefined
      commands = transaction.begin(this.extensions, this.#ehloName)
    }
    this.#left--
    this.#inEnvelope = transaction
    if (!pipelined) this.#startTimer(this.#config.timeouts.envelope)
    return this.#commands.begin(commands)
  }

  #receive(chunk: Buffer): void {
    if (this.#ended) return
    this.#replies.feed(chunk)
    for (let reply = this.#replies.next(); reply !== undefined; reply = this.#replies.next()) {
      if (reply === 'garbage') this.#end('invalid')
      else this.#onReply(reply)
      if (this.#isEnded()) return
    }
  }

  #onReply(reply: SmtpReply): void {
    if (reply.code === 421) this.#onServiceClosing(reply)
    else if (this.#inBody !== undefined) this.#onBodyReply(this.#inBody, reply)
    else if (this.#commands.awaitsReset) this.#onResetReply(reply)
    else if (this.#inEnvelope !== undefined) this.#onEnvelopeReply(this.#inEnvelope, reply)
    else this.#end(this.#quitting ? 'closed' : 'invalid')
  }

  #onBodyReply(transaction: Transaction, reply: SmtpReply): void {
    // A server can't accept a message whose end is still in this process.
    if (reply.code < 300 ? !this.#endBegun : reply.code < 400) {
      this.#end('invalid')
      return
    }
    const flushed = this.#handOver?.flushed === true
    this.#inBody = this.#handOver = undefined
    this.#reused = this.#served = true
    transaction.onBodyReply(reply)
    // The kernel has the bytes, and the server has the message: nothing else reads them, except a further transaction.
    if (flushed && transaction.remaining.length === 0) transaction.data.lease?.release()
    // Refused while still being sent: the server would take the rest of the message for commands.
    if (reply.code >= 400 && !flushed) this.#end('closed')
    else if (this.#inEnvelope !== undefined) this.#startTimer(this.#config.timeouts.envelope)
    else this.advance()
  }

  #onResetReply({ code }: SmtpReply): void {
    this.#commands.awaitsReset = false
    if (code >= 300) this.#end('closed')
    else this.#writeNextCommand()
  }

  #onEnvelopeReply(transaction: Transaction, reply: SmtpReply): void {
    const step = transaction.onEnvelopeReply(reply, !this.extensions.pipelining, this.#served)
    switch (step) {
      case 'enough':
        this.#commands.skipToData()
        this.#writeNextCommand()
        return
      case 'next':
        this.#writeNextCommand()
        return
      case 'data':
      case 'empty':
        // A reply that arrives with the 354 can't belong to a message that has not been sent.
        if (!this.#replies.empty) this.#end('invalid')
        else if (step === 'data') this.#sendBody(transaction)
        else this.#socket.write(FINAL_DOT)
        return
      case 'done':
        this.#inEnvelope = undefined
        this.#commands.needsReset = transaction.needsReset
        this.#reused = true
        this.advance()
        return
      case 'elsewhere':
      case 'unusable':
        this.#inEnvelope = undefined
        this.#quitting = true
        if (step === 'elsewhere') this.#owner.requeue(transaction, true)
        this.#becomeIdle()
        return
      case 'invalid':
        this.#end('invalid')
    }
  }

  #writeNextCommand(): void {
    const commands = this.#commands.next()
    if (commands !== undefined) this.#socket.write(commands)
  }

  #sendBody(transaction: Transaction): void {
    this.#inEnvelope = undefined
    this.#inBody = transaction
    this.#startTimer(this.#config.timeouts.body)
    transaction.enterBody()
    this.#handOver = new HandOver(this.#socket, () => {
      const envelope = this.#startNext(true)
      return envelope === undefined ? FINAL_DOT : Buffer.concat([FINAL_DOT, envelope])
    })
    this.#handOver.start(dotStuffed(transaction.data))
  }

  /** 421: the server closes the connection, whatever command it answers (RFC 5321 section 3.8). */
  #onServiceClosing(reply: SmtpReply): void {
    const inBody = this.#inBody
    const inEnvelope = this.#inEnvelope
    if (inBody !== undefined) {
      this.#inBody = undefined
      this.#reused = this.#served = true
      inBody.onBodyReply(reply)
    } else if (inEnvelope?.deservesFreshConnection(this.#served) === true) {
      this.#inEnvelope = undefined
      this.#owner.requeue(inEnvelope, true)
    } else if (inEnvelope !== undefined && (inEnvelope.answered || !this.#reused)) {
      this.#inEnvelope = undefined
      inEnvelope.onServiceClosing(reply)
    }
    this.#end('closed')
  }

  /** The only place where a session ends. Settles or requeues what was in progress (see the table above). */
  #end(reason: CloseReason): void {
    if (this.#ended) return
    this.#ended = true
    this.#timer.stop()
    this.#socket.on('error', () => undefined)
    this.#socket.destroy()
    const inBody = this.#inBody
    const inEnvelope = this.#inEnvelope
    this.#inBody = this.#inEnvelope = undefined
    if (inBody !== undefined) inBody.onClose(reason, this.#endBegun)
    if (inEnvelope !== undefined) {
      const unanswered = reason === 'closed' && this.#reused && !inEnvelope.answered
      if (inBody === undefined && inEnvelope.answered && inEnvelope.deservesFreshConnection(this.#served))
        this.#owner.requeue(inEnvelope, true)
      else if (inBody !== undefined || unanswered) this.#owner.requeue(inEnvelope)
      else inEnvelope.onClose(reason, false)
    }
    this.#owner.onEnd(this)
  }

  #onTimeout(): void {
    if (this.busy) this.#end('timeout')
    else if (this.#quitting) this.#end('closed')
    else this.quit()
  }

  #becomeIdle(): void {
    if (this.#quitting || this.#left === 0) {
      this.#sendQuit()
      return
    }
    this.#reused = true
    this.#timer.set(performance.now() + this.#config.timeouts.idle)
    this.#owner.onIdle(this)
  }

  #sendQuit(): void {
    if (this.#socket.writableEnded) return
    this.#quitting = true
    this.#owner.onQuit(this)
    this.#timer.set(performance.now() + QUIT_TIMEOUT)
    this.#socket.end('QUIT\r\n')
  }

  #startTimer(timeout: number): void {
    const transaction = this.#inBody ?? this.#inEnvelope
    this.#timer.set(Math.min(performance.now() + timeout, transaction?.deadline ?? Infinity))
  }

  /** A method, because TypeScript would narrow the field across the calls that may end the session. */
  #isEnded(): boolean {
    return this.#ended
  }
}
