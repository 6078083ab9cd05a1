import { type MailContext, runWithContext } from './context.js'
import { ThreadpostError } from './errors.js'
import type { Inbox } from './inbox/inbox.js'
import { type MailerParts, type MailerStats, statsOf } from './mailerParts.js'
import type { Mail, PreparedMail, Receipt, TemplateData, TemplateName } from './message/mail.js'
import { isSettled, type Status } from './message/messageState.js'
import { type Message, type MessagePreview, previewOf } from './message/messageView.js'
import { checkListQuery, forEach, type MessageFilter, pagesOf } from './message/pagination.js'
import type { RenderedParts } from './protocol/tasks.js'
import type { TransportReport } from './protocol/transportConfig.js'
import type { ListQuery, MessagePage } from './queue/driver.js'
import { settleAll } from './settleAll.js'
import type { Listener, MailerEvents } from './telemetry/events.js'
import { LoopDelay } from './telemetry/loopDelay.js'
import type { WaitOptions } from './telemetry/waiters.js'
import type { TemplateInspection, TemplateSummary } from './templates/templateCatalog.js'
import type { ReloadOptions } from './transports/transportManager.js'
import { Validator, LONGEST_TIMER } from './validation.js'

const check: Validator = new Validator('INVALID_OPTIONS')

/** Takes mail in, and tells what became of it. Made by `createMailer()`. */
export class Mailer {
  /** The embedded inbox, where a transport is `inbox:`. */
  readonly inbox: Inbox | undefined
  readonly #parts: MailerParts
  readonly #loopDelay = new LoopDelay()
  #closed: Promise<void> | undefined

  /** @internal */
  constructor(parts: MailerParts) {
    this.#parts = parts
    this.inbox = parts.inbox
  }

  /**
   * Takes a mail, or one that was prepared. Resolves once the queue has it.
   * @throws ThreadpostError `REFUSED`, `INVALID_MESSAGE`, `UNKNOWN_TEMPLATE`, `MISSING_DATA`, `IDEMPOTENCY_CONFLICT`,
   *   `QUEUE_FULL`, `QUEUE_UNAVAILABLE`, `CLOSED`; `UNSUPPORTED` with role 'deliver'
   */
  async send(mail: Mail | PreparedMail): Promise<Receipt> {
    this.#assertAccepts()
    return await this.#parts.intake.take(mail)
  }

  /** As `send()` for each; what is refused stands as an error in its place. */
  async sendMany(mails: readonly (Mail | PreparedMail)[]): Promise<(Receipt | ThreadpostError)[]> {
    this.#assertAccepts()
    return await this.#parts.intake.takeAll(mails)
  }

  /**
   * `send()`, then `wait()`. When the wait ends early the message goes on; a `WAIT_TIMEOUT` carries its `id`.
   */
  async sendAndWait(mail: Mail | PreparedMail, options: WaitOptions = {}): Promise<Message> {
    options.signal?.throwIfAborted()
    const { id } = await this.send(mail)
    return this.wait(id, options)
  }

  /** Checks a mail and gives it its identity, without queueing it. The interceptor sees it when it is sent. */
  prepare(mail: Mail): PreparedMail {
    return this.#parts.intake.prepare(mail)
  }

  /** A message as it stands; undefined where there is none, or none any more. */
  find(id: string): Promise<Message | undefined> {
    const { queue, redaction } = this.#parts
    return queue.find(id).then((message) => message && redaction.message(message))
  }

  /** Newest first. @throws ThreadpostError `INVALID_MESSAGE` with the path of what is wrong in the query */
  async list(query: ListQuery = {}): Promise<MessagePage> {
    const { queue, redaction } = this.#parts
    const page = await queue.list(checkListQuery(query))
    return { ...page, messages: page.messages.map((message) => redaction.message(message)) }
  }

  /**
   * Resolves once the message is settled: sent, partial, failed, expired or cancelled.
   * @throws ThreadpostError `NOT_FOUND`, `WAIT_TIMEOUT`, `CLOSED`
   */
  async wait(id: string, { timeout = 60_000, signal }: WaitOptions = {}): Promise<Message> {
    this.#assertOpen()
    if (timeout !== Infinity) check.timeout(timeout, 'timeout')
    const unfollow = this.#parts.queue.subscribe(id)
    const { settlement, giveUp } = this.#parts.waiters.wait(id, timeout, signal)
    // Looked up after the waiter is in place, so that a settlement in between is not missed.
    settlement.catch(() => undefined)
    try {
      const message = await this.find(id)
      if (message === undefined)
        throw new ThreadpostError('NOT_FOUND', `There is no message ${JSON.stringify(id)}`)
      return isSettled(message.status) ? message : await settlement
    } finally {
      giveUp()
      unfollow()
    }
  }

  /** Takes a message back. @throws ThreadpostError `NOT_FOUND`; `CONFLICT` once it is being sent or settled. */
  async cancel(id: string): Promise<Message> {
    this.#assertOpen()
    return this.#parts.redaction.message(await this.#parts.queue.cancel(id))
  }

  /** Sends a failed, expired, cancelled or held message again, or a deferred one at once. */
  async retry(id: string): Promise<Message> {
    this.#assertOpen()
    return this.#parts.redaction.message(await this.#parts.queue.retry(id))
  }

  /** All messages that fit, newest first, read page by page: for exports. */
  async *messages(query: MessageFilter = {}): AsyncGenerator<Message, void, undefined> {
    for await (const page of pagesOf((part) => this.list(part), query)) yield* page
  }

  /**
   * `retry()` for all messages that fit: `retryAll({ status: 'failed' })` redrives the dead letters.
   * @returns how many went back in line; what somebody else changed meanwhile is left out
   */
  async retryAll(query: MessageFilter & { status: Status }): Promise<number> {
    let count = 0
    for await (const page of pagesOf((part) => this.list(part), query))
      count += await forEach(page, (id) => this.retry(id))
    return count
  }

  /** Settles a held or deferred message of which you know that it arrived. */
  async markSent(id: string): Promise<Message> {
    this.#assertOpen()
    return this.#parts.redaction.message(await this.#parts.queue.markSent(id))
  }

  /**
   * What a template gives with this data, rendered in a thread.
   * @throws ThreadpostError `UNKNOWN_TEMPLATE`, `MISSING_DATA`, `TEMPLATE_ERROR`
   */
  async render<Name extends TemplateName>(
    template: Name,
    data?: TemplateData<Name>,
    options: { locale?: string } = {},
  ): Promise<RenderedParts> {
    this.#assertOpen()
    const { templates, intake } = this.#parts
    return templates.render(template, data, options.locale, intake.context())
  }

  /**
   * What a message says: its parts and its bytes, built in a thread from what the queue keeps of it.
   * @returns undefined where there is no such message
   * @throws ThreadpostError `UNKNOWN_TEMPLATE`, `MISSING_DATA`, `TEMPLATE_ERROR` where it can't be rendered any more
   */
  async preview(id: string): Promise<MessagePreview | undefined> {
    this.#assertOpen()
    return await previewOf(id, this.#parts.queue, this.#parts.runner)
  }

  /**
   * How a template compiles, found out in a thread: why it binds first, what MJML complains of, or what is wrong.
   * @throws ThreadpostError `UNKNOWN_TEMPLATE`
   */
  async inspect(template: string, options: { locale?: string } = {}): Promise<TemplateInspection> {
    this.#assertOpen()
    return this.#parts.templates.inspect(template, options.locale)
  }

  /** The folder of the templates, where there is one. */
  get templateFolder(): string | undefined {
    return this.#parts.templates.folder
  }

  /**
   * Runs something in a context: what it sends, then or later, takes it along.
   * @throws ThreadpostError `INVALID_MESSAGE` where the context isn't plain data, or larger than 4 KB
   */
  runWithContext<T>(context: MailContext, run: () => T): T {
    return runWithContext(context, run)
  }

  /** Names of the templates. */
  get templates(): string[] {
    return this.#parts.templates.names
  }

  /** The templates as their files are now, by name. */
  async describeTemplates(): Promise<TemplateSummary[]> {
    this.#assertOpen()
    return this.#parts.templates.describe()
  }

  /** How the mailer fares: counted since it was made, and as it is now. @throws ThreadpostError `CLOSED` */
  async stats(): Promise<MailerStats> {
    this.#assertOpen()
    return statsOf(this.#parts, this.#loopDelay.read())
  }

  /**
   * Tries a transport, by default the first: connects, secures and authenticates, and sends nothing. What is wrong is
   * in the report.
   * @throws ThreadpostError `INVALID_OPTIONS` where there is no such transport
   */
  async verify(transport?: string): Promise<TransportReport> {
    this.#assertOpen()
    return this.#parts.transports.verify(transport)
  }

  /**
   * Gives transports other settings, such as a new password, while mail goes out. What was begun ends on its old
   * connection, what waits goes by the new settings, and what was held is tried again when its time comes. Or brings
   * other globals, setup and helpers into the threads, between two mails.
   * @throws ThreadpostError `INVALID_OPTIONS`; then everything stays as it was
   */
  async reload(options: ReloadOptions): Promise<void> {
    this.#assertOpen()
    const { templates, ...others } = options
    if (templates === undefined) return this.#parts.transports.reload(options)
    if (Object.keys(others).length > 0)
      throw new ThreadpostError('INVALID_OPTIONS', 'templates: reload transports and templates one by one', {
        path: 'templates',
      })
    return this.#parts.templates.reload(templates)
  }

  /** Nothing further is handed out until `resume()`; mail is still accepted. */
  async pause(): Promise<void> {
    this.#assertOpen()
    await this.#parts.queue.pause()
  }

  /** What waits goes out again. */
  async resume(): Promise<void> {
    this.#assertOpen()
    await this.#parts.queue.resume()
  }

  /** Calls a listener at each event; what it throws is logged and harms nothing. */
  on<K extends keyof MailerEvents>(name: K, listener: Listener<MailerEvents[K]>): this {
    this.#parts.events.on(name, listener)
    return this
  }

  /** As `on()`, for the next event only. */
  once<K extends keyof MailerEvents>(name: K, listener: Listener<MailerEvents[K]>): this {
    this.#parts.events.once(name, listener)
    return this
  }

  /** Takes a listener away. */
  off<K extends keyof MailerEvents>(name: K, listener: Listener<MailerEvents[K]>): this {
    this.#parts.events.off(name, listener)
    return this
  }

  /**
   * Takes nothing more, waits for what is being delivered, at most `deadline` ms, ends the SMTP sessions and the
   * threads. What is still queued stays in a durable queue.
   */
  async close({ deadline = 10_000 }: { deadline?: number } = {}): Promise<void> {
    const patience = Math.min(check.number(deadline, 'deadline', 0), LONGEST_TIMER)
    this.#closed ??= this.#close(patience)
    return this.#closed
  }

  #close(deadline: number): Promise<void> {
    const { lookout, queue, dispatcher, runner, waiters } = this.#parts
    this.#loopDelay.close()
    return settleAll([
      () => lookout?.close(),
      () => queue.drain(deadline),
      () => dispatcher.close(),
      () => runner.close(),
      () => queue.close(),
      () => waiters.close(),
      () => this.inbox?.close(),
    ])
  }

  #assertAccepts(): void {
    this.#assertOpen()
    if (!this.#parts.accepts)
      throw new ThreadpostError(
        'UNSUPPORTED',
        "A mailer with role 'deliver' takes no mail; send it with another",
      )
  }

  #assertOpen(): void {
    if (this.#closed !== undefined) throw new ThreadpostError('CLOSED', 'The mailer is closed')
  }
}
