import { type Mail, type Message, type Receipt, ThreadpostError } from '../index.js'
import type { Mailer } from '../mailer.js'
import type { Delivery, PreparedMessage } from './delivery.js'
import type { LazyMailer } from './lazyMailer.js'
import {
  errorOf,
  infoOf,
  SendMailError,
  type SentMessageInfo,
  transportErrorCode,
} from './sentMessageInfo.js'

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

export interface QueuedDeliveryParts {
  lazyMailer: LazyMailer
  answer: Required<AnswerOptions>
  /** Number of unsettled messages from which on the transporter isn't idle. */
  capacity: number
  maxMessageSize: number
  /** Called when a message is settled. */
  onSettled: () => void
}

/** A message in the queue. */
interface QueuedMessage {
  mailer: Mailer
  receipt: Receipt
  settled: Promise<Message>
}

/** Puts messages into the queue of a mailer, whose worker threads build and send them. */
export class QueuedDelivery implements Delivery {
  readonly maxMessageSize: number
  readonly #parts: QueuedDeliveryParts
  /** Messages that are not in the queue yet. */
  readonly #enqueueing = new Set<Promise<unknown>>()

  constructor(parts: QueuedDeliveryParts) {
    this.#parts = parts
    this.maxMessageSize = parts.maxMessageSize
  }

  isIdle(preparing: number): boolean {
    return this.#parts.lazyMailer.pending + preparing < this.#parts.capacity
  }

  async send({ mail, date, signal }: PreparedMessage): Promise<SentMessageInfo> {
    const enqueueing = this.#enqueue(mail, date)
    this.#enqueueing.add(enqueueing)
    const { mailer, receipt, settled } = await enqueueing.finally(() => this.#enqueueing.delete(enqueueing))
    const envelopeFrom = mail.envelope?.from
    if (this.#parts.answer.answer === 'queued') return currentInfo(mailer, receipt, envelopeFrom)
    const settledMessage = await this.#waitFor(mailer, receipt, settled, signal)
    if (settledMessage.status === 'sent' || settledMessage.status === 'partial')
      return infoOf(settledMessage, envelopeFrom)
    if (settledMessage.status === 'cancelled') signal?.throwIfAborted()
    throw errorOf(settledMessage)
  }

  async verify(): Promise<true> {
    const mailer = await this.#parts.lazyMailer.acquire()
    try {
      const report = await mailer.verify()
      if (report.ok) return true
      throw new SendMailError(transportErrorCode(report.code), report.message, { reply: report.reply })
    } finally {
      this.#release()
    }
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#enqueueing)
    await this.#parts.lazyMailer.close()
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

  #release(): void {
    this.#parts.lazyMailer.release()
    this.#parts.onSettled()
  }
}

async function currentInfo(
  mailer: Mailer,
  { id }: Receipt,
  envelopeFrom: string | undefined,
): Promise<SentMessageInfo> {
  const message = await mailer.find(id)
  if (message === undefined) throw new ThreadpostError('NOT_FOUND', `There is no message ${id}`)
  return infoOf(message, envelopeFrom)
}

function waitTimeout(id: string, timeout: number): ThreadpostError {
  return new ThreadpostError(
    'WAIT_TIMEOUT',
    `Message ${id} was not settled within ${timeout} ms. Delivery continues, so don't send the message again`,
    { id },
  )
}
