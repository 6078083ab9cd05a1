import { domainToASCII } from 'node:url'
import type { SmtpReply } from '../../../src/protocol/outcome.js'
import { type CloseReason, withdrawn } from '../sendResults.js'
import type { SendResult, Envelope, Progress } from '../transport.js'
import type { Extensions } from './connect.js'
import type { MailData } from './mailData.js'
import { completed, connectionLost, serviceClosing, unsupported } from './smtpResults.js'

/** The next step after a reply to one of the envelope's commands. */
export type Step =
  /** The reply to the next command. */
  | 'next'
  /** The message: the server accepted at least one recipient and answered 354. */
  | 'data'
  /** A lone dot: the server answered 354 although it accepted no recipient (RFC 2920 section 3.1). */
  | 'empty'
  /** Nothing: the transaction is over, and the message was not sent. */
  | 'done'
  /** The end of the session: the reply can't follow this command. */
  | 'invalid'

const UNSAFE = /[\u0000-\u0020<>\u007f]/

/**
 * One mail transaction (RFC 5321 section 3.3): its commands, the replies to them, and the result for the message. The
 * session reads and writes; a transaction does no I/O.
 */
export class Transaction {
  readonly data: MailData
  readonly progress: Progress
  /** The time at which the attempt must be over, on `performance.now()`'s clock. */
  readonly deadline: number
  readonly createdAt = performance.now()
  /** Number of times it was requeued because its connection closed through no fault of the message. */
  requeues = 0
  readonly #envelope: Envelope
  readonly #resolve: (result: SendResult) => void
  #mail: SmtpReply | undefined
  #recipients: SmtpReply[] = []
  #accepted = 0
  #begunAt = 0

  constructor(
    envelope: Envelope,
    data: MailData,
    progress: Progress,
    deadline: number,
    resolve: (result: SendResult) => void,
  ) {
    this.#envelope = envelope
    this.data = data
    this.progress = progress
    this.deadline = deadline
    this.#resolve = resolve
  }

  /** Whether the server has answered any of the commands. */
  get answered(): boolean {
    return this.#mail !== undefined
  }

  /** Whether the server accepted MAIL, so that RSET must precede the next envelope. */
  get needsReset(): boolean {
    return this.#mail !== undefined && this.#mail.code < 300
  }

  /**
   * Returns MAIL, one RCPT per recipient, and DATA; or undefined if the message must not be sent, which ends the
   * transaction. From here on the message can't be cancelled and does not expire.
   */
  begin(extensions: Extensions): string[] | undefined {
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
    this.#begunAt = performance.now()
    this.progress.enterPhase('envelope')
    const parameters = [
      extensions.size ? ` SIZE=${this.data.size}` : '',
      extensions.eightBitMime && this.data.eightBit ? ' BODY=8BITMIME' : '',
      this.#needsUtf8() ? ' SMTPUTF8' : '',
    ].join('')
    return [
      `MAIL FROM:<${path(this.#envelope.from)}>${parameters}\r\n`,
      ...this.#envelope.to.map((address) => `RCPT TO:<${path(address)}>\r\n`),
      'DATA\r\n',
    ]
  }

  /**
   * Records the reply to the next command of the envelope.
   * @param stepwise commands are sent one by one, so a refusal ends the transaction without the remaining ones
   */
  onEnvelopeReply(reply: SmtpReply, stepwise: boolean): Step {
    const { code } = reply
    if (this.#mail === undefined) {
      if (code >= 300 && code < 400) return 'invalid'
      this.#mail = reply
      return stepwise && code >= 400 ? this.#refused(reply) : 'next'
    }
    if (this.#recipients.length < this.#envelope.to.length) {
      if (code >= 300 && code < 400) return 'invalid'
      this.#recipients.push(reply)
      if (code < 300) this.#accepted++
      const last = this.#recipients.length === this.#envelope.to.length
      return stepwise && last && this.#accepted === 0 ? this.#refused(reply) : 'next'
    }
    if (code === 354) return this.#mail.code < 300 && this.#accepted > 0 ? 'data' : 'empty'
    return code < 400 ? 'invalid' : this.#refused(reply)
  }

  /** The server answers the last command with 421 and closes. */
  onServiceClosing(reply: SmtpReply): void {
    this.#mail ??= reply
    this.#finish(serviceClosing(this.#envelope.to, this.#recipients, reply))
  }

  /** Must be called before the write that carries the final dot: from then on the message may have been sent. */
  enterBody(): void {
    this.progress.enterPhase('body')
  }

  /** The reply to the final dot. A 3yz reply is invalid here. */
  onBodyReply(reply: SmtpReply): void {
    if (reply.code >= 300 && reply.code < 400) return this.onClose('invalid', true)
    const result = completed(this.#envelope.to, this.#mail, this.#recipients, reply)
    this.progress.replied(
      reply.code,
      result.recipients.map((recipient) => recipient.result),
    )
    this.#finish(result)
  }

  /** The reply to the lone dot of an empty body: every recipient was refused before, so it changes nothing. */
  onEmptyBodyReply(reply: SmtpReply): void {
    this.#refused(reply)
  }

  /** The session ended before the final reply. @param handedOver the final dot has left this process */
  onClose(reason: CloseReason, handedOver: boolean): void {
    this.#finish(connectionLost(reason, handedOver, this.#envelope.to, this.#recipients))
  }

  fail(result: SendResult): void {
    this.#finish(result)
  }

  /** The message was not sent and waits for another connection. */
  requeue(): void {
    this.requeues++
    this.progress.release()
    this.progress.enterPhase('connecting')
  }

  #refused(reply: SmtpReply): 'done' {
    this.#finish(completed(this.#envelope.to, this.#mail, this.#recipients, reply))
    return 'done'
  }

  #check({ maxSize, eightBitMime, smtpUtf8 }: Extensions): SendResult | undefined {
    const unsafe = [this.#envelope.from, ...this.#envelope.to].find((address) => UNSAFE.test(address))
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
      !isAscii(path(this.#envelope.from)) ||
      !this.#envelope.to.every((to) => isAscii(path(to)))
    )
  }

  #finish(result: SendResult): void {
    if (this.#begunAt > 0) this.progress.addTiming('transaction', performance.now() - this.#begunAt)
    this.#resolve(result)
  }
}

/** Converts the domain to A-labels (RFC 5890), which every server accepts: only a local part can require SMTPUTF8. */
function path(address: string): string {
  if (isAscii(address)) return address
  const at = address.lastIndexOf('@')
  const domain = domainToASCII(address.slice(at + 1))
  return domain === '' ? address : `${address.slice(0, at + 1)}${domain}`
}

function isAscii(text: string): boolean {
  return Buffer.byteLength(text) === text.length
}
