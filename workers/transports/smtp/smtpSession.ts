import type { SmtpReply } from '../../../src/protocol/outcome.js'
import type { SmtpTransport } from '../../../src/protocol/transportConfig.js'
import type { CloseReason } from '../sendResults.js'
import type { OpenConnection } from './connect.js'
import { HandOver } from './handOver.js'
import { dotStuffed, FINAL_DOT } from './mailData.js'
import { MAX_RESETS, SessionLifecycle } from './sessionLifecycle.js'
import type { SessionOwner } from './sessionOwner.js'
import type { Transaction } from './transaction.js'

/** The commands of one session's current envelope that are still to be written. */
class EnvelopeCommands {
  readonly #pipelining: boolean
  #commands: string[] = []
  #resets = 0
  /** The server holds a transaction without a message: RSET must precede the next envelope. */
  needsReset = false
  /** RSET was written, and its reply is the next one. */
  awaitsReset = false

  /** @param pipelining all commands are one write; otherwise each waits for the reply to the one before */
  constructor(pipelining: boolean) {
    this.#pipelining = pipelining
  }

  /** Whether the next envelope would need one RSET too many. */
  get exhausted(): boolean {
    return this.needsReset && this.#resets >= MAX_RESETS
  }

  /** Begins an envelope. Returns the commands to write now. */
  begin(commands: string[]): Buffer {
    this.#commands = commands
    if (this.needsReset) {
      this.needsReset = false
      this.awaitsReset = true
      this.#resets++
      this.#commands.unshift('RSET\r\n')
    }
    return this.next() ?? Buffer.alloc(0)
  }

  /** Returns the commands to write now; undefined if all were written. */
  next(): Buffer | undefined {
    if (this.#commands.length === 0) return undefined
    const text = this.#pipelining ? this.#commands.splice(0).join('') : (this.#commands.shift() ?? '')
    return Buffer.from(text, 'utf8')
  }

  /** Drops the remaining recipients: DATA, the last command, comes next. */
  skipToData(): void {
    this.#commands.splice(0, this.#commands.length - 1)
  }
}

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
 * about the session: the session quits, and the message is tried once on a fresh connection. It also quits after `MAX_RESETS`.
 */
export class SmtpSession extends SessionLifecycle {
  readonly #commands: EnvelopeCommands

  #inEnvelope: Transaction | undefined
  #inBody: Transaction | undefined
  #handOver: HandOver | undefined

  constructor(connection: OpenConnection, config: SmtpTransport, owner: SessionOwner) {
    super(connection, config, owner)
    this.#commands = new EnvelopeCommands(connection.extensions.pipelining)
  }

  /** Starts the owner's next transaction if possible. The owner calls this whenever one may be waiting. */
  advance(): void {
    const envelope = this.free ? this.#startNext(this.#inBody !== undefined) : undefined
    if (envelope !== undefined) this.socket.write(envelope)
    else if (!this.busy) this.becomeIdle()
  }

  get busy(): boolean {
    return this.#inEnvelope !== undefined || this.#inBody !== undefined
  }

  /** Whether an envelope could be written at once. */
  get free(): boolean {
    if (!this.usable || this.#inEnvelope !== undefined) return false
    // Commands in front of the final dot would become a part of the message.
    return this.#inBody === undefined || (this.extensions.pipelining && this.#endBegun)
  }

  get #endBegun(): boolean {
    return this.#handOver?.endBegun === true
  }

  /** Moves the next transaction into `envelope`. Returns the commands to write now: all of them, or the first. */
  #startNext(pipelined: boolean): Buffer | undefined {
    if ((pipelined && !this.extensions.pipelining) || this.left === 0) return undefined
    const next = this.takeNext(pipelined)
    if (next === undefined) return undefined
    this.#inEnvelope = next.transaction
    if (!pipelined) this.#startTimer(this.config.timeouts.envelope)
    return this.#commands.begin(next.commands)
  }

  protected onReply(reply: SmtpReply): void {
    if (reply.code === 421) this.#onServiceClosing(reply)
    else if (this.#inBody !== undefined) this.#onBodyReply(this.#inBody, reply)
    else if (this.#commands.awaitsReset) this.#onResetReply(reply)
    else if (this.#inEnvelope !== undefined) this.#onEnvelopeReply(this.#inEnvelope, reply)
    else this.end(this.quitting ? 'closed' : 'invalid')
  }

  protected afterReplies(): void {
    // Whatever a reply allows was begun as it was handled.
  }

  #onBodyReply(transaction: Transaction, reply: SmtpReply): void {
    // A server can't accept a message whose end is still in this process.
    if (reply.code < 300 ? !this.#endBegun : reply.code < 400) {
      this.end('invalid')
      return
    }
    const flushed = this.#handOver?.flushed === true
    this.#inBody = this.#handOver = undefined
    this.reused = this.served = true
    transaction.onBodyReply(reply)
    // The kernel has the bytes, and the server has the message: nothing else reads them, except a further transaction.
    if (flushed && transaction.remaining.length === 0) transaction.data.lease?.release()
    // Refused while still being sent: the server would take the rest of the message for commands.
    if (reply.code >= 400 && !flushed) this.end('closed')
    else if (this.#inEnvelope !== undefined) this.#startTimer(this.config.timeouts.envelope)
    else this.advance()
  }

  #onResetReply({ code }: SmtpReply): void {
    this.#commands.awaitsReset = false
    if (code >= 300) this.end('closed')
    else this.#writeNextCommand()
  }

  #onEnvelopeReply(transaction: Transaction, reply: SmtpReply): void {
    const step = transaction.onEnvelopeReply(reply, !this.extensions.pipelining, this.served)
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
        if (!this.replies.empty) this.end('invalid')
        else if (step === 'data') this.#sendBody(transaction)
        else this.socket.write(FINAL_DOT)
        return
      case 'done':
        this.#inEnvelope = undefined
        this.#commands.needsReset = transaction.needsReset
        this.reused = true
        if (this.#commands.exhausted) this.quitting = true
        this.advance()
        return
      case 'elsewhere':
      case 'unusable':
        this.#inEnvelope = undefined
        this.quitting = true
        if (step === 'elsewhere') this.owner.requeue(transaction, true)
        this.becomeIdle()
        return
      case 'invalid':
        this.end('invalid')
    }
  }

  #writeNextCommand(): void {
    const commands = this.#commands.next()
    if (commands !== undefined) this.socket.write(commands)
  }

  #sendBody(transaction: Transaction): void {
    this.#inEnvelope = undefined
    this.#inBody = transaction
    this.#startTimer(this.config.timeouts.body)
    this.#handOver = new HandOver(this.socket, () => {
      const envelope = this.#startNext(true)
      return envelope === undefined ? FINAL_DOT : Buffer.concat([FINAL_DOT, envelope])
    })
    transaction.enterBody(this.#handOver)
    this.#handOver.start(dotStuffed(transaction.data))
  }

  /** 421: the server closes the connection, whatever command it answers (RFC 5321 section 3.8). */
  #onServiceClosing(reply: SmtpReply): void {
    const inBody = this.#inBody
    const inEnvelope = this.#inEnvelope
    if (inBody !== undefined) {
      this.#inBody = undefined
      this.reused = this.served = true
      inBody.onBodyReply(reply)
    } else if (inEnvelope?.deservesFreshConnection(this.served) === true) {
      this.#inEnvelope = undefined
      this.owner.requeue(inEnvelope, true)
    } else if (inEnvelope !== undefined && (inEnvelope.answered || !this.reused)) {
      this.#inEnvelope = undefined
      inEnvelope.onServiceClosing(reply)
    }
    this.end('closed')
  }

  /** See the comment of the class. */
  protected settleAll(reason: CloseReason): void {
    const inBody = this.#inBody
    const inEnvelope = this.#inEnvelope
    this.#inBody = this.#inEnvelope = undefined
    if (inBody !== undefined) inBody.onClose(reason)
    if (inEnvelope !== undefined) {
      const unanswered = reason === 'closed' && this.reused && !inEnvelope.answered
      if (inBody === undefined && inEnvelope.answered && inEnvelope.deservesFreshConnection(this.served))
        this.owner.requeue(inEnvelope, true)
      else if (inBody !== undefined || unanswered) this.owner.requeue(inEnvelope)
      else inEnvelope.onClose(reason)
    }
  }

  #startTimer(timeout: number): void {
    this.setDeadline(timeout, (this.#inBody ?? this.#inEnvelope)?.deadline)
  }
}
