import {
  type JsonObject,
  type Mail,
  type Message,
  type PreparedMail,
  type Receipt,
  ThreadpostError,
} from '../index.js'
import type { Mailer } from '../mailer.js'
import { DELIVERY_FIELDS } from '../message/mailFields.js'
import type { BuildRequest, Delivery, PreparedMessage } from './delivery.js'
import { unsupported } from './fields.js'
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
  /** The reverse-path, if it isn't the sender's address. */
  envelopeFrom: string | undefined
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

  async send(message: PreparedMessage): Promise<SentMessageInfo> {
    const { signal } = message
    const enqueueing = this.#enqueue(message)
    this.#enqueueing.add(enqueueing)
    const queued = await enqueueing.finally(() => this.#enqueueing.delete(enqueueing))
    const { mailer, receipt, settled, envelopeFrom } = queued
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

  async #enqueue(message: PreparedMessage): Promise<QueuedMessage> {
    const mailer = await this.#parts.lazyMailer.acquire()
    let receipt: Receipt
    let envelopeFrom: string | undefined
    try {
      const { mail, build } = message
      const ready =
        build === undefined
          ? { mail: dated(mailer, message), from: mail.envelope?.from }
          : await built(mailer, message, build)
      envelopeFrom = ready.from
      receipt = await mailer.send(ready.mail).catch((error: unknown) => {
        throw build === undefined ? error : namedAfter(error, build.reason)
      })
    } catch (error) {
      this.#release()
      throw error
    }
    const settled = mailer.wait(receipt.id, { timeout: Infinity })
    settled.then(
      () => this.#release(),
      () => this.#release(),
    )
    return { mailer, receipt, settled, envelopeFrom }
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

function dated(mailer: Mailer, { mail, date }: PreparedMessage): Mail | PreparedMail {
  return date === undefined ? mail : { ...mailer.prepare(mail), date }
}

/** Builds a message in this thread, after the mailer has checked its addresses and headers, and gives it the mailer's identity. */
async function built(
  mailer: Mailer,
  { input, mail, date }: PreparedMessage,
  { reason, plugins }: BuildRequest,
): Promise<{ mail: PreparedMail; from: string }> {
  if (mail.idempotencyKey !== undefined && (date === undefined || mail.messageId === undefined))
    unsupported(
      reason,
      'With an idempotencyKey it needs a messageId and a date: each call would build other bytes.',
    )
  if (mail.from === undefined && mail.raw === undefined)
    unsupported(reason, "It needs from: the composer doesn't know the one of the mailer.")
  const draft = mailer.prepare(mail)
  const identity = { messageId: draft.messageId, date: date ?? draft.date }
  const { buildMessage } = await import('./builtMessage.js')
  const { raw, envelope } = await buildMessage({ ...identity, input, mail, plugins, reason })
  const fields: JsonObject = Object.fromEntries(
    DELIVERY_FIELDS.flatMap((field) => (draft.mail[field] === undefined ? [] : [[field, draft.mail[field]]])),
  )
  const content = { base64: Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength).toString('base64') }
  return {
    mail: { ...draft, ...identity, mail: { ...fields, raw: content, envelope: { ...envelope } } },
    from: envelope.from,
  }
}

/** An error of a message that was built here names the field for which it was built. */
function namedAfter(error: unknown, reason: string): unknown {
  if (!(error instanceof ThreadpostError) || error.path !== 'raw') return error
  return new ThreadpostError(error.code, error.message.replace(/^raw/, reason), { path: reason })
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
