import { Deadline } from '../../clock.js'
import { ConditionLog } from '../../logging/conditionLog.js'
import type { Logger } from '../../logging/logger.js'
import {
  isSettled,
  type MailJob,
  type MessageState,
  settle,
  type Settlement,
  waitsForTransport,
} from '../../message/messageState.js'
import { PrioritySemaphore } from '../../structures/prioritySemaphore.js'
import { WindowCounter } from '../../structures/windowCounter.js'
import { dropsContent } from '../actions.js'
import type { ChangeListener, Consumer, RecordsOf, Retention } from '../driver.js'
import type { ChangeResult } from '../records.js'
import { entered, OUTCOME_NOT_STORED, recoverStored, type Withdrawal } from '../storedMutations.js'
import type { StoredRow } from '../storedRow.js'
import type { BullQueue } from './bullQueue.js'
import { BullWorker, type JobResult } from './bullWorker.js'
import type { Connections } from './redisConnections.js'
import { type Claim, heldIndex, type StateChange } from './redisRows.js'
import type { RedisStore } from './redisStore.js'
import { WorkSharing } from './workSharing.js'

/** Messages that are claimed before a slot is free, at most. */
const MAX_PREFETCH = 50
/** Milliseconds between two attempts to store a result that Redis refused. */
const STORE_RETRY_DELAY = 500
/** Milliseconds after an outage of Redis in which no process counts as dead: its heartbeat may not have arrived yet. */
const HEARTBEAT_GRACE = 10_000

export interface RedisConsumerOptions {
  connections: Connections
  prefix: string
  /** Name of this process. */
  owner: string
  store: RedisStore
  queue: BullQueue
  /** Makes the job of a message due at another time. */
  reschedule: (job: MailJob, due: number, wake: string) => void
  changed: ChangeListener
  recordsOf: RecordsOf | undefined
  data: Retention['data']
  logger: Logger
}

/** A message that this process has claimed. */
interface Delivery {
  row: StoredRow
  job: MailJob
  /** Whether the consumer has begun it. */
  started: boolean
  /** Ends the message's job. */
  end: (result: JobResult | Promise<JobResult>) => void
}

/**
 * Delivers messages in this process. A message is claimed, and becomes `sending`, when a slot is free for it or about to be: while
 * many deliveries end, as many messages are claimed ahead, so that a slot does not wait for Redis. Those can still be requeued.
 */
export class RedisConsumer {
  readonly #consumer: Consumer
  readonly #options: RedisConsumerOptions
  readonly #worker: BullWorker
  readonly #sharing: WorkSharing
  /** Permits to claim a message. */
  readonly #claims: PrioritySemaphore
  /** Permits to deliver a claimed message. */
  readonly #slots: PrioritySemaphore
  readonly #ended = new WindowCounter()
  readonly #deliveries = new Map<string, Delivery>()
  readonly #storeFailure: ConditionLog
  /** Results that are being stored. */
  #storing = 0
  #closed = false
  /** On `performance.now()`'s clock: until then no process counts as dead. */
  #graceUntil = 0
  #onIdle: (() => void) | undefined

  constructor(consumer: Consumer, options: RedisConsumerOptions) {
    this.#consumer = consumer
    this.#options = options
    this.#slots = new PrioritySemaphore(() => consumer.slots)
    this.#claims = new PrioritySemaphore(() => consumer.slots + Math.min(this.#ended.recent, MAX_PREFETCH))
    consumer.onMoreSlots?.(() => {
      this.#slots.grant()
      this.#claims.grant()
      this.#sharing.look()
    })
    const { connections, prefix, owner, store, queue, reschedule, logger } = options
    this.#storeFailure = new ConditionLog(logger, OUTCOME_NOT_STORED)
    this.#worker = new BullWorker({
      connections,
      prefix,
      queue,
      logger,
      slots: () => consumer.slots,
      handle: (wake, priority) => this.#handle(wake, priority),
    })
    this.#sharing = new WorkSharing({
      store,
      publisher: connections.quick,
      subscriber: () => connections.subscriber,
      channel: `${prefix}:waiting`,
      owner,
      logger,
      free: () => Math.max(0, consumer.slots - this.#claims.held),
      hasWaiting: () => this.#claims.hasWaiting,
      fullAt: () => this.#worker.fullAt,
      handle: ({ wake, priority }, claimed) => this.#handle(wake, priority, claimed),
      reschedule,
    })
    connections.patient.on('ready', () => void this.#extendGrace())
  }

  async start(): Promise<void> {
    await this.#extendGrace()
    this.#sharing.start()
    this.#worker.start()
  }

  /** Withdraws a message from its delivery. @returns undefined if this process has not claimed it, or may have sent it */
  cancelDelivery(id: string): Withdrawal | undefined {
    const delivery = this.#deliveries.get(id)
    if (delivery === undefined || (delivery.started && !this.#consumer.cancel(id))) return undefined
    this.#deliveries.delete(id)
    const { row, job, end } = delivery
    return { finish: (changed) => end(changed ? 'done' : this.#requeue(row, job)) }
  }

  /** Claims nothing more, requeues claimed messages, and waits for the deliveries that have started, `deadline` ms at most. */
  async drain(deadline: number): Promise<void> {
    this.#sharing.close()
    this.#claims.close()
    this.#slots.close()
    await this.#worker.pause()
    await new Deadline(deadline).until(this.#until(() => this.#claims.held + this.#storing === 0))
  }

  /** Waits until all outcomes are stored and all jobs have ended, or the grace period is over. */
  async close(grace: Deadline): Promise<void> {
    await grace.until(this.#until(() => this.#storing === 0))
    this.#closed = true
    await this.#worker.close(grace)
  }

  async #handle(wake: string, priority: number, claimed?: (claim: Claim) => void): Promise<JobResult> {
    const permit = this.#claims.acquire(priority)
    if (this.#claims.hasWaiting) this.#sharing.announce()
    if (!(await permit)) return 'requeue'
    let delivers = false
    try {
      const claim = await this.#options.store.claim(wake)
      claimed?.(claim)
      delivers = claim.action === 'deliver'
      return await this.#act(priority, claim)
    } finally {
      if (!delivers) this.#releaseClaim()
    }
  }

  #releaseClaim(): void {
    this.#claims.release()
    this.#sharing.look()
  }

  async #act(priority: number, claim: Claim): Promise<JobResult> {
    switch (claim.action) {
      case 'deliver':
        return this.#deliver(claim.row, claim.job, priority)
      case 'wait':
        return { due: claim.until }
      case 'recheck':
        return 'recheck'
      case 'recover':
        return performance.now() < this.#graceUntil ? 'recheck' : this.#recover(claim.row)
      case 'expire':
        return this.#expire(claim.row)
      case 'requeue':
        return 'requeue'
      case 'drop':
        return 'done'
    }
  }

  /** Settles a message as expired. */
  async #expire(row: StoredRow): Promise<JobResult> {
    const { job, state } = entered(row, 'expired')
    return this.#store(row, job, state, 0)
  }

  /** Decides about a message whose process died while delivering it. */
  async #recover(row: StoredRow): Promise<JobResult> {
    const recovered = recoverStored(row, this.#consumer, this.#options.logger)
    return recovered ? this.#store(row, recovered.job, recovered.state, recovered.losses) : 'recheck'
  }

  #deliver(row: StoredRow, job: MailJob, priority: number): Promise<JobResult> {
    return new Promise((resolve, reject) => {
      const delivery: Delivery = { row, job, started: false, end: resolve }
      this.#deliveries.set(job.id, delivery)
      this.#run(delivery, priority).catch(reject)
    })
  }

  /** Releases the permits when the delivery has ended, even if the message was taken back meanwhile. */
  async #run(delivery: Delivery, priority: number): Promise<void> {
    const { row, job, end } = delivery
    const { id } = job
    let delivered: { state: MessageState; settlement: Settlement } | undefined
    if (await this.#slots.acquire(priority)) {
      if (this.#deliveries.get(id) === delivery) {
        delivery.started = true
        const message = entered(row, 'sending', job)
        this.#options.changed(message)
        delivered = { state: message.state, settlement: await this.#consumer.deliver(message) }
      }
      this.#ended.count(performance.now())
      this.#slots.release()
    }
    this.#worker.updateConcurrency()
    this.#releaseClaim()
    if (this.#deliveries.get(id) !== delivery) {
      this.#onIdle?.()
      return
    }
    this.#deliveries.delete(id)
    if (delivered === undefined) return end(this.#requeue(row, job))
    const { state, settlement } = delivered
    settle(state, settlement, Date.now())
    end(this.#store(row, job, state, 0))
  }

  #requeue(row: StoredRow, job: MailJob): Promise<JobResult> {
    const { state } = entered(row, 'queued', job)
    return this.#store(row, job, state, row.losses)
  }

  /** @returns what the message's job is to do then */
  async #store(row: StoredRow, job: MailJob, state: MessageState, losses: number): Promise<JobResult> {
    this.#storing++
    try {
      const { id } = job
      const dropContent = dropsContent(state.status, this.#options.data)
      const records = this.#options.recordsOf?.({ job, state })
      const change: StateChange = { id, rev: row.rev, state, dropContent, losses, needsJob: false, records }
      if (waitsForTransport(state)) change.heldIndex = heldIndex(job.transport, job.priority)
      if ((await this.#storeUntilDone(change)) === 'stale') {
        this.#options.logger.warn(
          { id, status: state.status },
          'Another process has changed the message already',
        )
        return 'recheck'
      }
      if (state.status !== 'queued') this.#options.changed({ job, state })
      if (isSettled(state.status)) return 'done'
      if (state.status === 'queued') return 'requeue'
      return state.nextAttemptAt === undefined ? 'done' : { due: state.nextAttemptAt }
    } finally {
      this.#storing--
      this.#onIdle?.()
    }
  }

  /** Redis may be available and refuse, since its memory or its disk is full. Only this process knows the outcome, so it tries until it is stored. */
  async #storeUntilDone(change: StateChange): Promise<ChangeResult> {
    for (;;) {
      try {
        const result = await this.#options.store.settle(change)
        this.#storeFailure.end()
        return result
      } catch (error) {
        if (this.#closed) throw error
        this.#storeFailure.begin({ id: change.id, problem: (error as Error).message })
        await new Promise((resolve) => setTimeout(resolve, STORE_RETRY_DELAY))
      }
    }
  }

  /** After a start of Redis, all processes get time to show that they are alive. */
  async #extendGrace(): Promise<void> {
    try {
      const info = await this.#options.connections.patient.info('server')
      const uptime = Number(/uptime_in_seconds:(\d+)/.exec(info)?.[1] ?? 0) * 1_000
      this.#graceUntil = performance.now() + HEARTBEAT_GRACE - uptime
    } catch {
      this.#graceUntil = performance.now() + HEARTBEAT_GRACE
    }
  }

  #until(done: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#onIdle = () => {
        if (done()) resolve()
      }
      this.#onIdle()
    })
  }
}
