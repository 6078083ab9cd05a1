import type { TransportStatus } from './breaker.js'
import type { Dispatcher } from './dispatcher.js'
import { ThreadpostError } from './errors.js'
import type { Events } from './events.js'
import { type Listener, type MailerEvents, messageEvent } from './events.js'
import type { Inbox } from './inbox/inbox.js'
import type { Mail, PreparedMail, Receipt } from './mail.js'
import { isPrepared, manifestOf, type MessageRules, toJob, toTemplateContent } from './message.js'
import { fromPrepared, toPrepared } from './prepare.js'
import type {
  ChangeListener,
  Enqueued,
  ListQuery,
  MessagePage,
  QueueDriver,
  QueueStats,
} from './queue/driver.js'
import { isSettled, type MailJob, type Message, type Status, toMessage } from './record.js'
import type { Runner, ThreadStatus } from './runner.js'
import type { Waiters } from './waiters.js'
import { type WaitOptions } from './waiters.js'
import type { RenderedParts } from './wire.js'

/** Messages read at a time where all are wanted. */
const PAGE = 500

export interface MailerStats extends QueueStats {
  threads: ThreadStatus[]
  transports: TransportStatus[]
}

/** What {@link createMailer} put together. */
export interface MailerParts {
  rules: MessageRules
  events: Events
  waiters: Waiters
  runner: Runner
  queue: QueueDriver
  dispatcher: Dispatcher
  inbox?: Inbox
}

/** Takes mail in, and tells what became of it. Made by `createMailer()`. */
export class Mailer {
  /** The embedded inbox, where a transport is `inbox:`. */
  readonly inbox: Inbox | undefined
  readonly #parts: MailerParts
  #closed: Promise<void> | undefined

  /** @internal */
  constructor(parts: MailerParts) {
    this.#parts = parts
    this.inbox = parts.inbox
  }

  /**
   * Takes a mail, or one that was prepared. Resolves once the queue has it.
   * @throws ThreadpostError `INVALID_MESSAGE`, `UNKNOWN_TEMPLATE`, `MISSING_DATA`, `IDEMPOTENCY_CONFLICT`,
   *   `QUEUE_FULL`, `QUEUE_UNAVAILABLE`, `CLOSED`
   */
  async send(mail: Mail | PreparedMail): Promise<Receipt> {
    this.#assertOpen()
    const job = this.#toJob(mail)
    const [answer] = await this.#parts.queue.enqueue([job])
    const receipt = this.#receipt(job, answer)
    if (receipt instanceof ThreadpostError) throw receipt
    return receipt
  }

  /** As `send()` for each; what is refused stands as an error in its place. */
  async sendMany(mails: readonly (Mail | PreparedMail)[]): Promise<(Receipt | ThreadpostError)[]> {
    this.#assertOpen()
    const jobs = mails.map((mail) => {
      try {
        return this.#toJob(mail)
      } catch (error) {
        if (error instanceof ThreadpostError) return error
        throw error
      }
    })
    const accepted = jobs.filter((job): job is MailJob => !(job instanceof ThreadpostError))
    const answers = (await this.#parts.queue.enqueue(accepted)).values()
    return jobs.map((job) =>
      job instanceof ThreadpostError ? job : this.#receipt(job, answers.next().value),
    )
  }

  /** `send()`, then `wait()`. */
  async sendAndWait(mail: Mail | PreparedMail, options: WaitOptions = {}): Promise<Message> {
    const { id } = await this.send(mail)
    return this.wait(id, options)
  }

  /** Checks a mail and gives it its identity, without queueing it. */
  prepare(mail: Mail): PreparedMail {
    return toPrepared(mail as unknown as Record<string, unknown>, this.#toJob(mail))
  }

  find(id: string): Promise<Message | undefined> {
    return this.#parts.queue.find(id)
  }

  /** Newest first. */
  list(query: ListQuery = {}): Promise<MessagePage> {
    return this.#parts.queue.list(query)
  }

  /**
   * Resolves once the message is settled: sent, partial, failed, expired or cancelled.
   * @throws ThreadpostError `NOT_FOUND`, `WAIT_TIMEOUT`, `CLOSED`
   */
  async wait(id: string, options: WaitOptions = {}): Promise<Message> {
    this.#assertOpen()
    const unfollow = this.#parts.queue.follow(id)
    const settlement = this.#parts.waiters.wait(id, options).finally(unfollow)
    // Looked up after the waiter is in place, so that a settlement in between is not missed.
    settlement.catch(() => undefined)
    const message = await this.find(id)
    if (message === undefined)
      throw new ThreadpostError('NOT_FOUND', `There is no message ${JSON.stringify(id)}`)
    if (isSettled(message.status)) this.#parts.waiters.settled(message)
    return settlement
  }

  /** Takes a message back. @throws ThreadpostError `NOT_FOUND`; `CONFLICT` once it is being sent or settled. */
  cancel(id: string): Promise<Message> {
    return this.#parts.queue.cancel(id)
  }

  /** Sends a failed, expired, cancelled or held message again, or a deferred one at once. */
  retry(id: string): Promise<Message> {
    return this.#parts.queue.retry(id)
  }

  /** All messages that fit, newest first, read page by page: for exports. */
  async *messages(query: Omit<ListQuery, 'limit' | 'cursor'> = {}): AsyncGenerator<Message, void, undefined> {
    let page = await this.list({ ...query, limit: PAGE })
    for (;;) {
      yield* page.messages
      if (page.cursor === undefined) return
      page = await this.list({ ...query, limit: PAGE, cursor: page.cursor })
    }
  }

  /**
   * `retry()` for all messages that fit: `retryAll({ status: 'failed' })` redrives the dead letters.
   * @returns how many went back in line; what somebody else changed meanwhile is left out
   */
  async retryAll(query: Omit<ListQuery, 'limit' | 'cursor'> & { status: Status }): Promise<number> {
    let count = 0
    let page = await this.list({ ...query, limit: PAGE })
    for (;;) {
      const retried = await Promise.allSettled(page.messages.map(({ id }) => this.retry(id)))
      for (const result of retried) {
        if (result.status === 'fulfilled') count++
        else if (!isPassedOver(result.reason)) throw result.reason
      }
      if (page.cursor === undefined) return count
      page = await this.list({ ...query, limit: PAGE, cursor: page.cursor })
    }
  }

  /** Settles a held or deferred message of which you know that it arrived. */
  markSent(id: string): Promise<Message> {
    return this.#parts.queue.markSent(id)
  }

  /**
   * What a template gives with this data, rendered in a thread.
   * @throws ThreadpostError `UNKNOWN_TEMPLATE`, `MISSING_DATA`, `TEMPLATE_ERROR`
   */
  async render(
    template: string,
    data: object = {},
    options: { locale?: string } = {},
  ): Promise<RenderedParts> {
    this.#assertOpen()
    manifestOf(template, this.#parts.rules.templates)
    const result = await this.#parts.runner.render(toTemplateContent(template, data, options.locale))
    if (result.ok) return result.parts
    const { code, message, location, missing } = result.outcome
    const known = code === 'MISSING_DATA' || code === 'UNKNOWN_TEMPLATE' ? code : 'TEMPLATE_ERROR'
    throw new ThreadpostError(known, message, {
      ...(location === undefined ? {} : { location }),
      ...(missing === undefined ? {} : { paths: missing, path: `data.${missing[0] ?? ''}` }),
    })
  }

  /** Names of the templates. */
  get templates(): string[] {
    return [...this.#parts.rules.templates.keys()]
  }

  async stats(): Promise<MailerStats> {
    this.#assertOpen()
    return {
      ...(await this.#parts.queue.stats()),
      threads: this.#parts.runner.threads(),
      transports: this.#parts.dispatcher.transports(),
    }
  }

  /** Nothing further is handed out until `resume()`; mail is still accepted. */
  pause(): Promise<void> {
    return this.#parts.queue.pause()
  }

  resume(): Promise<void> {
    return this.#parts.queue.resume()
  }

  on<K extends keyof MailerEvents>(name: K, listener: Listener<MailerEvents[K]>): this {
    this.#parts.events.on(name, listener)
    return this
  }

  once<K extends keyof MailerEvents>(name: K, listener: Listener<MailerEvents[K]>): this {
    this.#parts.events.once(name, listener)
    return this
  }

  off<K extends keyof MailerEvents>(name: K, listener: Listener<MailerEvents[K]>): this {
    this.#parts.events.off(name, listener)
    return this
  }

  /**
   * Takes nothing more, waits for what is being delivered, at most `deadline` ms, ends the SMTP sessions and the
   * threads. What is still queued stays in a durable queue.
   */
  close(options: { deadline?: number } = {}): Promise<void> {
    this.#closed ??= this.#close(options.deadline ?? 10_000)
    return this.#closed
  }

  async #close(deadline: number): Promise<void> {
    const { queue, runner, waiters } = this.#parts
    await queue.drain(deadline)
    await runner.close()
    await queue.close()
    waiters.close()
    await this.inbox?.close()
  }

  #toJob(mail: Mail | PreparedMail): MailJob {
    const now = Date.now()
    if (!isPrepared(mail)) return toJob(mail, this.#parts.rules, now)
    const prepared = fromPrepared(mail)
    return toJob(prepared.mail, this.#parts.rules, now, prepared.identity)
  }

  #receipt(job: MailJob, answer: Enqueued | undefined): Receipt | ThreadpostError {
    const { durable } = this.#parts.queue
    switch (answer?.result) {
      case 'queued':
        return { id: job.id, messageId: job.messageId, status: 'queued', durable, duplicate: false }
      case 'duplicate':
        return { id: answer.id, messageId: answer.messageId, status: 'queued', durable, duplicate: true }
      case 'conflict':
        return new ThreadpostError(
          'IDEMPOTENCY_CONFLICT',
          'idempotencyKey: was used before with another mail; use a new key for a new mail',
          { path: 'idempotencyKey' },
        )
      case 'full':
        return new ThreadpostError(
          'QUEUE_FULL',
          `The queue is full: ${this.#parts.rules.options.limits.queue} messages wait (limits.queue). Try again later`,
        )
      case 'unavailable':
        return new ThreadpostError('QUEUE_UNAVAILABLE', answer.problem)
      case undefined:
        throw new Error('the queue left a job without an answer')
    }
  }

  #assertOpen(): void {
    if (this.#closed !== undefined) throw new ThreadpostError('CLOSED', 'The mailer is closed')
  }
}

/** Somebody else has changed or forgotten the message since it was listed. */
function isPassedOver(reason: unknown): boolean {
  return reason instanceof ThreadpostError && (reason.code === 'CONFLICT' || reason.code === 'NOT_FOUND')
}

/** Tells listeners and waiters of each change, once the queue has it. */
export function announceTo(events: Events, waiters: Waiters): ChangeListener {
  return (message) => {
    const { job, state } = message
    events.emit(state.status, () => messageEvent(message))
    if (isSettled(state.status) && waiters.has(job.id)) waiters.settled(toMessage(job, state))
  }
}
