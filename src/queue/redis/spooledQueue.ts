import { ThreadpostError } from '../../errors.js'
import { isSettled, type MailJob, newState, type Settlement } from '../../message/messageState.js'
import { type Message, toMessage } from '../../message/messageView.js'
import type { Allowances } from '../../transports/budgets.js'
import type {
  Consumer,
  Enqueued,
  ListQuery,
  MessagePage,
  QueuedMessage,
  QueueDriver,
  QueueStats,
} from '../driver.js'
import { SqliteQueue } from '../sqlite/driver.js'
import { RedisQueue, type RedisQueueOptions } from './driver.js'

/** Milliseconds that a carrier outlives its message: whether that is too late is for Redis to say. */
const LONGER = 30 * 24 * 60 * 60 * 1000

/**
 * A job wrapped in another, for a queue that only hands it on: of one priority, due at once, and never too late, so
 * that the order of acceptance is kept.
 */
function toEnvelopeJson(job: MailJob): MailJob {
  const { attachments, ...inner } = job
  const { notBefore: _, ...carrier } = job
  return {
    ...carrier,
    to: [],
    cc: [],
    bcc: [],
    priority: 5,
    expiresAt: job.expiresAt + LONGER,
    content: { kind: 'literal', text: JSON.stringify(inner) },
    attachments,
  }
}

/** What {@link toEnvelopeJson} wrapped. */
function fromEnvelopeJson({ content, attachments }: MailJob): MailJob {
  const text = content.kind === 'literal' ? content.text : undefined
  return { ...(JSON.parse(text ?? '{}') as Omit<MailJob, 'attachments'>), attachments }
}

/** Messages handed on at a time. */
const AT_A_TIME = 50
/** Milliseconds between two tries to hand on. */
const AGAIN = 250

/**
 * Redis with a file beside it: what comes while Redis is away is accepted into the file, and handed on, in the order
 * of acceptance, when it is back. As long as the file holds something, what comes goes to its end. A message handed
 * on twice is one, since its id is.
 */
export class SpooledQueue implements QueueDriver {
  readonly durable = true
  readonly #options: RedisQueueOptions
  readonly #handedOn = new Set<string>()
  #redis!: RedisQueue
  #spool!: SqliteQueue
  #waiting = 0
  #closing = false

  private constructor(options: RedisQueueOptions) {
    this.#options = options
  }

  /** @throws ThreadpostError `START_FAILED` when the file or Redis can't be used; that Redis is away is no reason. */
  static async open(options: RedisQueueOptions, file: string): Promise<SpooledQueue> {
    const queue = new SpooledQueue(options)
    const { limit, maxAge, retain, logger } = options
    queue.#spool = await SqliteQueue.open({
      file,
      limit,
      maxAge,
      // What was handed on is kept by Redis.
      retain: { ...retain, count: 0 },
      logger,
      changed: ({ state }) => {
        if (state.status === 'queued') queue.#waiting++
        if (isSettled(state.status)) queue.#waiting--
      },
    })
    try {
      const { queued, deferred, sending } = await queue.#spool.stats()
      queue.#waiting = queued + deferred + sending
      queue.#redis = await RedisQueue.open({
        ...options,
        mayWait: true,
        changed: (message) => queue.#announce(message),
      })
      await queue.#spool.start(queue.#forwarder())
    } catch (error) {
      await queue.#spool.close()
      throw error
    }
    return queue
  }

  async enqueue(jobs: readonly MailJob[]): Promise<Enqueued[]> {
    if (this.#waiting > 0) return this.#keep(jobs)
    const answers = await this.#redis.enqueue(jobs)
    const refused = jobs.filter((_, index) => answers[index]?.result === 'unavailable')
    if (refused.length === 0) return answers
    const kept = (await this.#keep(refused)).values()
    return answers.map((answer) => (answer.result === 'unavailable' ? (kept.next().value ?? answer) : answer))
  }

  start(consumer: Consumer): Promise<void> {
    return this.#redis.start(consumer)
  }

  find(id: string): Promise<Message | undefined> {
    return this.#orSpooled(
      id,
      () => this.#redis.find(id),
      (job) => toMessage(job, newState(job)),
    )
  }

  load(id: string): Promise<MailJob | 'dropped' | undefined> {
    return this.#orSpooled(
      id,
      () => this.#redis.load(id),
      (job) => job,
    )
  }

  list(query: ListQuery): Promise<MessagePage> {
    return this.#redis.list(query)
  }

  cancel(id: string): Promise<Message> {
    return this.#redis.cancel(id)
  }

  retry(id: string): Promise<Message> {
    return this.#redis.retry(id)
  }

  markSent(id: string): Promise<Message> {
    return this.#redis.markSent(id)
  }

  pause(): Promise<void> {
    return this.#redis.pause()
  }

  resume(): Promise<void> {
    return this.#redis.resume()
  }

  /** While Redis is away, of what waits here. */
  async stats(): Promise<QueueStats> {
    const spooled = await this.#spool.stats()
    const waiting = spooled.queued + spooled.sending + spooled.deferred
    try {
      const stats = await this.#redis.stats()
      return { ...stats, queued: stats.queued + waiting, accepted: stats.accepted + waiting }
    } catch (error) {
      if (!isUnavailable(error)) throw error
      return { ...spooled, queued: waiting, sending: 0, deferred: 0, accepted: waiting }
    }
  }

  wakeHeld(transports: readonly string[], most: number): Promise<number> {
    return this.#redis.wakeHeld(transports, most)
  }

  get allowances(): Allowances {
    return this.#redis.allowances
  }

  follow(id: string): () => void {
    return this.#redis.follow(id)
  }

  async drain(deadline: number): Promise<void> {
    this.#closing = true
    await Promise.all([this.#redis.drain(deadline), this.#spool.drain(deadline)])
  }

  async close(): Promise<void> {
    this.#closing = true
    await this.#spool.close()
    await this.#redis.close()
  }

  async #keep(jobs: readonly MailJob[]): Promise<Enqueued[]> {
    const answers = await this.#spool.enqueue(jobs.map(toEnvelopeJson))
    jobs.forEach((job, index) => {
      if (answers[index]?.result === 'queued') this.#options.changed({ job, state: newState(job) })
    })
    return answers
  }

  #forwarder(): Consumer {
    return {
      slots: AT_A_TIME,
      cancel: () => false,
      // Handing on again does no harm.
      lost: () => undefined,
      deliver: async ({ job, state }): Promise<Settlement> => {
        const handedOn = await this.#handOn(fromEnvelopeJson(job))
        const decision: Settlement['decision'] = handedOn
          ? { status: 'sent' }
          : { status: 'deferred', nextAttemptAt: Date.now() }
        return { decision, recipients: state.recipients }
      },
    }
  }

  /** Those that fail together are tried again together, so that their order stays. @returns false when it is closed */
  async #handOn(job: MailJob): Promise<boolean> {
    while (!this.#closing) {
      this.#handedOn.add(job.id)
      const [answer] = await this.#redis.enqueue([job])
      this.#handedOn.delete(job.id)
      if (answer?.result === 'conflict')
        this.#options.logger.error(
          { id: job.id },
          'A message kept while Redis was away is dropped: its idempotency key belongs to another mail',
        )
      if (answer?.result !== 'unavailable' && answer?.result !== 'full') return true
      await new Promise((resolve) => setTimeout(resolve, AGAIN))
    }
    return false
  }

  /** That a message is queued was told when it was kept. */
  #announce(message: QueuedMessage): void {
    if (message.state.status === 'queued' && this.#handedOn.has(message.job.id)) return
    this.#options.changed(message)
  }

  async #orSpooled<T>(
    id: string,
    ask: () => Promise<T | undefined>,
    read: (job: MailJob) => T,
  ): Promise<T | undefined> {
    const asked = ask()
    const found = await asked.catch(() => undefined)
    if (found !== undefined) return found
    const kept = await this.#spool.load(id)
    return kept === undefined || kept === 'dropped' ? asked : read(fromEnvelopeJson(kept))
  }
}

function isUnavailable(error: unknown): boolean {
  return error instanceof ThreadpostError && error.code === 'QUEUE_UNAVAILABLE'
}
