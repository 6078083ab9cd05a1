import { isAsciiText } from '../../../src/protocol/addressForms.js'
import type { SmtpReply } from '../../../src/protocol/outcome.js'
import { type CloseReason, connectionFailed, withdrawn } from '../sendResults.js'
import type { SendResult, Envelope, Progress } from '../transport.js'
import type { Extensions } from './connect.js'
import { envelopeCommands } from './dsnRequest.js'
import type { EnvelopeStep } from './envelopeStep.js'
import type { HandOver } from './handOver.js'
import type { MailData } from './mailData.js'
import { mailParameters, unmetRequirement } from './mailRequirements.js'
import {
  completed,
  connectionLost,
  exceedsRecipientLimit,
  loginRequired,
  withEhloHint,
  withUnreachable,
} from './smtpResults.js'

/**
 * One mail transaction (RFC 5321 section 3.3): its commands, the replies to them, and the result for the message. The
 * session reads and writes; a transaction does no I/O.
 *
 * Once the write of its last octet has begun, only its own replies settle the message; without them it is uncertain. This
 * holds on every path, because the two ways out ask `mayBeSent` themselves: `onClose()` for a result without a final reply,
 * and `requeue()` for another connection.
 */
export class Transaction {
  readonly envelope: Envelope
  data: MailData
  /** Sent in place of `data` to a server without SMTPUTF8. */
  readonly asciiData: MailData | undefined
  readonly progress: Progress
  /** The time at which the attempt must be over, on `performance.now()`'s clock. */
  readonly deadline: number
  readonly createdAt = performance.now()
  /** Number of times it was requeued because its connection closed through no fault of the message. */
  requeues = 0
  /** A used session refused it at MAIL: only a fresh connection takes it. */
  freshOnly = false
  /** The recipients that exceeded the server's limit while others were accepted: a further transaction takes them. */
  remaining: readonly string[] = []
  readonly #fullData: MailData
  /** The recipients that this server can be asked about: without SMTPUTF8, those with ASCII local parts. */
  #to: readonly string[]
  readonly #resolve: (result: SendResult) => void
  #mail: SmtpReply | undefined
  #recipients: SmtpReply[] = []
  #accepted = 0
  /** The server accepted no recipient, yet answered 354: the last reply is the one to the lone dot. */
  #empty = false
  /** Set from the phase `body` on. */
  #handOver: HandOver | undefined
  /** The last reply with 421. */
  #serviceClosing: SmtpReply | undefined
  /** The reply to the last command refused the message, or confirmed an earlier refusal; or it contradicted one. */
  #lastReply: 'refusal' | 'contradiction' | undefined
  #begunAt = 0
  /** The name that the session sent in EHLO. */
  #ehloName = ''

  constructor(
    envelope: Envelope,
    data: MailData,
    progress: Progress,
    deadline: number,
    resolve: (result: SendResult) => void,
    asciiData?: MailData,
  ) {
    this.envelope = envelope
    this.#to = envelope.to
    this.data = this.#fullData = data
    this.asciiData = asciiData
    this.progress = progress
    this.deadline = deadline
    this.#resolve = resolve
  }

  /** Whether the server has answered any of the commands. */
  get answered(): boolean {
    return this.#mail !== undefined
  }

  /**
   * Whether a fresh connection must try the message before the refusal counts: servers end a session that served enough,
   * or whose login has expired, with a refusal at MAIL.
   * @param served the session has served other messages
   */
  deservesFreshConnection(served: boolean): boolean {
    return served && !this.freshOnly && (this.#mail === undefined || this.#mail.code >= 400)
  }

  /** Whether the server may have the message: the write of its last octet has begun, and no reply refuses it. */
  get mayBeSent(): boolean {
    return this.#handOver?.endBegun === true && !this.refused
  }

  /** Whether the server may hold a transaction, so that RSET must precede the next envelope. */
  get needsReset(): boolean {
    return this.#empty || (this.#mail !== undefined && this.#mail.code < 300)
  }

  /**
   * Returns MAIL, one RCPT per recipient, and DATA or BDAT (RFC 3030); or undefined if the message must not be sent, which
   * ends the transaction. From here on the message can't be cancelled and does not expire.
   */
  begin(extensions: Extensions, ehloName: string, last: 'DATA' | 'BDAT' = 'DATA'): string[] | undefined {
    this.#ehloName = ehloName
    this.#to = extensions.smtpUtf8 ? this.envelope.to : this.envelope.to.filter(isAsciiText)
    this.data = extensions.smtpUtf8 ? this.#fullData : (this.asciiData ?? this.#fullData)
    const refusal = unmetRequirement(this.envelope, this.#to, this.data, extensions)
    if (refusal !== undefined) {
      this.#finish(refusal)
      return undefined
    }
    const permit = this.progress.commit()
    if (permit !== 'committed') {
      this.#finish(withdrawn(permit))
      return undefined
    }
    this.#forgetReplies()
    this.#begunAt = performance.now()
    this.progress.enterPhase('envelope')
    const parameters = mailParameters(this.envelope, this.#to, this.data, extensions)
    return [
      ...envelopeCommands(this.envelope, this.#to, extensions, parameters),
      last === 'DATA' ? 'DATA\r\n' : `BDAT ${this.data.size} LAST\r\n`,
    ]
  }

  /**
   * Records the reply to the next command of the envelope.
   * @param stepwise commands are sent one by one, so a refusal ends the transaction without the remaining ones
   * @param served the session has served other messages
   */
  onEnvelopeReply(reply: SmtpReply, stepwise: boolean, served: boolean): EnvelopeStep {
    const { code } = reply
    if (this.#mail === undefined) {
      if (code >= 300 && code < 400) return 'invalid'
      this.#mail = reply
      return stepwise && code >= 400 ? this.#refusedEnvelope(reply, served) : 'next'
    }
    if (this.#recipients.length < this.#to.length) {
      if (code >= 300 && code < 400) return 'invalid'
      this.#recipients.push(reply)
      if (code < 300) this.#accepted++
      if (stepwise && this.#accepted > 0 && exceedsRecipientLimit(reply)) {
        while (this.#recipients.length < this.#to.length) this.#recipients.push(reply)
        return 'enough'
      }
      const last = this.#recipients.length === this.#to.length
      return stepwise && last && this.#accepted === 0 ? this.#refusedEnvelope(reply, served) : 'next'
    }
    if (this.#empty) return this.#refusedEnvelope(reply, served)
    if (code === 354) {
      this.#empty = this.#mail.code >= 300 || this.#accepted === 0
      return this.#empty ? 'empty' : 'data'
    }
    return code < 400 ? 'invalid' : this.#refusedEnvelope(reply, served)
  }

  /** Whether MAIL and each RCPT have their reply: the next one is for the message itself. */
  get awaitsBodyReply(): boolean {
    return this.#mail !== undefined && this.#recipients.length === this.#to.length
  }

  /**
   * Whether the server has refused MAIL or every recipient, so that it can't accept the message. A server that refuses MAIL
   * and accepts a recipient contradicts itself, and may accept the message, too.
   */
  get refused(): boolean {
    if (this.#lastReply !== undefined) return this.#lastReply === 'refusal'
    if (this.#mail === undefined || this.#accepted > 0) return false
    return this.#mail.code >= 300 || this.awaitsBodyReply
  }

  /**
   * Records the reply to the next command of a transaction that was written as a whole, its message included.
   * @param served the session has served other messages
   */
  onChunkingReply(reply: SmtpReply, served: boolean): 'next' | 'done' | 'elsewhere' | 'unusable' | 'invalid' {
    if (reply.code >= 300 && reply.code < 400) return 'invalid'
    if (!this.awaitsBodyReply) {
      if (reply.code === 421) this.#serviceClosing = reply
      if (this.#mail === undefined) this.#mail = reply
      else {
        this.#recipients.push(reply)
        if (reply.code < 300) this.#accepted++
      }
      return 'next'
    }
    const refusedAtMail = this.#mail !== undefined && this.#mail.code >= 300
    if (refusedAtMail || this.refused) {
      // The server may have taken the message after all; or it sent a 421 unasked, and this is the reply to an earlier command.
      if (reply.code < 300 && (refusedAtMail || this.#serviceClosing !== undefined)) {
        this.#lastReply = 'contradiction'
        return 'invalid'
      }
      return this.#refusedEnvelope(reply, served)
    }
    this.onBodyReply(reply)
    return 'done'
  }

  /** The server answers the last command with 421 and closes. */
  onServiceClosing(reply: SmtpReply): void {
    this.#mail ??= reply
    this.#serviceClosing = reply
    this.onClose('closed')
  }

  /**
   * Must be called before the message is written: its end may leave from then on.
   * @param handOver the one that will write it
   */
  enterBody(handOver: HandOver): void {
    this.#handOver = handOver
    this.progress.enterPhase('body')
    this.progress.sends(this.data.message)
  }

  /** The server closed the connection without executing any command of the message. */
  notExecuted(): void {
    this.#handOver = undefined
  }

  /** The reply to the final dot. A 3yz reply is invalid here. */
  onBodyReply(reply: SmtpReply): void {
    if (reply.code >= 300 && reply.code < 400) return this.onClose('invalid')
    const result = withUnreachable(completed(this.#to, this.#mail, this.#recipients, reply), this.envelope.to)
    this.progress.replied(
      reply.code,
      result.recipients.map((recipient) => recipient.result),
    )
    if (this.#accepted > 0 && reply.code < 300)
      this.remaining = this.#to.filter((_, index) => exceedsRecipientLimit(this.#recipients[index]))
    this.#finish(result)
  }

  /** The session ended before the final reply. */
  onClose(reason: CloseReason): void {
    const refusal = this.#serviceClosing ?? (this.refused ? this.#mail : undefined)
    const replies = this.#lastReply === 'contradiction' ? [] : this.#recipients
    if (this.mayBeSent) this.#finish(connectionLost(reason, true, this.#to, replies))
    else if (refusal !== undefined && refusal.code >= 400) this.#finish(this.#refusal(refusal))
    else this.#finish(connectionLost(reason, false, this.#to, replies))
  }

  fail(result: SendResult): void {
    this.#finish(result)
  }

  /**
   * Prepares the message for another connection; there is no other way to one. A message that may have been sent is
   * uncertain instead.
   * @returns whether it waits for another connection
   */
  requeue(freshOnly = this.freshOnly): boolean {
    if (this.mayBeSent) {
      this.onClose('closed')
      return false
    }
    this.freshOnly = freshOnly
    this.requeues++
    this.#forgetReplies()
    this.progress.release()
    this.progress.enterPhase('connecting')
    return true
  }

  #forgetReplies(): void {
    this.#mail = this.#serviceClosing = this.#lastReply = this.#handOver = undefined
    this.#recipients = []
    this.#accepted = 0
    this.#empty = false
  }

  #refusedEnvelope(reply: SmtpReply, served: boolean): 'done' | 'elsewhere' | 'unusable' {
    const mail = this.#mail
    this.#lastReply = 'refusal'
    if (mail !== undefined && mail.code >= 400 && this.deservesFreshConnection(served)) return 'elsewhere'
    this.#finish(this.#refusal(reply))
    return loginRequired(mail, this.#recipients) === undefined ? 'done' : 'unusable'
  }

  /** @param reply the last one */
  #refusal(reply: SmtpReply): SendResult {
    const failure = loginRequired(this.#mail, this.#recipients)
    if (failure !== undefined) return connectionFailed(failure)
    return completed(this.#to, this.#mail, this.#recipients, reply)
  }

  #finish(result: SendResult): void {
    if (this.#begunAt > 0) this.progress.addTiming('transaction', performance.now() - this.#begunAt)
    this.#resolve(withEhloHint(withUnreachable(result, this.envelope.to), this.#ehloName))
  }
}
