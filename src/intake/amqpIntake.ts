import { randomUUID } from 'node:crypto'
import { type Mail, type Mailer, ThreadpostError } from '../index.js'
import { parseJson } from '../protocol/parseJson.js'
import { isPlainObject } from '../validation.js'
import { type AmqpIntakeOptions, type ResolvedAmqpIntake, resolveAmqpIntake } from './amqpIntakeOptions.js'
import { AmqpSession, type DeadLetterReason, type Delivery } from './amqpSession.js'

/** A consumer of a RabbitMQ queue that passes its messages to a mailer. */
export interface AmqpIntake {
  readonly queue: string
  /** `connecting` after the broker was lost; `paused` while the mailer's queue is full or unavailable. */
  readonly state: 'consuming' | 'paused' | 'connecting' | 'closed'
  /** Stops consuming, waits at most `deadline` ms (10,000) for messages in progress, and returns others to the broker. */
  close(options?: { deadline?: number }): Promise<void>
}

/** Milliseconds before the first repetition of what failed; each further delay is twice as long. */
const FIRST_DELAY = 100

/**
 * Consumes mail from a queue of RabbitMQ: the same JSON as `POST /messages`. A message is acknowledged once the mailer's queue has stored it.
 * Its `messageId` is the idempotency key, unless the mail has one. A message that can't be accepted goes to the dead-letter exchange.
 * @throws ThreadpostError `INVALID_OPTIONS`; `START_FAILED` if amqplib is missing, or if the broker can't be reached
 */
export async function amqpIntake(mailer: Mailer, options: AmqpIntakeOptions): Promise<AmqpIntake> {
  const consumer = new AmqpConsumer(mailer, resolveAmqpIntake(options))
  await consumer.start()
  return consumer
}

class AmqpConsumer implements AmqpIntake {
  readonly #mailer: Mailer
  readonly #settings: ResolvedAmqpIntake
  readonly #inProgress = new Set<Promise<void>>()
  #session: AmqpSession | undefined
  #timer: NodeJS.Timeout | undefined
  #delay = FIRST_DELAY
  /** While the mailer's queue takes nothing: settled when the next attempt is due. */
  #pause: Promise<void> | undefined
  #endPause: () => void = () => undefined
  #pauses = 0
  #closed: Promise<void> | undefined

  constructor(mailer: Mailer, settings: ResolvedAmqpIntake) {
    this.#mailer = mailer
    this.#settings = settings
  }

  get queue(): string {
    return this.#settings.queue
  }

  get state(): AmqpIntake['state'] {
    if (this.#closed !== undefined) return 'closed'
    if (this.#session?.isOpen !== true) return 'connecting'
    return this.#pauses > 0 ? 'paused' : 'consuming'
  }

  async start(): Promise<void> {
    try {
      await this.#connect()
    } catch (error) {
      if (error instanceof ThreadpostError) throw error
      throw new ThreadpostError('START_FAILED', `url: RabbitMQ can't be used: ${textOf(error)}`, {
        path: 'url',
        cause: error,
      })
    }
  }

  close({ deadline = 10_000 }: { deadline?: number } = {}): Promise<void> {
    return (this.#closed ??= this.#close(deadline))
  }

  async #close(deadline: number): Promise<void> {
    clearTimeout(this.#timer)
    this.#endPause()
    const session = this.#session
    await session?.pause()
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, deadline)))
    await Promise.race([Promise.all(this.#inProgress), late])
    clearTimeout(timer)
    await session?.close()
  }

  async #connect(): Promise<void> {
    const session = await AmqpSession.open(
      this.#settings,
      (delivery) => this.#take(delivery),
      (problem) => {
        this.#settings.logger.warn({ problem }, 'The connection to RabbitMQ was lost; connecting again')
        this.#reconnect()
      },
    )
    if (this.#closed !== undefined) {
      await session.close()
      return
    }
    this.#session = session
    this.#delay = FIRST_DELAY
    await session.consume()
  }

  #reconnect(): void {
    if (this.#closed !== undefined) return
    this.#timer = setTimeout(() => {
      this.#connect().catch((error: unknown) => {
        this.#settings.logger.warn({ problem: textOf(error) }, "RabbitMQ can't be reached")
        this.#reconnect()
      })
    }, this.#nextDelay())
  }

  /** Exponential, with jitter, so that many consumers don't come back at the same moment. */
  #nextDelay(): number {
    const delay = this.#delay
    this.#delay = Math.min(2 * delay, this.#settings.maxDelay)
    return delay * (0.5 + Math.random() / 2)
  }

  #take(delivery: Delivery): void {
    const work = this.#accept(delivery)
      .catch((error: unknown) => this.#defect(delivery, error))
      // A message that fails even then stays with the broker. It must not end the process.
      .catch(() => undefined)
      .finally(() => this.#inProgress.delete(work))
    this.#inProgress.add(work)
  }

  async #accept({ session, message }: Delivery): Promise<void> {
    const mail = mailOf(message.content, message.properties.messageId as unknown, this.#settings.size)
    if ('code' in mail) return this.#refuse({ session, message }, mail)
    // A lost session can't acknowledge: the broker delivers its messages again.
    while (session.isOpen) {
      try {
        await this.#mailer.send(mail.mail as unknown as Mail)
        this.#resume()
        session.ack(message)
        return
      } catch (error) {
        if (!(error instanceof ThreadpostError)) throw error
        const { code, path = '', message: text } = error
        if (code !== 'QUEUE_FULL' && code !== 'QUEUE_UNAVAILABLE' && code !== 'CLOSED')
          return this.#refuse({ session, message }, { code, path, message: text })
        if (code === 'CLOSED' || this.#closed !== undefined) return
        await this.#paused(text)
      }
    }
  }

  async #refuse({ session, message }: Delivery, reason: DeadLetterReason): Promise<void> {
    this.#settings.logger.warn(
      { ...reason, messageId: message.properties.messageId as unknown },
      'AMQP message refused',
    )
    await session.deadLetter(message, reason)
  }

  /** Stops consuming, and resolves when the next attempt is due. All messages in progress share the pause. */
  #paused(problem: string): Promise<void> {
    if (this.#pause === undefined) {
      const delay = Math.min(FIRST_DELAY * 2 ** this.#pauses++, this.#settings.maxDelay)
      if (this.#pauses === 1)
        this.#settings.logger.warn({ problem }, "Consuming stops, because mail can't be stored")
      void this.#session?.pause()
      this.#pause = new Promise((resolve) => {
        const timer = setTimeout(() => this.#endPause(), delay)
        this.#endPause = () => {
          clearTimeout(timer)
          this.#pause = undefined
          resolve()
        }
      })
    }
    return this.#pause
  }

  #resume(): void {
    if (this.#pauses === 0 || this.#closed !== undefined) return
    this.#pauses = 0
    this.#settings.logger.info({}, 'consuming goes on')
    this.#endPause()
    void this.#session?.consume()
  }

  /** A defect stays with the broker, and the connection is replaced, so that nothing is lost and other messages go on. */
  #defect({ session, message }: Delivery, error: unknown): Promise<void> {
    process.emitWarning(
      `the AMQP intake failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
      'ThreadpostWarning',
    )
    return session.deadLetter(message, { code: 'INTERNAL_ERROR', path: '', message: 'an internal error' })
  }
}

/** Reads the JSON of a mail. Without a key of its own, a delivery that is tried again is recognized. */
function mailOf(
  content: Buffer,
  messageId: unknown,
  size: number,
): { mail: Record<string, unknown> } | DeadLetterReason {
  const invalid = (message: string): DeadLetterReason => ({ code: 'INVALID_MESSAGE', path: '', message })
  if (content.length > size)
    return invalid(`The message has ${content.length} bytes; at most ${size} are allowed`)
  let mail: unknown
  try {
    mail = parseJson(content.toString())
  } catch (error) {
    return invalid(`The message is not JSON: ${(error as Error).message}`)
  }
  if (!isPlainObject(mail)) return invalid('The message must be a JSON object with the fields of a mail')
  // It has its own id, Message-ID, date, and context, which only the process that owns the mailer may set.
  if ('prepared' in mail)
    return {
      ...invalid('A prepared mail is not accepted over AMQP; send the mail itself with an idempotencyKey'),
      path: 'prepared',
    }
  const key = typeof messageId === 'string' && messageId !== '' ? messageId : `amqp ${randomUUID()}`
  // Anyone who may publish writes it, so that it must see nothing of the application.
  return { mail: { idempotencyKey: key, ...mail, ...('mjml' in mail ? { untrusted: true } : {}) } }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message || error.name : String(error)
}
