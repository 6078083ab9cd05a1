import type * as Amqplib from 'amqplib'
import type { ChannelModel, ConfirmChannel, ConsumeMessage } from 'amqplib'
import { ThreadpostError } from '../index.js'
import type { ResolvedAmqpIntake } from './amqpIntakeOptions.js'

/** A message of the broker, on the session that can acknowledge it. */
export interface Delivery {
  session: AmqpSession
  message: ConsumeMessage
}

/** The properties that a dead letter keeps; amqplib leaves their types open. */
interface KeptProperties {
  headers: Record<string, unknown> | undefined
  messageId: unknown
  contentType: unknown
  contentEncoding: unknown
  correlationId: unknown
  type: unknown
  appId: unknown
  timestamp: unknown
}

/** Why a message can't be accepted, for the headers of the dead letter. */
export interface DeadLetterReason {
  code: string
  path: string
  message: string
}

/** @throws ThreadpostError `START_FAILED` if amqplib isn't installed */
async function loadAmqplib(): Promise<Pick<typeof Amqplib, 'connect'>> {
  try {
    return await import('amqplib')
  } catch (error) {
    throw new ThreadpostError(
      'START_FAILED',
      `The AMQP intake needs a package that you install yourself: npm install amqplib (${(error as Error).message})`,
      { cause: error },
    )
  }
}

/** One connection to the broker, with its queues declared. A lost one is replaced by another session. */
export class AmqpSession {
  readonly #connection: ChannelModel
  readonly #channel: ConfirmChannel
  readonly #settings: ResolvedAmqpIntake
  readonly #onDelivery: (delivery: Delivery) => void
  #consumer: Promise<string> | undefined
  #open = true

  private constructor(
    connection: ChannelModel,
    channel: ConfirmChannel,
    settings: ResolvedAmqpIntake,
    onDelivery: (delivery: Delivery) => void,
  ) {
    this.#connection = connection
    this.#channel = channel
    this.#settings = settings
    this.#onDelivery = onDelivery
  }

  /**
   * Connects, and declares the queue, the dead-letter exchange, and the queue behind it. All survive a restart of the broker.
   * @param onLost called once if the session ends otherwise than by `close()`
   */
  static async open(
    settings: ResolvedAmqpIntake,
    onDelivery: (delivery: Delivery) => void,
    onLost: (problem: string) => void,
  ): Promise<AmqpSession> {
    const { queue, deadLetterExchange, prefetch, url } = settings
    const { connect } = await loadAmqplib()
    const connection = await connect(url, { timeout: 10_000, noDelay: true })
    // Without a listener, an error would end the process. 'close' follows it.
    let problem = 'the connection was closed'
    connection.on('error', (error: Error) => (problem = error.message))
    try {
      const channel = await connection.createConfirmChannel()
      channel.on('error', (error: Error) => (problem = error.message))
      await channel.assertExchange(deadLetterExchange, 'fanout', { durable: true })
      const quorum = { 'x-queue-type': 'quorum' }
      await channel.assertQueue(deadLetterExchange, { durable: true, arguments: quorum })
      await channel.bindQueue(deadLetterExchange, deadLetterExchange, '')
      await channel.assertQueue(queue, {
        durable: true,
        arguments: { ...quorum, 'x-dead-letter-exchange': deadLetterExchange },
      })
      await channel.prefetch(prefetch)
      const session = new AmqpSession(connection, channel, settings, onDelivery)
      const lost = (): void => {
        if (!session.#open) return
        session.#open = false
        connection.close().catch(() => undefined)
        onLost(problem)
      }
      channel.on('close', lost)
      connection.on('close', lost)
      return session
    } catch (error) {
      await connection.close().catch(() => undefined)
      throw error
    }
  }

  /** Whether deliveries of this session can still be acknowledged. The broker delivers those of a lost session again. */
  get isOpen(): boolean {
    return this.#open
  }

  /** Asks the broker for messages. */
  async consume(): Promise<void> {
    if (!this.#open || this.#consumer !== undefined) return
    const consumer = this.#channel
      .consume(this.#settings.queue, (message) => {
        // The broker cancels a consumer whose queue was deleted: the next session declares it again.
        if (message === null) this.#connection.close().catch(() => undefined)
        else this.#onDelivery({ session: this, message })
      })
      .then(({ consumerTag }) => consumerTag)
    this.#consumer = consumer
    await consumer.catch(() => undefined)
  }

  /** Asks the broker for no more messages. Those that it has sent are still to be acknowledged. */
  async pause(): Promise<void> {
    const tag = await this.#consumer?.catch(() => undefined)
    this.#consumer = undefined
    if (tag !== undefined && this.#open) await this.#channel.cancel(tag).catch(() => undefined)
  }

  ack(message: ConsumeMessage): void {
    if (this.#open) unlessClosing(() => this.#channel.ack(message))
  }

  /** Publishes a message to the dead-letter exchange with the reason in its headers, and acknowledges it once the broker has stored it. */
  async deadLetter(message: ConsumeMessage, reason: DeadLetterReason): Promise<void> {
    if (!this.#open) return
    const properties = message.properties as KeptProperties
    const { headers, messageId, contentType, contentEncoding, correlationId, type, appId, timestamp } =
      properties
    const kept = { messageId, contentType, contentEncoding, correlationId, type, appId, timestamp }
    const why = {
      'x-threadpost-code': reason.code,
      'x-threadpost-path': reason.path,
      'x-threadpost-error': reason.message,
    }
    // Properties that aren't UTF-8 grow when they are decoded, and may then be too long to be written again.
    for (const options of [{ ...withoutAbsent(kept), headers: { ...headers, ...why } }, { headers: why }])
      try {
        await this.#publish(message, options)
        return
      } catch {
        // The next form has less in it.
      }
    // The broker itself sends it to the exchange.
    unlessClosing(() => this.#channel.nack(message, false, false))
  }

  /** Rejects if the message can't be encoded, or if the channel is closing. */
  #publish(message: ConsumeMessage, options: Amqplib.Options.Publish): Promise<void> {
    const { deadLetterExchange, queue } = this.#settings
    return new Promise<void>((resolve) => {
      this.#channel.publish(
        deadLetterExchange,
        queue,
        message.content,
        { ...options, persistent: true },
        (error: unknown) => {
          // Not confirmed: the broker delivers the message again after this session.
          if (error === null || error === undefined) this.ack(message)
          resolve()
        },
      )
    })
  }

  async close(): Promise<void> {
    this.#open = false
    await this.#channel.close().catch(() => undefined)
    await this.#connection.close().catch(() => undefined)
  }
}

/** A channel that is closing takes nothing more: the broker delivers the message again after this session. */
function unlessClosing(settle: () => void): void {
  try {
    settle()
  } catch {
    // Nothing is left to do on this channel.
  }
}

function withoutAbsent(values: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined))
}
