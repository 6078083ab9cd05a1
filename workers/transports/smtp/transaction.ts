import { isAsciiText, isWireAddress } from '../../../src/protocol/addressForms.js'
import type { SmtpReply } from '../../../src/protocol/outcome.js'
import { type CloseReason, connectionFailed, unsupported, withdrawn } from '../sendResults.js'
import type { SendResult, Envelope, Progress } from '../transport.js'
import type { Extensions } from './connect.js'
import { envelopeCommands } from './dsnRequest.js'
import type { MailData } from './mailData.js'
import {
  completed,
  connectionLost,
  exceedsRecipientLimit,
  loginRequired,
  serviceClosing,
  withEhloHint,
  withUnreachable,
} from './smtpResults.js'

/** The next step after a reply to one of the envelope's commands. */
export type Step =
  /** The reply to the next command. */
  | 'next'
  /** The message: the server accepted at least one recipient and answered 354. */
  | 'data'
  /** A lone dot: the server answered 354 although it accepted no recipient (RFC 2920 section 3.1). Its reply follows. */
  | 'empty'
  /** The message: the server takes no more recipients (RFC 5321 section 4.5.3.1.10), so DATA is the next command. */
  | 'enough'
  /** Nothing: the transaction is over, and the message was not sent. */
  | 'done'
  /** Nothing: the session may be the cause of the refusal, so the message is tried on a fresh connection. */
  | 'elsewhere'
  /** The end of the session: it takes no mail without another login. The transaction is over. */
  | 'unusable'
  /** The end of the session: the reply can't follow this command. */
  | 'invalid'

/**
 * One mail transaction (RFC 5321 section 3.3): its commands, the replies to them, and the result for the message. The
 * session reads and writes; a transaction does no I/O.
 */
export class Transaction {
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
  readonly #envelope: Envelope
  readonly #fullData: MailData
  /** The recipients that this server can be asked about: without SMTPUTF8, those with ASCII local parts. */
  #to: readonly string[]
  readonly #resolve: (result: SendResult) => void
  #mail: SmtpReply | undefined
  #recipients: SmtpReply[] = []
  #accepted = 0
  /** The server accepted no recipient, yet answered 354: the last reply is the one to the lone dot. */
  #empty = false
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
    this.#envelope = envelope
    this.#to = envelope.to
    this.data = this.#fullData = data
    this.asciiData = asciiData
    this.progress = progress
    this.deadline = deadline
    this.#resolve = resolve
  }

  get envelope(): Envelope {
    return this.#envelope
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
    this.#to = extensions.smtpUtf8 ? this.#envelope.to : this.#envelope.to.filter(isAsciiText)
    this.data = extensions.smtpUtf8 ? this.#fullData : (this.asciiData ?? this.#fullData)
    const refusal = this.#check(extensions)
    if (refusal !== undefined) {
      this.#finish(refusal)
      return undefined
    }
    const permit = this.progress.commit()
    if (permit !== 'committed') {
      this.#finish(withdrawn(permit))
      return undefined
    }
    this.#mail = undefined
    this.#recipients = []
    this.#accepted = 0
    this.#empty = false
    this.#begunAt = performance.now()
    this.progress.enterPhase('envelope')
    const parameters = [
      extensions.size ? ` SIZE=${this.data.size}` : '',
      extensions.eightBitMime && this.data.eightBit ? ' BODY=8BITMIME' : '',
      this.#needsUtf8() ? ' SMTPUTF8' : '',
    ].join('')
    return [
      ...envelopeCommands(this.#envelope, this.#to, extensions, parameters),
      last === 'DATA' ? 'DATA\r\n' : `BDAT ${this.data.size} LAST\r\n`,
    ]
  }

  /**
   * Records the reply to the next command of the envelope.
   * @param stepwise commands are sent one by one, so a refusal ends the transaction without the remaining ones
   * @param served the session has served other messages
   */
  onEnvelopeReply(reply: SmtpReply, stepwise: boolean, served: boolean): Step {
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

  /** Whether the server has refused MAIL or every recipient, so that it can't accept the message. */
  get refused(): boolean {
    if (this.#mail === undefined) return false
    return this.#mail.code >= 300 || (this.awaitsBodyReply && this.#accepted === 0)
  }

  /**
   * Records the reply to the next command of a transaction that was written as a whole, its message included.
   * @param served the session has served other messages
   */
  onChunkingReply(reply: SmtpReply, served: boolean): 'next' | 'done' | 'elsewhere' | 'unusable' | 'invalid' {
    if (reply.code >= 300 && reply.code < 400) return 'invalid'
    if (!this.awaitsBodyReply) {
      if (this.#mail === undefined) this.#mail = reply
      else {
        this.#recipients.push(reply)
        if (reply.code < 300) this.#accepted++
      }
      return 'next'
    }
    if (this.refused) return this.#refusedEnvelope(reply, served)
    this.onBodyReply(reply)
    return 'done'
  }

  /** The server answers the last command with 421 and closes. */
  onServiceClosing(reply: SmtpReply): void {
    this.#mail ??= reply
    this.#finish(serviceClosing(this.#to, this.#recipients, reply))
  }

  /** Must be called before the message is written: its final dot may leave from then on. */
  enterBody(): void {
    this.progress.enterPhase('body')
    this.progress.sends(this.data.message)
  }

  /** The reply to the final dot. A 3yz reply is invalid here. */
  onBodyReply(reply: SmtpReply): void {
    if (reply.code >= 300 && reply.code < 400) return this.onClose('invalid', true)
    const result = withUnreachable(
      completed(this.#to, this.#mail, this.#recipients, reply),
      this.#envelope.to,
    )
    this.progress.replied(
      reply.code,
      result.recipients.map((recipient) => recipient.result),
    )
    if (this.#accepted > 0 && reply.code < 300)
      this.remaining = this.#to.filter((_, index) => exceedsRecipientLimit(this.#recipients[index]))
    this.#finish(result)
  }

  /** The session ended before the final reply. @param handedOver the final dot may have left this process */
  onClose(reason: CloseReason, handedOver: boolean): void {
    this.#finish(connectionLost(reason, handedOver, this.#to, this.#recipients))
  }

  fail(result: SendResult): void {
    this.#finish(result)
  }

  /** The message was not sent and waits for another connection. */
  requeue(freshOnly = this.freshOnly): void {
    this.freshOnly = freshOnly
    this.requeues++
    this.progress.release()
    this.progress.enterPhase('connecting')
  }

  #refusedEnvelope(reply: SmtpReply, served: boolean): 'done' | 'elsewhere' | 'unusable' {
    const mail = this.#mail
    if (mail !== undefined && mail.code >= 400 && this.deservesFreshConnection(served)) return 'elsewhere'
    const failure = loginRequired(mail, this.#recipients)
    if (failure !== undefined) {
      this.#finish(connectionFailed(failure))
      return 'unusable'
    }
    this.#finish(completed(this.#to, mail, this.#recipients, reply))
    return 'done'
  }

  #check({ maxSize, eightBitMime, smtpUtf8 }: Extensions): SendResult | undefined {
    const { from, to } = this.#envelope
    const unsafe = (from === '' ? to : [from, ...to]).find((address) => !isWireAddress(address))
    if (unsafe !== undefined)
      return unsupported('INVALID_MESSAGE', `${JSON.stringify(unsafe)} is not a valid address.`)
    if (maxSize > 0 && this.data.size > maxSize)
      return unsupported(
        'SIZE_EXCEEDED',
        `The message is ${this.data.size} bytes long; the server accepts at most ${maxSize}.`,
      )
    if (!smtpUtf8 && this.#needsUtf8())
      return unsupported(
        'SMTPUTF8_UNSUPPORTED',
        'An address or a header contains non-ASCII characters, and the server does not support them (SMTPUTF8).',
      )
    if (!eightBitMime && this.data.eightBit && !this.data.utf8Header)
      return unsupported(
        '8BITMIME_UNSUPPORTED',
        'The body contains non-ASCII characters, and the server does not support them (8BITMIME).',
      )
    return undefined
  }

  #needsUtf8(): boolean {
    return (
      this.data.utf8Header ||
      !isAsciiText(this.#envelope.from) ||
      this.#to.length === 0 ||
      !this.#to.every(isAsciiText)
    )
  }

  #finish(result: SendResult): void {
    if (this.#begunAt > 0) this.progress.addTiming('transaction', performance.now() - this.#begunAt)
    this.#resolve(withEhloHint(withUnreachable(result, this.#envelope.to), this.#ehloName))
  }
}
