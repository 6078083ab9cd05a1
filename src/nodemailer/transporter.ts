import { EventEmitter } from 'node:events'
import type { MailDefaults, SendMailOptions } from 'nodemailer'
import { type Mail, type Message, type Receipt, ThreadpostError } from '../index.js'
import type { Mailer } from '../mailer.js'
import type { LazyMailer } from './lazyMailer.js'
import { unsupported } from './refusal.js'
import { errorOf, infoOf, SendMailError, type SentMessageInfo, troubleCode } from './sentMessageInfo.js'
import { toMail } from './toMail.js'

/** A message as nodemailer describes it; a template of threadpost's in place of `text` and `html`, and more of its fields. */
export type MailOptions = SendMailOptions &
  Partial<
    Pick<
      Mail,
      | 'template'
      | 'data'
      | 'locale'
      | 'mjml'
      | 'transport'
      | 'delay'
      | 'sendAt'
      | 'expiresAt'
      | 'idempotencyKey'
      | 'tags'
      | 'metadata'
      | 'onUncertain'
      | 'listUnsubscribe'
    >
  >

export type SendMailCallback = (error: Error | null, info: SentMessageInfo) => void
export type VerifyCallback = (error: Error | null, success: true) => void

export interface AnswerOptions {
  /**
   * When `sendMail()` answers: once the message is `'settled'`, sent or given up; or once it is `'queued'`, with
   * everybody in `pending`.
   * @default 'settled'
   */
  answer?: 'settled' | 'queued'
  /**
   * Milliseconds to wait for a message to be settled; then `sendMail()` rejects with `WAIT_TIMEOUT`, and the message goes
   * on by itself. Infinity waits for ever.
   * @default 60_000
   */
  timeout?: number
}

interface TransporterParts {
  lease: LazyMailer
  defaults: MailDefaults
  answer: Required<AnswerOptions>
  /** Messages under way at which it is no longer idle. */
  capacity: number
}

/** A message that the queue has. */
interface Entered {
  mailer: Mailer
  receipt: Receipt
  settled: Promise<Message>
}

/** What `createTransport()` gives: nodemailer's interface, with threadpost behind it. Emits `idle`. */
export class Transporter extends EventEmitter {
  readonly #parts: TransporterParts
  /** Messages on their way into the queue. */
  readonly #entering = new Set<Promise<unknown>>()
  #closed = false

  /** @internal */
  constructor(parts: TransporterParts) {
    super()
    this.#parts = parts
    setImmediate(() => this.#announceIdle())
  }

  /**
   * Sends a message: in a thread, again where it must be, and with the outcome.
   * @throws SendMailError when it was not sent; ThreadpostError `UNSUPPORTED`, `INVALID_MESSAGE`, `WAIT_TIMEOUT`, …
   */
  sendMail(message: MailOptions): Promise<SentMessageInfo>
  sendMail(message: MailOptions, callback: SendMailCallback): void
  sendMail(message: MailOptions, callback?: SendMailCallback): Promise<SentMessageInfo> | undefined {
    return answerTo(this.#send(message), callback)
  }

  /**
   * Tries the transport, and sends nothing.
   * @throws SendMailError with nodemailer's code
   */
  verify(): Promise<true>
  verify(callback: VerifyCallback): void
  verify(callback?: VerifyCallback): Promise<true> | undefined {
    return answerTo(this.#verify(), callback)
  }

  /** Whether it likes another message now; it takes one at any time, and keeps it in its queue. */
  isIdle(): boolean {
    return !this.#closed && this.#parts.lease.users < this.#parts.capacity
  }

  /** Ends what is under way, then lets go of the threads. A mailer that was given stays open. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.allSettled(this.#entering)
    await this.#parts.lease.close()
  }

  /** @throws ThreadpostError `UNSUPPORTED`: plugins work on a message that is built in another thread. */
  use(): never {
    return unsupported('use()', "Change messages with the mailer's intercept, or before they are sent.")
  }

  /** @throws ThreadpostError `UNSUPPORTED`: what nodemailer keeps there are functions, and those can't go to a thread. */
  set(): never {
    return unsupported('set()', 'Tokens for OAuth 2.0 come from auth, an HTTP proxy is given as proxy.')
  }

  /** @throws ThreadpostError `UNSUPPORTED`, as `set()` */
  get(): never {
    return unsupported('get()', 'Nothing can be set.')
  }

  async #send(message: MailOptions): Promise<SentMessageInfo> {
    const { defaults, answer } = this.#parts
    const { mail, date } = toMail(message, defaults as Record<string, unknown>)
    const signal = message.signal
    signal?.throwIfAborted()
    this.#assertOpen()
    const entering = this.#enter(mail, date)
    this.#entering.add(entering)
    const { mailer, receipt, settled } = await entering.finally(() => this.#entering.delete(entering))
    if (answer.answer === 'queued') return this.#asItIs(mailer, receipt, mail)
    const last = await this.#waited(mailer, receipt, settled, signal)
    if (last.status === 'sent' || last.status === 'partial') return infoOf(last, mail.envelope?.from)
    if (last.status === 'cancelled') signal?.throwIfAborted()
    throw errorOf(last)
  }

  async #enter(mail: Mail, date: string | undefined): Promise<Entered> {
    const mailer = await this.#parts.lease.take()
    let receipt: Receipt
    try {
      receipt = await mailer.send(date === undefined ? mail : { ...mailer.prepare(mail), date })
    } catch (error) {
      this.#giveBack()
      throw error
    }
    const settled = mailer.wait(receipt.id, { timeout: Infinity })
    settled.then(
      () => this.#giveBack(),
      () => this.#giveBack(),
    )
    return { mailer, receipt, settled }
  }

  async #asItIs(mailer: Mailer, { id }: Receipt, mail: Mail): Promise<SentMessageInfo> {
    const message = await mailer.find(id)
    if (message === undefined) throw new ThreadpostError('NOT_FOUND', `There is no message ${id}`)
    return infoOf(message, mail.envelope?.from)
  }

  async #waited(
    mailer: Mailer,
    { id }: Receipt,
    settled: Promise<Message>,
    signal: AbortSignal | undefined,
  ): Promise<Message> {
    const { timeout } = this.#parts.answer
    // An abort takes the message back where it is not too late; then its settlement tells.
    const takeBack = (): void => void mailer.cancel(id).catch(() => undefined)
    signal?.addEventListener('abort', takeBack, { once: true })
    let timer: NodeJS.Timeout | undefined
    try {
      if (timeout === Infinity) return await settled
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(stillUnderWay(id, timeout)), timeout)
      })
      return await Promise.race([settled, late])
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', takeBack)
    }
  }

  async #verify(): Promise<true> {
    this.#assertOpen()
    const mailer = await this.#parts.lease.take()
    try {
      const report = await mailer.verify()
      if (report.ok) return true
      throw new SendMailError(troubleCode(report.code), report.message, { reply: report.reply })
    } finally {
      this.#giveBack()
    }
  }

  #giveBack(): void {
    this.#parts.lease.giveBack()
    this.#announceIdle()
  }

  #announceIdle(): void {
    if (this.isIdle()) this.emit('idle')
  }

  #assertOpen(): void {
    if (this.#closed) throw new ThreadpostError('CLOSED', 'The transporter is closed')
  }
}

function stillUnderWay(id: string, timeout: number): ThreadpostError {
  return new ThreadpostError(
    'WAIT_TIMEOUT',
    `Message ${id} is not settled after ${timeout} ms. It goes on by itself: don't send it again`,
    { id },
  )
}

/** The promise, or what it comes to for a callback, whose own errors are nobody else's. */
function answerTo<T>(
  work: Promise<T>,
  callback: ((error: Error | null, value: T) => void) | undefined,
): Promise<T> | undefined {
  if (callback === undefined) return work
  work.then(
    (value) => setImmediate(callback, null, value),
    (error: unknown) => setImmediate(callback as (error: Error) => void, error as Error),
  )
  return undefined
}
