import { Deadline } from '../../clock.js'
import type { Logger } from '../../logging/logger.js'
import { isSettled, type MailJob, type MessageState, settle } from '../../message/messageState.js'
import type { Admit, ChangeListener, Consumer, RecordsOf, Retention } from '../driver.js'
import { unpackClaimed, unpackFiles } from '../rowCodec.js'
import { entered, recoverStored, type Withdrawal } from '../storedMutations.js'
import { PostgresOutcomes } from './postgresOutcomes.js'
import type { PostgresClaim, PostgresRow } from './postgresRows.js'
import type { PostgresStore } from './postgresStore.js'
import { Submissions } from './submissions.js'

/** Messages that are claimed before a slot is free, at most. */
const MAX_PREFETCH = 50
/** Milliseconds between two looks for messages: for those that no notification announced. */
const POLL_INTERVAL = 1_000
/** The same without notifications. */
const BUSY_POLL_INTERVAL = 100
/** Milliseconds until the next attempt to claim after Postgres did not answer. */
const CLAIM_RETRY_DELAY = 250

export interface PostgresConsumerOptions {
  store: PostgresStore
  changed: ChangeListener
  recordsOf: RecordsOf | undefined
  data: Retention['data']
  /** Checks mail that was submitted in SQL. */
  admit: Admit | undefined
  logger: Logger
  /** Whether notifications announce messages. */
  listen: boolean
  /** Makes this process count as alive. */
  revive: () => Promise<void>
}

/** A message that this process has claimed. */
interface Delivery {
  row: PostgresClaim
  job: MailJob
  /** Whether the consumer has begun it. */
  started: boolean
}

/**
 * Delivers messages in this process. It claims as many messages as there are free slots, and, while many deliveries end, as many
 * as end while it claims: a slot does not wait for Postgres. One claim runs at a time, so that busy times make large claims.
 *
 *     wake(), poll, a free slot ──► claim ──► claimed ── a slot is free ──► delivery ──► settlement ──► stored
 *                                               └── drain(): requeued
 */
export class PostgresConsumer {
  readonly #consumer: Consumer
  readonly #options: PostgresConsumerOptions
  readonly #deliveries = new Map<string, Delivery>()
  /** Claimed messages that wait for a slot, the first in line first. */
  #claimed: Delivery[] = []
  readonly #outcomes: PostgresOutcomes
  readonly #submissions: Submissions
  /** Deliveries in progress, those of withdrawn messages included. */
  #running = 0
  #ended = 0
  /** Deliveries that ended while the last claim ran: as many may end during the next one. */
  #endedPerClaim = 0
  #claiming = false
  /** Whether there may be messages that can be claimed. */
  #mayHaveMore = true
  #draining = false
  #poll: NodeJS.Timeout | undefined
  #alarm: { timer: NodeJS.Timeout; at: number } | undefined
  #onIdle: (() => void) | undefined

  constructor(consumer: Consumer, options: PostgresConsumerOptions) {
    this.#consumer = consumer
    this.#options = options
    consumer.onMoreSlots?.(() => {
      this.#startDeliveries()
      void this.#claim()
    })
    const { store, changed, recordsOf, data, logger, admit } = options
    this.#outcomes = new PostgresOutcomes({
      store,
      changed,
      recordsOf,
      data,
      logger,
      stored: (state) => this.#followUp(state),
    })
    this.#submissions = new Submissions({ store, admit, outcomes: this.#outcomes, changed, logger })
  }

  start(): void {
    this.#poll = setInterval(() => this.wake(), this.#options.listen ? POLL_INTERVAL : BUSY_POLL_INTERVAL)
    this.wake()
  }

  /** Looks for messages: some may be due now. */
  wake(): void {
    this.#mayHaveMore = true
    void this.#claim()
  }

  /** `seq` of the messages that this process has claimed. */
  get known(): number[] {
    return [...this.#deliveries.values()].map(({ row }) => row.seq)
  }

  /** Withdraws a message from its delivery. @returns undefined if this process has not claimed it, or may have sent it */
  cancelDelivery(id: string): Withdrawal | undefined {
    const delivery = this.#deliveries.get(id)
    if (delivery === undefined || (delivery.started && !this.#consumer.cancel(id))) return undefined
    this.#deliveries.delete(id)
    this.#claimed = this.#claimed.filter((other) => other !== delivery)
    return { finish: (changed) => void (changed || this.#outcomes.requeue(delivery)) }
  }

  /** Claims nothing more, requeues claimed messages, and waits for the deliveries that have started, `deadline` ms at most. */
  async drain(deadline: number): Promise<void> {
    this.#draining = true
    clearInterval(this.#poll)
    clearTimeout(this.#alarm?.timer)
    const waiting = this.#claimed
    this.#claimed = []
    for (const delivery of waiting) {
      this.#deliveries.delete(delivery.job.id)
      void this.#outcomes.requeue(delivery)
    }
    await new Deadline(deadline).until(
      this.#until(() => this.#running + this.#outcomes.pending === 0 && !this.#claiming),
    )
  }

  /** Waits until all outcomes are stored, or the grace period is over. */
  async close(grace: Deadline): Promise<void> {
    await grace.until(this.#until(() => this.#outcomes.pending === 0))
    this.#outcomes.close()
  }

  /** Settles messages as expired. */
  expire(rows: readonly PostgresRow[]): Promise<void> {
    return this.#outcomes.expire(rows)
  }

  /** Decides about messages whose process died while delivering them. */
  async recover(rows: readonly PostgresRow[]): Promise<void> {
    await Promise.all(
      rows.map(async (row) => {
        const recovered = recoverStored(row, this.#consumer, this.#options.logger)
        if (recovered) await this.#outcomes.store(row, recovered.job, recovered.state, recovered.losses)
      }),
    )
  }

  async #claim(): Promise<void> {
    if (this.#claiming || this.#draining || !this.#mayHaveMore) return
    const wanted = this.#wanted
    if (wanted <= 0) return
    this.#claiming = true
    this.#mayHaveMore = false
    const ended = this.#ended
    try {
      const { alive, later, more, messages } = await this.#options.store.claim(wanted)
      if (more || !alive) this.#mayHaveMore = true
      for (const row of messages) this.#take(row)
      if (!alive) await this.#options.revive()
      if (later !== undefined) await this.#expectLater(later)
    } catch {
      // Postgres did not answer. The claim may have happened: maintenance undoes it then.
      this.#mayHaveMore = true
      await new Promise((resolve) => setTimeout(resolve, CLAIM_RETRY_DELAY))
    }
    this.#claiming = false
    this.#endedPerClaim = this.#ended - ended
    this.#onIdle?.()
    this.#startDeliveries()
    void this.#claim()
  }

  /**
   * Messages to claim: for the free slots, and for those that will be free during this claim and the next one. None while
   * there are enough for the time of a claim, so that each claim takes many.
   */
  get #wanted(): number {
    const perClaim = Math.min(this.#endedPerClaim, MAX_PREFETCH / 2)
    if (this.#claimed.length > perClaim) return 0
    return this.#consumer.slots + 2 * perClaim - this.#running - this.#claimed.length
  }

  #take(row: PostgresClaim): void {
    const attachments = unpackFiles(row.files)
    const job = unpackClaimed({ ...row, content: row.content ?? '{}', attachments })
    const delivery: Delivery = { row, job, started: false }
    this.#deliveries.set(job.id, delivery)
    if (row.expiresAt <= Date.now()) {
      this.#deliveries.delete(job.id)
      void this.#outcomes.expire([row])
    } else if (this.#draining) {
      this.#deliveries.delete(job.id)
      void this.#outcomes.requeue(delivery)
    } else if (row.submitted) {
      this.#deliveries.delete(job.id)
      void this.#submissions.check(row, job)
    } else {
      const after = this.#claimed.findIndex((other) => other.job.priority < job.priority)
      this.#claimed.splice(after === -1 ? this.#claimed.length : after, 0, delivery)
    }
  }

  /** @param at time from which the next message can be claimed that can't be yet, in ms since the epoch */
  async #expectLater(at: number): Promise<void> {
    if (at <= Date.now()) {
      await this.#options.store.promote()
      this.#mayHaveMore = true
    } else this.#wakeAt(at)
  }

  #wakeAt(at: number): void {
    if (this.#draining || (this.#alarm !== undefined && this.#alarm.at <= at)) return
    clearTimeout(this.#alarm?.timer)
    const wait = Math.min(at - Date.now(), POLL_INTERVAL)
    const timer = setTimeout(() => {
      this.#alarm = undefined
      this.wake()
    }, wait)
    this.#alarm = { timer, at }
  }

  #startDeliveries(): void {
    while (this.#claimed.length > 0 && this.#running < this.#consumer.slots) {
      const delivery = this.#claimed.shift()!
      delivery.started = true
      this.#running++
      void this.#deliver(delivery)
    }
  }

  async #deliver(delivery: Delivery): Promise<void> {
    const { row, job } = delivery
    const message = entered(row, 'sending', job)
    const { state } = message
    this.#options.changed(message)
    const delivered = this.#consumer.deliver(message)
    // A message that waits for its transport's budget needs no slot.
    setImmediate(() => void this.#claim())
    const settlement = await delivered
    this.#ended++
    this.#running--
    if (this.#running === 0 && !this.#claiming) this.#endedPerClaim = 0
    if (this.#deliveries.get(job.id) === delivery) {
      settle(state, settlement, Date.now())
      void this.#outcomes.store(row, job, state, 0).finally(() => {
        if (this.#deliveries.get(job.id) === delivery) this.#deliveries.delete(job.id)
      })
    }
    this.#startDeliveries()
    void this.#claim()
    this.#onIdle?.()
  }

  /** A stored state may be due at once, or at a time. */
  #followUp({ status, nextAttemptAt }: Readonly<MessageState>): void {
    if (status === 'queued') this.wake()
    else if (!isSettled(status) && nextAttemptAt !== undefined) this.#wakeAt(nextAttemptAt)
    this.#onIdle?.()
  }

  #until(done: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const previous = this.#onIdle
      this.#onIdle = () => {
        previous?.()
        if (done()) resolve()
      }
      this.#onIdle()
    })
  }
}
