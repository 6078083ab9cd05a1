import { type MailContext, runWithContext } from './context.js'
import { ThreadpostError } from './errors.js'
import type { Feedback } from './feedback/feedback.js'
import type { Inbox } from './inbox/inbox.js'
import type { RedactOptions } from './logging/redaction.js'
import {
  checkDeadline,
  closeParts,
  acceptanceOf,
  type MailerParts,
  type MailerStats,
  type PauseOptions,
  reloadParts,
  setPaused,
  statsOf,
} from './mailerParts.js'
import type { Acceptance, SendResult } from './message/acceptance.js'
import type { Mail, PreparedMail, Receipt } from './message/mail.js'
import type { Status } from './message/messageState.js'
import { type Message, type MessagePreview, previewOf } from './message/messageView.js'
import {
  applyToAll,
  countMessages,
  listMessages,
  type MessageCount,
  type MessageFilter,
  pagesOf,
} from './message/pagination.js'
import type { ResendChanges } from './message/resend.js'
import type { TemplateData, TemplateLocale, TemplateName } from './message/templateTypes.js'
import type { SendOptions } from './message/transactions.js'
import type { EraseOptions, Erasure } from './privacy/erase.js'
import type { RenderedParts } from './protocol/tasks.js'
import type { TransportReport } from './protocol/transportConfig.js'
import { cancelManually, markSentManually, retryManually } from './queue/actions.js'
import type { ListQuery, MessagePage } from './queue/driver.js'
import type { Schedule, ScheduleInput } from './schedules/schedule.js'
import type { Suppressions } from './suppressions/suppressions.js'
import type { Listener, MailerEvents } from './telemetry/events.js'
import { Monitoring } from './telemetry/monitoring.js'
import { checkWait, type WaitOptions } from './telemetry/waiters.js'
import type { TemplateInspection, TemplateSummary } from './templates/templateCatalog.js'
import type { ReloadOptions } from './transports/transportManager.js'
import type { TransportInput } from './transports/transportOptions.js'
import type { TransportLimits } from './transports/transportSettings.js'
import type { Webhooks } from './webhooks/webhooks.js'

/** Accepts mail, delivers it, and reports what happened to it. Created by `createMailer()`. */
export class Mailer {
  /** The embedded inbox, if a transport is `inbox:`. */
  readonly inbox: Inbox | undefined
  /** The figures of the queue and of all processes on it. */
  readonly monitoring: Monitoring = new Monitoring(() => this.#open)
  /** The list of addresses that get no more mail. */
  readonly suppressions: Suppressions
  /** The endpoints that receive the events, if the option `webhooks` is set. */
  readonly webhooks: Webhooks | undefined
  readonly #parts: MailerParts
  #closed: Promise<void> | undefined

  /** @internal */
  constructor(parts: MailerParts) {
    this.#parts = parts
    this.inbox = parts.inbox
    this.suppressions = parts.suppressions
    this.webhooks = parts.webhooks
  }

  /**
   * Sends a mail, or a prepared mail. Resolves once the queue has stored it; with `tx`, it goes out if that transaction commits.
   * @throws ThreadpostError `REFUSED`, `INVALID_MESSAGE`, `UNKNOWN_TEMPLATE`, `MISSING_DATA`, `IDEMPOTENCY_CONFLICT`, `QUEUE_FULL`, `QUEUE_UNAVAILABLE`, `CLOSED`; `UNSUPPORTED` with role 'deliver', or for `tx` without a queue on Postgres
   */
  async send(mail: Mail | PreparedMail, options: SendOptions = {}): Promise<Receipt> {
    return await this.#acceptance.take(mail, options)
  }

  /** Sends each mail as `send()` does. The result of a mail that was not accepted is its error, in the same place. */
  async sendMany(mails: readonly (Mail | PreparedMail)[], options: SendOptions = {}): Promise<SendResult[]> {
    return await this.#acceptance.takeAll(mails, options)
  }

  /** Calls `send()`, then `wait()`. If the wait ends early, delivery continues; a `WAIT_TIMEOUT` error has the message's `id`. */
  async sendAndWait(mail: Mail | PreparedMail, options: WaitOptions = {}): Promise<Message> {
    checkWait(options)
    const { id } = await this.send(mail)
    return this.wait(id, options)
  }

  /** Validates a mail and gives it an identity, without queueing it. The interceptor is called when the mail is sent. */
  prepare(mail: Mail): PreparedMail {
    return this.#parts.acceptance.prepare(mail)
  }

  /** Returns a message in its current state, or undefined if it doesn't exist or is no longer kept. */
  find(id: string): Promise<Message | undefined> {
    return this.#parts.queue.find(id).then((message) => message && this.#parts.redaction.message(message))
  }

  /** Lists messages, newest first. @throws ThreadpostError `INVALID_MESSAGE` with the path of the invalid field of the query */
  async list(query: ListQuery = {}): Promise<MessagePage> {
    return listMessages(this.#parts, query)
  }

  /** Resolves once the message is settled: sent, partial, failed, expired or cancelled. @throws ThreadpostError `NOT_FOUND`, `WAIT_TIMEOUT`, `CLOSED` */
  async wait(id: string, options: WaitOptions = {}): Promise<Message> {
    const { acceptance, queue, waiters } = this.#open
    const lookup = acceptance.lookup(id, () => this.find(id))
    return waiters.follow(queue, id, lookup, options)
  }

  /** Takes in reports of what happened after the next server accepted a message. A report may come twice, late, or out of order. @returns how many could be matched to a recipient of a message @throws ThreadpostError `INVALID_MESSAGE`, `QUEUE_UNAVAILABLE` */
  async report(...reports: Parameters<Feedback['report']>): Promise<number> {
    return (await this.#open.feedback()).report(...reports)
  }

  /** Cancels a message. @throws ThreadpostError `NOT_FOUND`; `CONFLICT` if it is settled or its envelope is already on its way */
  async cancel(id: string): Promise<Message> {
    return this.#open.redaction.message(await this.#parts.queue.act(id, cancelManually))
  }

  /** Erases a recipient's address: from settled messages with their content, from waiting ones as a recipient (without another one they are cancelled), from schedules and webhook events, and the archive's messages for it. Call it again if messages are `inProgress`. @throws ThreadpostError `INVALID_MESSAGE`, `QUEUE_UNAVAILABLE` */
  async erase(address: string, options: EraseOptions = {}): Promise<Erasure> {
    return (await import('./privacy/erase.js')).erase(this.#open, address, options)
  }

  /** Requeues a failed, expired, cancelled or held message, or sends a deferred one immediately. */
  async retry(id: string): Promise<Message> {
    return this.#open.redaction.message(await this.#parts.queue.act(id, retryManually))
  }

  /** Sends a settled message again, as a new one with `resendOf`. @throws ThreadpostError `NOT_FOUND`, `CONFLICT`, and as `send()` */
  async sendAgain(id: string, changes: ResendChanges = {}): Promise<Receipt> {
    return await this.#acceptance.takeAgain(id, changes)
  }

  /** Counts the matching messages, 10,000 at most. @throws ThreadpostError `INVALID_MESSAGE` as `list()` */
  count(query: MessageFilter = {}): Promise<MessageCount> {
    return countMessages(this.#parts.queue, query)
  }

  /** Yields all matching messages, newest first, reading page by page. Useful for exports. */
  async *messages(query: MessageFilter = {}): AsyncGenerator<Message, void, undefined> {
    for await (const page of pagesOf((part) => this.list(part), query)) yield* page
  }

  /**
   * Calls `retry()` for all matching messages: `retryAll({ status: 'failed' })` requeues every failed message.
   * @returns the number of requeued messages; messages that changed meanwhile are skipped
   */
  async retryAll(query: MessageFilter & { status: Status }): Promise<number> {
    const retry = (id: string): Promise<Message> => this.retry(id)
    return applyToAll((part) => this.list(part), query, retry)
  }

  /** Settles a held or deferred message that you know has arrived. */
  async markSent(id: string): Promise<Message> {
    return this.#open.redaction.message(await this.#parts.queue.act(id, markSentManually))
  }

  /** Renders a template with this data in a thread. @throws ThreadpostError `UNKNOWN_TEMPLATE`, `MISSING_DATA`, `TEMPLATE_ERROR` */
  async render<Name extends TemplateName>(
    template: Name,
    data?: TemplateData<Name>,
    options: { locale?: TemplateLocale } = {},
  ): Promise<RenderedParts> {
    return this.#open.templates.render(template, data, options, this.#parts.acceptance.context())
  }

  /** Returns the content of a message, its parts and its bytes, built in a thread from the stored mail. @returns undefined if there is no such message @throws ThreadpostError `UNKNOWN_TEMPLATE`, `MISSING_DATA`, `TEMPLATE_ERROR` if it can no longer be rendered */
  async preview(id: string): Promise<MessagePreview | undefined> {
    return await previewOf(id, this.#parts.queue, this.#open.runner)
  }

  /** Compiles a template in a thread and reports why it is rendered per message, MJML's warnings, or its error. @throws ThreadpostError `UNKNOWN_TEMPLATE` */
  async inspect(template: string, options: { locale?: TemplateLocale } = {}): Promise<TemplateInspection> {
    return this.#open.templates.inspect(template, options)
  }

  /** The option `redact`, with its defaults. */
  get redact(): Readonly<Required<RedactOptions>> {
    return this.#parts.redaction.options
  }

  /** The template folder, if there is one. */
  get templateFolder(): string | undefined {
    return this.#parts.templates.folder
  }

  /** Runs a function in a context. Every mail that it sends, immediately or later, carries that context. @throws ThreadpostError `INVALID_MESSAGE` if the context isn't plain data, or is larger than 4 KB */
  runWithContext<T>(context: MailContext, run: () => T): T {
    return runWithContext(context, run)
  }

  /** The names of the templates. */
  get templates(): string[] {
    return this.#parts.templates.names
  }

  /** Describes the templates as their files are now, ordered by name. */
  async describeTemplates(): Promise<TemplateSummary[]> {
    return this.#open.templates.describe()
  }

  /** Returns statistics: counts of this process since the mailer was created, and its current state. @throws ThreadpostError `CLOSED` */
  async stats(): Promise<MailerStats> {
    return statsOf(this.#open)
  }

  /**
   * Tests a transport, by default the first one: connects, negotiates TLS, authenticates, and compares each DKIM key with
   * its DNS record, but sends nothing. The report contains any error.
   * @throws ThreadpostError `INVALID_OPTIONS` if there is no such transport, `UNSUPPORTED` if the mailer has none
   */
  async verify(transport?: string): Promise<TransportReport> {
    return this.#open.transports.verify(transport)
  }

  /**
   * Changes the settings of transports, such as a password, while mail is being sent: deliveries in progress finish on their old
   * connection, others use the new one. Or loads new globals, setup and helpers into the threads, between two mails.
   * @throws ThreadpostError `INVALID_OPTIONS`; nothing has changed then
   */
  async reload(options: ReloadOptions): Promise<void> {
    return reloadParts(this.#open, options)
  }

  /** Adds a transport, in this process only. Mail that is held for it is sent. @throws ThreadpostError `INVALID_OPTIONS` */
  async addTransport(name: string, transport: TransportInput): Promise<void> {
    await this.#open.transports.add(name, transport)
  }

  /** Removes a transport. Mail that waits for it is held. Resolves when its deliveries in progress have ended. @throws ThreadpostError `INVALID_OPTIONS` if there is no such transport */
  async removeTransport(name: string): Promise<void> {
    await this.#open.transports.remove(name)
  }

  /** Stops sending, or only over one transport, until `resume()`; mail is still accepted. @throws ThreadpostError `INVALID_OPTIONS` */
  async pause(options: PauseOptions = {}): Promise<void> {
    await setPaused(this.#open, true, options)
  }

  /** Continues sending, or sending over a transport that was paused. @throws ThreadpostError as `pause()` */
  async resume(options: PauseOptions = {}): Promise<void> {
    await setPaused(this.#open, false, options)
  }

  /** Changes the limits of a transport, in every process on the queue. @throws ThreadpostError as `pause()` */
  async changeTransport(name: string, limits: TransportLimits, { by }: { by?: string } = {}): Promise<void> {
    await this.#open.settings.limit(name, limits, by)
  }

  /** Sends a mail at the times of a cron expression, whatever the number of processes. @throws ThreadpostError `INVALID_OPTIONS`, and as `send()` */
  async schedule(name: string, schedule: ScheduleInput): Promise<Schedule> {
    return this.#open.scheduler.add(name, schedule)
  }

  /** Removes a schedule. @returns whether there was one */
  async unschedule(name: string): Promise<boolean> {
    return this.#open.scheduler.remove(name)
  }

  /** Returns the schedules of all processes on the queue, in the order of their names. */
  async schedules(): Promise<Schedule[]> {
    return this.#open.scheduler.list()
  }

  /** Calls the listener on each event. An error that it throws is logged and has no other effect. @throws ThreadpostError `INVALID_OPTIONS` */
  on<K extends keyof MailerEvents>(name: K, listener: Listener<MailerEvents[K]>): this {
    this.#parts.events.on(name, listener)
    return this
  }

  /** Calls the listener on the next event only. */
  once<K extends keyof MailerEvents>(name: K, listener: Listener<MailerEvents[K]>): this {
    this.#parts.events.once(name, listener)
    return this
  }

  /** Removes a listener. */
  off<K extends keyof MailerEvents>(name: K, listener: Listener<MailerEvents[K]>): this {
    this.#parts.events.off(name, listener)
    return this
  }

  /** Stops accepting mail, waits at most `deadline` ms for deliveries in progress, then ends the sessions and threads. A durable queue keeps waiting messages. */
  async close({ deadline = 10_000 }: { deadline?: number } = {}): Promise<void> {
    checkDeadline(deadline)
    return (this.#closed ??= closeParts(this.#parts, deadline))
  }

  get #acceptance(): Acceptance {
    return acceptanceOf(this.#open)
  }

  /** The parts, while the mailer is open. @throws ThreadpostError `CLOSED` */
  get #open(): MailerParts {
    if (this.#closed !== undefined) throw new ThreadpostError('CLOSED', 'The mailer is closed')
    return this.#parts
  }
}
