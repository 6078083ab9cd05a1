import { ThreadpostError } from '../../errors.js'
import { isSettled, type MailJob, newState, type Settlement } from '../../message/messageState.js'
import { type Message, toMessage } from '../../message/messageView.js'
import { parseJson } from '../../protocol/parseJson.js'
import type { Allowances } from '../../transports/rateLimiter.js'
import type { ManualAction } from '../actions.js'
import type {
  Consumer,
  EnqueueResult,
  ListQuery,
  MessagePage,
  QueuedMessage,
  QueueDriver,
  QueueStats,
} from '../driver.js'
import type { SharedRecords } from '../records.js'
import type { ServerOperations } from '../serverOperations.js'
import { SqliteQueue } from '../sqlite/driver.js'
import { unreadableSettlement } from '../unreadable.js'
import { RedisQueue, type RedisQueueOptions } from './driver.js'

/** Milliseconds by which an envelope outlives its message: the queue in Redis decides whether the message has expired. */
const EXTRA_LIFETIME = 30 * 24 * 60 * 60 * 1000

/**
 * Wraps a job in another one for the spool, which only forwards it. All envelopes have one priority and are due at once, so that
 * the order of acceptance is kept.
 */
function toEnvelope(job: MailJob): MailJob {
  const { attachments, ...rest } = job
  const { content } = job
  const inner = content.kind === 'raw' ? { ...rest, content: { kind: 'raw' } } : rest
  const { notBefore: _, ...envelope } = job
  return {
    ...envelope,
    to: [],
    cc: [],
    bcc: [],
    priority: 5,
    expiresAt: job.expiresAt + EXTRA_LIFETIME,
    content: { kind: 'literal', text: JSON.stringify(inner) },
    attachments:
      content.kind === 'raw' ? [{ content: content.octets, size: content.octets.length }] : attachments,
  }
}

/** Returns the job that {@link toEnvelope} wrapped. A finished message travels as an attachment. */
function fromEnvelope({ content, attachments }: MailJob): MailJob {
  const text = content.kind === 'literal' ? content.text : undefined
  const inner = parseJson(text ?? '{}') as Omit<MailJob, 'attachments'>
  const [message] = attachments
  if (inner.content.kind !== 'raw' || message === undefined) return { ...inner, attachments }
  return { ...inner, content: { kind: 'raw', octets: message.content as Uint8Array }, attachments: [] }
}

/** Messages that are forwarded at a time. */
const CONCURRENCY = 50
/** Milliseconds between two attempts to forward a message. */
const RETRY_DELAY = 250

/**
 * A queue in Redis with a spool: a SQLite file that accepts messages while Redis is unavailable, and forwards them in the order of
 * acceptance when it is back. While the spool holds messages, new ones go to its end. A message that is forwarded twice is stored
 * once, since Redis knows its id.
 */
export class SpooledQueue implements QueueDriver {
  readonly durable = true
  readonly search = 'scan'
  readonly #options: RedisQueueOptions
  readonly #forwarding = new Set<string>()
  /** Ids of messages that Redis has, and that the spool still holds. */
  readonly #forwarded = new Set<string>()
  #redis!: RedisQueue & ServerOperations
  #spool!: SqliteQueue
  #spooled = 0
  #closing = false

  private constructor(options: RedisQueueOptions) {
    this.#options = options
  }

  /** @throws ThreadpostError `START_FAILED` if the file or Redis can't be used; Redis may be unavailable, though */
  static async open(options: RedisQueueOptions, file: string): Promise<SpooledQueue> {
    const queue = new SpooledQueue(options)
    const { limit, maxAge, retain, logger } = options
    queue.#spool = await SqliteQueue.open({
      file,
      limit,
      maxAge,
      // Redis keeps the messages that were forwarded.
      retain: { ...retain, count: 0 },
      logger,
      ...(options.encryption === undefined ? {} : { encryption: options.encryption }),
      onChange: ({ job, state }) => {
        if (state.status === 'queued') queue.#spooled++
        if (!isSettled(state.status)) return
        queue.#spooled--
        queue.#forwarded.delete(job.id)
      },
    })
    try {
      const { queued, deferred, sending } = await queue.#spool.stats()
      queue.#spooled = queued + deferred + sending
      queue.#redis = await RedisQueue.open({
        ...options,
        mayBeDown: true,
        onChange: (message) => queue.#announce(message),
      })
      await queue.#spool.start(queue.#forwarder())
    } catch (error) {
      await queue.#spool.close()
      throw error
    }
    return queue
  }

  async enqueue(jobs: readonly MailJob[]): Promise<EnqueueResult[]> {
    if (this.#spooled > 0) return this.#spoolAll(jobs)
    const results = await this.#redis.enqueue(jobs)
    const refused = jobs.filter((_, index) => results[index]?.result === 'unavailable')
    if (refused.length === 0) return results
    const spooled = (await this.#spoolAll(refused)).values()
    return results.map((result) =>
      result.result === 'unavailable' ? (spooled.next().value ?? result) : result,
    )
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

  act(id: string, action: ManualAction): Promise<Message> {
    return this.#redis.act(id, action)
  }

  change(id: string, action: ManualAction): Promise<unknown> {
    return this.#redis.change(id, action)
  }

  pause(): Promise<void> {
    return this.#redis.pause()
  }

  resume(): Promise<void> {
    return this.#redis.resume()
  }

  /** Counts only the spooled messages while Redis is unavailable, and each message once while it is in both. */
  async stats(): Promise<QueueStats> {
    const spooled = await this.#spool.stats()
    const held = spooled.queued + spooled.sending + spooled.deferred
    const waiting = Math.max(0, held - this.#forwarded.size)
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

  get spooled(): number {
    return Math.max(0, this.#spooled)
  }

  get records(): SharedRecords {
    return this.#redis.records
  }

  get allowances(): Allowances {
    return this.#redis.allowances
  }

  subscribe(id: string): () => void {
    return this.#redis.subscribe(id)
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

  async #spoolAll(jobs: readonly MailJob[]): Promise<EnqueueResult[]> {
    const results = await this.#spool.enqueue(jobs.map(toEnvelope))
    jobs.forEach((job, index) => {
      if (results[index]?.result === 'queued') this.#options.onChange({ job, state: newState(job) })
    })
    return results
  }

  #forwarder(): Consumer {
    return {
      slots: CONCURRENCY,
      cancel: () => false,
      // Forwarding a message again does no harm.
      recover: () => undefined,
      deliver: async ({ job, state }): Promise<Settlement> => {
        if (state.sealed !== undefined) return unreadableSettlement(state, Date.now())
        const forwarded = await this.#forward(fromEnvelope(job))
        const decision: Settlement['decision'] = forwarded
          ? { status: 'sent' }
          : { status: 'deferred', nextAttemptAt: Date.now() }
        return { decision, recipients: state.recipients }
      },
    }
  }

  /** Messages that fail together are tried again together, so that they keep their order. @returns false if the queue closes first */
  async #forward(job: MailJob): Promise<boolean> {
    while (!this.#closing) {
      this.#forwarding.add(job.id)
      const [answer] = await this.#redis.enqueue([job])
      this.#forwarding.delete(job.id)
      if (answer?.result === 'conflict')
        this.#options.logger.error(
          { id: job.id },
          'A message that was spooled while Redis was unavailable is dropped: another message has its idempotency key',
        )
      if (answer?.result !== 'unavailable' && answer?.result !== 'full') {
        this.#forwarded.add(job.id)
        return true
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_DELAY))
    }
    return false
  }

  /** A spooled message was announced as queued when it was spooled. */
  #announce(message: QueuedMessage): void {
    if (message.state.status === 'queued' && this.#forwarding.has(message.job.id)) return
    this.#options.onChange(message)
  }

  async #orSpooled<T>(
    id: string,
    query: () => Promise<T | undefined>,
    read: (job: MailJob) => T,
  ): Promise<T | undefined> {
    const result = query()
    const found = await result.catch(() => undefined)
    if (found !== undefined) return found
    const spooled = await this.#spool.load(id)
    return spooled === undefined || spooled === 'dropped' ? result : read(fromEnvelope(spooled))
  }
}

function isUnavailable(error: unknown): boolean {
  return error instanceof ThreadpostError && error.code === 'QUEUE_UNAVAILABLE'
}
