import { domainToASCII } from 'node:url'
import type { SmtpReply } from '../../../src/protocol/outcome.js'
import { type CloseReason, withdrawn } from '../sendResults.js'
import type { SendResult, Envelope, Progress } from '../transport.js'
import type { Extensions } from './connect.js'
import type { MailData } from './mailData.js'
import { completed, connectionLost, serviceClosing, unsupported } from './smtpResults.js'

/** What comes next in an envelope whose reply was heard. */
export type Step =
  /** The reply to the next command. */
  | 'next'
  /** The server waits for the message, for at least one recipient. */
  | 'data'
  /** The server waits for a message that nobody is to get: it gets none (RFC 2920 section 3.1). */
  | 'empty'
  /** It is over, without a message. */
  | 'over'
  /** The reply is none that can follow this command. */
  | 'invalid'

const UNSAFE = /[\u0000-\u0020<>\u007f]/

/**
 * One mail transaction (RFC 5321 section 3.3): what it asks of the server, what the server answered, and what follows
 * from it for the message. It writes and reads nothing itself.
 */
export class Transaction {
  readonly data: MailData
  readonly progress: Progress
  /** On `performance.now()`'s clock. */
  readonly deadline: number
  readonly since = performance.now()
  /** How often it came back because its connection ended for another's sake. */
  returns = 0
  readonly #envelope: Envelope
  readonly #resolve: (delivered: SendResult) => void
  #mail: SmtpReply | undefined
  #recipients: SmtpReply[] = []
  #accepted = 0
  #begun = 0

  constructor(
    envelope: Envelope,
    data: MailData,
    progress: Progress,
    deadline: number,
    resolve: (delivered: SendResult) => void,
  ) {
    this.#envelope = envelope
    this.data = data
    this.progress = progress
    this.deadline = deadline
    this.#resolve = resolve
  }

  /** Whether the server answered any of its commands. */
  get heard(): boolean {
    return this.#mail !== undefined
  }

  /** Whether the server holds a transaction of it that has to be reset. */
  get open(): boolean {
    return this.#mail !== undefined && this.#mail.code < 300
  }

  /**
   * MAIL, one RCPT a recipient, DATA; or undefined, when there is nothing to be sent and the transaction is over.
   * The moment of no return for cancellation and expiry.
   */
  begin(extensions: Extensions): string[] | undefined {
    const refusal = this.#refusal(extensions)
    if (refusal !== undefined) {
      this.#finish(refusal)
      return undefined
    }
    const claim = this.progress.commit()
    if (claim !== 'committed') {
      this.#finish(withdrawn(claim))
      return undefined
    }
    this.#mail = undefined
    this.#recipients = []
    this.#accepted = 0
    this.#begun = performance.now()
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
   * Takes the reply to the next command of the envelope.
   * @param stepwise the commands are sent one by one, so that those which make no sense any more are left out
   */
  hear(reply: SmtpReply, stepwise: boolean): Step {
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

  /** The server closes down (421) with this as its answer to whatever was asked last. */
  shutDown(reply: SmtpReply): void {
    this.#mail ??= reply
    this.#finish(serviceClosing(this.#envelope.to, this.#recipients, reply))
  }

  /** The note that the message is handed over: to be made before the write that carries the final dot. */
  handOver(): void {
    this.progress.enterPhase('body')
  }

  /** The reply to the final dot. Anything but success or failure is none. */
  deliver(reply: SmtpReply): void {
    if (reply.code >= 300 && reply.code < 400) return this.lose('invalid', true)
    const delivered = completed(this.#envelope.to, this.#mail, this.#recipients, reply)
    this.progress.replied(
      reply.code,
      delivered.recipients.map(({ result }) => result),
    )
    this.#finish(delivered)
  }

  /** The reply to the final dot of a message that nobody was to get changes nothing. */
  deliverNothing(reply: SmtpReply): void {
    this.#refused(reply)
  }

  /** The connection is of no use any more. @param handedOver the final dot left this machine */
  lose(ending: CloseReason, handedOver: boolean): void {
    this.#finish(connectionLost(ending, handedOver, this.#envelope.to, this.#recipients))
  }

  fail(delivered: SendResult): void {
    this.#finish(delivered)
  }

  /** Nothing of it was sent; it waits for another connection. */
  giveBack(): void {
    this.returns++
    this.progress.release()
    this.progress.enterPhase('connecting')
  }

  #refused(reply: SmtpReply): 'over' {
    this.#finish(completed(this.#envelope.to, this.#mail, this.#recipients, reply))
    return 'over'
  }

  #refusal({ maxSize, eightBitMime, smtpUtf8 }: Extensions): SendResult | undefined {
    const unsafe = [this.#envelope.from, ...this.#envelope.to].find((address) => UNSAFE.test(address))
    if (unsafe !== undefined)
      return unsupported('INVALID_MESSAGE', `${JSON.stringify(unsafe)} is no address.`)
    if (maxSize > 0 && this.data.size > maxSize)
      return unsupported(
        'SIZE_EXCEEDED',
        `The message has ${this.data.size} octets, the server takes ${maxSize} at most.`,
      )
    if (!smtpUtf8 && this.#needsUtf8())
      return unsupported(
        'SMTPUTF8_UNSUPPORTED',
        'The message has an address or a header beyond ASCII, and the server does not take such (SMTPUTF8).',
      )
    if (!eightBitMime && this.data.eightBit && !this.data.utf8Header)
      return unsupported(
        '8BITMIME_UNSUPPORTED',
        'The message has a body beyond ASCII, and the server does not take such (8BITMIME).',
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

  #finish(delivered: SendResult): void {
    if (this.#begun > 0) this.progress.addTiming('transaction', performance.now() - this.#begun)
    this.#resolve(delivered)
  }
}

/** The domain as A-labels, which every server takes; only the local part can need SMTPUTF8. */
function path(address: string): string {
  if (isAscii(address)) return address
  const at = address.lastIndexOf('@')
  const domain = domainToASCII(address.slice(at + 1))
  return domain === '' ? address : `${address.slice(0, at + 1)}${domain}`
}

function isAscii(text: string): boolean {
  return Buffer.byteLength(text) === text.length
}
