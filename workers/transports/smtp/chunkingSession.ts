import type { SmtpReply } from '../../../src/protocol/outcome.js'
import type { SmtpTransport } from '../../../src/protocol/transportConfig.js'
import type { CloseReason } from '../sendResults.js'
import type { OpenConnection } from './connect.js'
import { HandOver } from './handOver.js'
import { splitLast } from './mailData.js'
import { PipelineDepth } from './pipelineDepth.js'
import { MAX_RESETS, SessionLifecycle } from './sessionLifecycle.js'
import type { SessionOwner } from './sessionOwner.js'
import type { Transaction } from './transaction.js'

/** How long a server that answered 421 may take for each message in flight, or to close, in ms. */
const CLOSING_TIMEOUT = 5_000

/** A message that was written, as a whole or in part, and whose last reply is outstanding. */
interface Flight {
  transaction: Transaction
  handOver: HandOver
  /** RSET precedes its envelope, and the reply to that is outstanding. */
  awaitsReset: boolean
  startedAt: number
  /** As many messages were in flight as the depth allows. */
  full: boolean
}

/**
 * Runs mail transactions over a connection with PIPELINING (RFC 2920) and CHUNKING (RFC 3030). A message is one group of
 * commands, which nothing interrupts: `MAIL`, `RCPT` …, `BDAT n LAST`, and n octets, as they are. So several messages are
 * in flight, and a connection sends more than one per round trip. See {@link PipelineDepth} for how many.
 *
 *     advance(): while there is room and the kernel has taken everything
 *        │
 *        ▼  [RSET] MAIL RCPT … BDAT n LAST octets
 *     in flight: │ first │ second │ … │ ◄── replies belong to the first, in the order of its commands
 *                    │ the reply to BDAT
 *                    ▼
 *                  settled, and the next one is the first
 *
 * A message enters the phase `body` before the write that carries its last octet. The RSET in front of an envelope makes
 * each message independent of those before it: after a refusal the server's state is undefined (RFC 3030 section 2).
 *
 * When the session ends, each message in flight is settled by itself: it is uncertain if the write of its last octet has
 * begun (`HandOver`) and the server has not refused it, and certainly not sent otherwise (`Transaction.mayBeSent`). A server
 * whose last word is a 421 or the refusal of RSET, and that then closes, has executed nothing behind it (RFC 5321 section 3.8).
 * But some servers answer a single recipient with 421, go on, and accept the messages behind it. So after a 421 nothing more is
 * handed over, and the replies to what has been are read until the server closes, or for `CLOSING_TIMEOUT` per message.
 */
export class ChunkingSession extends SessionLifecycle {
  readonly #depth: PipelineDepth
  /** At most a handful. */
  readonly #inFlight: Flight[] = []
  /** The server may hold a transaction without a message. */
  #needsReset = false
  /** Messages of which the server took no recipient: it may count the RSET behind each. */
  #refusals = 0
  /** The server refused RSET. The commands behind it may have any effect, if it executes them. */
  #resetRefused = false
  /** The server answered a command with 421. */
  #closing = false
  /** The last reply was a 421, or refused RSET. */
  #lastWord = false

  constructor(connection: OpenConnection, config: SmtpTransport, owner: SessionOwner) {
    super(connection, config, owner)
    this.#depth = new PipelineDepth(config.pipelineDepth)
    if (this.#depth.current > 1) owner.onDepth(this.#depth.current - 1)
  }

  get busy(): boolean {
    return this.#inFlight.length > 0
  }

  get free(): boolean {
    if (!this.usable) return false
    // Nothing is written behind octets that the kernel has not taken: until then it is known that they were not sent.
    return this.#inFlight.length < this.#room && this.socket.writableLength === 0 && this.#lastFlushed
  }

  /** The number of messages that may be in flight: once the server refuses some, each of them may need one more RSET. */
  get #room(): number {
    const depth = this.#depth.current
    return this.#refusals === 0 ? depth : Math.min(depth, MAX_RESETS + 1 - this.#refusals)
  }

  get #lastFlushed(): boolean {
    return this.#inFlight.at(-1)?.handOver.flushed ?? true
  }

  advance(): void {
    if (this.#closing) return
    while (this.free) if (!this.#startNext()) break
    if (!this.busy) this.becomeIdle()
  }

  /** @returns whether there was a transaction to start */
  #startNext(): boolean {
    const next = this.takeNext(this.busy, 'BDAT')
    if (next === undefined) return false
    const reset = this.busy || this.#needsReset
    this.#needsReset = false
    this.#write(next.transaction, `${reset ? 'RSET\r\n' : ''}${next.commands.join('')}`, reset)
    return true
  }

  #write(transaction: Transaction, commands: string, awaitsReset: boolean): void {
    const [front, last] = splitLast(transaction.data)
    const handOver = new HandOver(this.socket, () => last)
    const full = this.#inFlight.length + 1 >= this.#depth.current
    this.#inFlight.push({ transaction, handOver, awaitsReset, startedAt: performance.now(), full })
    if (this.#inFlight.length === 1) this.#startTimer()
    transaction.enterBody(handOver)
    this.socket.cork()
    this.socket.write(commands, 'utf8')
    handOver.start(front, () => this.advance())
    this.socket.uncork()
  }

  protected onReply(reply: SmtpReply): void {
    const [first] = this.#inFlight
    if (first === undefined) {
      this.end(this.quitting || reply.code === 421 ? 'closed' : 'invalid')
      return
    }
    this.#lastWord = reply.code === 421
    if (reply.code === 421 && !this.#closing) this.#onServiceClosing()
    this.#onFlightReply(first, reply)
    // Nothing that was handed over waits for a reply.
    if (this.#closing && this.#inFlight[0]?.handOver.endBegun !== true) this.end('closed')
  }

  protected afterReplies(): void {
    this.advance()
  }

  #onFlightReply(flight: Flight, reply: SmtpReply): void {
    const { transaction, handOver } = flight
    if (this.#resetRefused) {
      this.end('invalid')
      return
    }
    if (flight.awaitsReset) {
      flight.awaitsReset = false
      if (reply.code >= 400) this.#resetRefused = this.quitting = this.#lastWord = true
      else if (reply.code >= 300) this.end('invalid')
      return
    }
    // A server can't accept a message whose end is still in this process.
    if (transaction.awaitsBodyReply && reply.code < 300 && !handOver.endBegun) {
      this.end('invalid')
      return
    }
    const step = transaction.onChunkingReply(reply, this.served)
    if (step === 'next') {
      if (transaction.awaitsBodyReply) this.#startTimer()
      return
    }
    if (step === 'invalid') {
      this.end('invalid')
      return
    }
    this.#settled(flight)
    if (step === 'elsewhere') this.owner.requeue(transaction, true)
    if (step !== 'done') this.quitting = true
    // Refused while still being sent: the rest of the message would delay all others.
    if (!handOver.flushed && reply.code >= 400) this.end('closed')
  }

  /** The first message has its last reply. */
  #settled({ transaction, handOver, startedAt, full }: Flight): void {
    this.#inFlight.shift()
    this.#needsReset = transaction.needsReset
    if (transaction.refused && ++this.#refusals > MAX_RESETS) this.quitting = true
    this.reused = this.served = true
    // The kernel has the bytes, and the server has the message: nothing else reads them, except a further transaction.
    if (handOver.flushed && transaction.remaining.length === 0) transaction.data.lease?.release()
    const before = this.#depth.current
    this.#depth.record(performance.now() - startedAt, full)
    if (this.#depth.current !== before) this.owner.onDepth(this.#depth.current - before)
    if (this.busy) this.#startTimer()
  }

  /** 421: the server closes the connection, whatever command it answers (RFC 5321 section 3.8), or should. */
  #onServiceClosing(): void {
    this.#closing = this.quitting = true
    // Only the last one can be incomplete.
    this.#inFlight.at(-1)?.handOver.stop()
    this.owner.onQuit(this)
    this.#startTimer()
  }

  /** See the comment of the class. */
  protected settleAll(reason: CloseReason): void {
    const flights = this.#inFlight.splice(0)
    const requeued: Transaction[] = []
    for (const [index, { transaction }] of flights.entries()) {
      const concluded = transaction.answered || this.#closing
      if (reason === 'closed' && this.#lastWord && !transaction.answered) transaction.notExecuted()
      if (transaction.mayBeSent) transaction.onClose(reason)
      else if (index === 0 && concluded && transaction.deservesFreshConnection(this.served))
        this.owner.requeue(transaction, true)
      else if (index > 0 || (reason === 'closed' && this.reused && !transaction.answered))
        requeued.push(transaction)
      else transaction.onClose(reason)
    }
    for (const transaction of requeued.reverse()) this.owner.requeue(transaction)
    if (this.#depth.current > 1) this.owner.onDepth(1 - this.#depth.current)
  }

  /** The limits hold for the first message: the server answers in order. */
  #startTimer(): void {
    const transaction = this.#inFlight[0]?.transaction
    const { envelope, body } = this.config.timeouts
    const timeout = transaction?.awaitsBodyReply === true ? body : envelope
    this.setDeadline(this.#closing ? Math.min(timeout, CLOSING_TIMEOUT) : timeout, transaction?.deadline)
  }
}
