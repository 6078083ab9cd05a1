import { EventEmitter } from 'node:events'
import type { MailDefaults, SendMailOptions } from 'nodemailer'
import { type Mail, type Message, type Receipt, ThreadpostError } from '../index.js'
import type { Mailer } from '../mailer.js'
import { unsupported } from './fields.js'
import type { LazyMailer } from './lazyMailer.js'
import {
  errorOf,
  infoOf,
  SendMailError,
  type SentMessageInfo,
  transportErrorCode,
} from './sentMessageInfo.js'
import { toMail } from './toMail.js'

/** A message of nodemailer, with threadpost's own fields, such as a template instead of `text` and `html`. */
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
   * When `sendMail()` resolves: `'settled'` waits until the message was sent or has failed; `'queued'` waits until it
   * is in the queue, with all recipients in `pending`.
   * @default 'settled'
   */
  answer?: 'settled' | 'queued'
  /**
   * Time to wait for a message to settle, in milliseconds. Then `sendMail()` rejects with `WAIT_TIMEOUT`, and delivery
   * continues. Infinity waits without a limit.
   * @default 60_000
   */
  timeout?: number
}

interface TransporterParts {
  lazyMailer: LazyMailer
  defaults: MailDefaults
  answer: Required<AnswerOptions>
  /** Number of unsettled messages from which on the transporter isn't idle. */
  capacity: number
}

/** A message in the queue. */
interface QueuedMessage {
  mailer: Mailer
  receipt: Receipt
  settled: Promise<Message>
}

/** Result of `createTransport()`: nodemailer's interface with threadpost behind it. Emits `idle`. */
export class Transporter extends EventEmitter {
  readonly #parts: TransporterParts
  /** Messages that are not in the queue yet. */
  readonly #enqueueing = new Set<Promise<unknown>>()
  #closed = false

  /** @internal */
  constructor(parts: TransporterParts) {
    super()
    this.#parts = parts
    setImmediate(() => this.#announceIdle())
  }

  /**
   * Sends a message in a worker thread, with retries, and resolves with the outcome.
   * @throws SendMailError if the message was not sent; ThreadpostError `UNSUPPORTED`, `INVALID_MESSAGE`,
   * `WAIT_TIMEOUT`, …
   */
  sendMail(message: MailOptions): Promise<SentMessageInfo>
  sendMail(message: MailOptions, callback: SendMailCallback): void
  sendMail(message: MailOptions, callback?: SendMailCallback): Promise<SentMessageInfo> | undefined {
    return settle(this.#send(message), callback)
  }

  /**
   * Tests the transport without sending a message.
   * @throws SendMailError with nodemailer's code
   */
  verify(): Promise<true>
  verify(callback: VerifyCallback): void
  verify(callback?: VerifyCallback): Promise<true> | undefined {
    return settle(this.#verify(), callback)
  }

  /**
   * Returns whether fewer messages are unsettled than the transporter's capacity. The queue accepts messages at any
   * time.
   */
  isIdle(): boolean {
    return !this.#closed && this.#parts.lazyMailer.pending < this.#parts.capacity
  }

  /** Waits for messages in progress, then closes the mailer, unless it was passed to `createTransport()`. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.allSettled(this.#enqueueing)
    await this.#parts.lazyMailer.close()
  }

  /** @throws ThreadpostError `UNSUPPORTED` always: a plugin can't change a message that another thread builds */
  use(): never {
    return unsupported(
      'use()',
      "Change messages with the mailer's intercept option, or before you send them.",
    )
  }

  /**
   * @throws ThreadpostError `UNSUPPORTED` always: nodemailer stores functions here, which can't be passed to a thread
   */
  set(): never {
    return unsupported('set()', 'For OAuth 2.0 tokens use auth, and for an HTTP proxy use proxy.')
  }

  /** @throws ThreadpostError `UNSUPPORTED` always, like `set()` */
  get(): never {
    return unsupported('get()', 'The transporter has no settings that can be changed.')
  }

  async #send(message: MailOptions): Promise<SentMessageInfo> {
    const { defaults, answer } = this.#parts
    const { mail, date } = toMail(message, defaults as Record<string, unknown>)
    const signal = message.signal
    signal?.throwIfAborted()
    this.#assertOpen()
    const enqueueing = this.#enqueue(mail, date)
    this.#enqueueing.add(enqueueing)
    const { mailer, receipt, settled } = await enqueueing.finally(() => this.#enqueueing.delete(enqueueing))
    if (answer.answer === 'queued') return this.#currentInfo(mailer, receipt, mail)
    const settledMessage = await this.#waitFor(mailer, receipt, settled, signal)
    if (settledMessage.status === 'sent' || settledMessage.status === 'partial')
      return infoOf(settledMessage, mail.envelope?.from)
    if (settledMessage.status === 'cancelled') signal?.throwIfAborted()
    throw errorOf(settledMessage)
  }

  async #enqueue(mail: Mail, date: string | undefined): Promise<QueuedMessage> {
    const mailer = await this.#parts.lazyMailer.acquire()
    let receipt: Receipt
    try {
      receipt = await mailer.send(date === undefined ? mail : { ...mailer.prepare(mail), date })
    } catch (error) {
      this.#release()
      throw error
    }
    const settled = mailer.wait(receipt.id, { timeout: Infinity })
    settled.then(
      () => this.#release(),
      () => this.#release(),
    )
    return { mailer, receipt, settled }
  }

  async #currentInfo(mailer: Mailer, { id }: Receipt, mail: Mail): Promise<SentMessageInfo> {
    const message = await mailer.find(id)
    if (message === undefined) throw new ThreadpostError('NOT_FOUND', `There is no message ${id}`)
    return infoOf(message, mail.envelope?.from)
  }

  async #waitFor(
    mailer: Mailer,
    { id }: Receipt,
    settled: Promise<Message>,
    signal: AbortSignal | undefined,
  ): Promise<Message> {
    const { timeout } = this.#parts.answer
    // An abort cancels the message if it isn't too late; either way, `settled` resolves with the result.
    const cancel = (): void => void mailer.cancel(id).catch(() => undefined)
    signal?.addEventListener('abort', cancel, { once: true })
    let timer: NodeJS.Timeout | undefined
    try {
      if (timeout === Infinity) return await settled
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(waitTimeout(id, timeout)), timeout)
      })
      return await Promise.race([settled, late])
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', cancel)
    }
  }

  async #verify(): Promise<true> {
    this.#assertOpen()
    const mailer = await this.#parts.lazyMailer.acquire()
    try {
      const report = await mailer.verify()
      if (report.ok) return true
      throw new SendMailError(transportErrorCode(report.code), report.message, { reply: report.reply })
    } finally {
      this.#release()
    }
  }

  #release(): void {
    this.#parts.lazyMailer.release()
    this.#announceIdle()
  }

  #announceIdle(): void {
    if (this.isIdle()) this.emit('idle')
  }

  #assertOpen(): void {
    if (this.#closed) throw new ThreadpostError('CLOSED', 'The transporter is closed')
  }
}

function waitTimeout(id: string, timeout: number): ThreadpostError {
  return new ThreadpostError(
    'WAIT_TIMEOUT',
    `Message ${id} was not settled within ${timeout} ms. Delivery continues, so don't send the message again`,
    { id },
  )
}

/** Returns the promise, or passes its result to the callback. An error in the callback doesn't reach this module. */
function settle<T>(
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
