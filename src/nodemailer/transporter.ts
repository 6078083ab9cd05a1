import { EventEmitter } from 'node:events'
import type { MailDefaults, SendMailOptions } from 'nodemailer'
import { type Mail, ThreadpostError } from '../index.js'
import { Validator, isPlainObject, kindOf } from '../validation.js'
import { composedField, withoutComposedContent } from './composedFields.js'
import { type ContentAccess, readSources } from './contentSources.js'
import { extractDataImages } from './dataUrls.js'
import type { BuildRequest, Delivery, Plugin, PreparedMessage } from './delivery.js'
import { unsupported } from './fields.js'
import { runCompilePlugins } from './localDelivery.js'
import type { SentMessageInfo } from './sentMessageInfo.js'
import { hasRaw, toMail, withDefaults } from './toMail.js'
import { withoutUnset } from './unsetFields.js'

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
      | 'stream'
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

export interface TransporterParts {
  delivery: Delivery
  defaults: MailDefaults
  /** Fields that the transport's options force on every message. */
  forced: Readonly<Record<string, unknown>>
  access: Pick<ContentAccess, 'files' | 'allowPrivateHosts'>
}

const check: Validator = new Validator('INVALID_MESSAGE')

/** Result of `createTransport()`: nodemailer's interface with threadpost behind it. Emits `idle`. */
export class Transporter extends EventEmitter {
  readonly #parts: TransporterParts
  readonly #compilePlugins: Plugin[] = []
  readonly #streamPlugins: Plugin[] = []
  /** Messages that were not handed over to the delivery yet. */
  readonly #preparing = new Set<Promise<unknown>>()
  #closed = false

  /** @internal */
  constructor(parts: TransporterParts) {
    super()
    this.#parts = parts
    setImmediate(() => this.announceIdle())
  }

  /**
   * Sends a message in a worker thread, with retries, and resolves with the outcome.
   * @throws SendMailError if the message was not sent, or its content can't be read; ThreadpostError `UNSUPPORTED`,
   * `INVALID_MESSAGE`, `WAIT_TIMEOUT`, …
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
    return !this.#closed && this.#parts.delivery.isIdle(this.#preparing.size)
  }

  /** Waits for messages in progress, then closes the mailer, unless it was passed to `createTransport()`. */
  async close(): Promise<void> {
    this.#closed = true
    while (this.#preparing.size > 0) await Promise.allSettled(this.#preparing)
    await this.#parts.delivery.close()
  }

  /**
   * Adds a plugin, which runs in the calling thread before the message is queued. In the step `compile` it changes the message; in the
   * step `stream` it works on the MIME tree and the bytes, so that nodemailer's composer builds every message in the calling thread.
   * @throws ThreadpostError `UNSUPPORTED` for other steps
   */
  use(step: string, plugin: Plugin): this {
    if (step !== 'compile' && step !== 'stream')
      unsupported(`use('${step.slice(0, 40)}')`, "The steps are 'compile' and 'stream'.")
    check.callback(plugin, 'plugin')
    const plugins = step === 'compile' ? this.#compilePlugins : this.#streamPlugins
    plugins.push(plugin)
    return this
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

  /**
   * Emits `idle` if it is.
   * @internal
   */
  announceIdle(): void {
    if (this.isIdle()) this.emit('idle')
  }

  async #send(message: MailOptions): Promise<SentMessageInfo> {
    const signal = message.signal
    signal?.throwIfAborted()
    this.#assertOpen()
    const preparing = this.#prepare(message, signal)
    this.#preparing.add(preparing)
    try {
      const prepared = await preparing
      signal?.throwIfAborted()
      return await this.#handOver(preparing, prepared)
    } catch (error) {
      if (this.#preparing.delete(preparing)) this.announceIdle()
      throw error
    }
  }

  /** A message is always either in preparation or known to the delivery, so `close()` and `isIdle()` miss none. */
  #handOver(preparing: Promise<unknown>, prepared: PreparedMessage): Promise<SentMessageInfo> {
    const sending = this.#parts.delivery.send(prepared)
    this.#preparing.delete(preparing)
    return sending
  }

  async #prepare(message: MailOptions, signal: AbortSignal | undefined): Promise<PreparedMessage> {
    const { defaults, forced } = this.#parts
    if (!isPlainObject(message)) check.fail('', `A message must be an object, got ${kindOf(message)}`)
    const complete = withoutUnset({
      ...withDefaults(message, defaults as Record<string, unknown>),
      ...forced,
    })
    let input = await readSources(complete, this.#accessOf(complete))
    if (this.#compilePlugins.length > 0) input = await this.#compiled(input)
    if (input['attachDataUrls'] === true) input = withAttachedImages(input)
    const build = this.#buildRequest(input)
    const rest = build === undefined || hasRaw(input) ? input : withoutComposedContent(input, build.reason)
    const { mail, date } = toMail(rest, this.#compilePlugins.length + this.#streamPlugins.length > 0)
    return {
      input,
      mail,
      signal,
      ...(date === undefined ? {} : { date }),
      ...(build === undefined ? {} : { build }),
    }
  }

  #buildRequest(input: Readonly<Record<string, unknown>>): BuildRequest | undefined {
    const plugins = [...this.#streamPlugins]
    if (plugins.length > 0) return { reason: "use('stream')", plugins }
    const reason = hasRaw(input) ? undefined : composedField(input)
    return reason === undefined ? undefined : { reason, plugins }
  }

  /** Sources that a plugin added are read too. Fields for the plugin's own templates are no templates of threadpost. */
  async #compiled(input: Record<string, unknown>): Promise<Record<string, unknown>> {
    const compiled = await runCompilePlugins(this.#compilePlugins, input)
    const hasBody = (message: Record<string, unknown>): boolean =>
      (message['html'] ?? message['text'] ?? undefined) !== undefined
    if (!hasBody(input) && hasBody(compiled)) {
      delete compiled['template']
      delete compiled['context']
    }
    return readSources(compiled, this.#accessOf(input))
  }

  #accessOf(message: Readonly<Record<string, unknown>>): ContentAccess {
    const { access, defaults, delivery } = this.#parts
    // A message can't open what the defaults close.
    const closed = (key: 'disableFileAccess' | 'disableUrlAccess'): boolean =>
      defaults[key] === true || message[key] === true
    return {
      ...access,
      maxBytes: delivery.maxMessageSize,
      disableFileAccess: closed('disableFileAccess'),
      disableUrlAccess: closed('disableUrlAccess'),
    }
  }

  async #verify(): Promise<true> {
    this.#assertOpen()
    return this.#parts.delivery.verify()
  }

  #assertOpen(): void {
    if (this.#closed) throw new ThreadpostError('CLOSED', 'The transporter is closed')
  }
}

/** Turns the `data:` images of the HTML part into inline attachments. */
function withAttachedImages(input: Record<string, unknown>): Record<string, unknown> {
  const { html: value, attachments } = input
  const content = isPlainObject(value) ? value['content'] : value
  const text = content instanceof Uint8Array ? Buffer.from(content).toString('utf8') : content
  if (typeof text !== 'string') return input
  const { html, images } = extractDataImages(text)
  if (images.length === 0) return input
  const others: unknown[] = Array.isArray(attachments) ? attachments : []
  return { ...input, html, attachments: [...others, ...images] }
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
