import { Deadline } from '../../clock.js'
import { ConditionLog } from '../../logging/conditionLog.js'
import type { Logger } from '../../logging/logger.js'
import {
  enter,
  isSettled,
  type MailJob,
  type MessageState,
  settle,
  type Settlement,
} from '../../message/messageState.js'
import { PrioritySemaphore } from '../../structures/prioritySemaphore.js'
import { WindowCounter } from '../../structures/windowCounter.js'
import { dropsContent } from '../actions.js'
import type { ChangeListener, Consumer, Retention } from '../driver.js'
import { unpackHead, unpackState } from '../rowCodec.js'
import type { StoredRow } from '../storedRow.js'
import type { BullQueue } from './bullQueue.js'
import { BullWorker, type Wish } from './bullWorker.js'
import type { Connections } from './connections.js'
import type { Beginning } from './replies.js'
import { type Change, heldPlace, type RedisStore } from './store.js'

/** Messages begun before a slot is free, at most. */
const MOST_AHEAD = 50
/** Milliseconds until Redis is asked again to store what it refused. */
const AGAIN = 500
/** Milliseconds that everybody has to report after Redis was away, before anybody is held for dead. */
const ROLL_CALL = 10_000

export interface RedisConsumerOptions {
  connections: Connections
  prefix: string
  store: RedisStore
  schedule: BullQueue
  changed: ChangeListener
  data: Retention['data']
  logger: Logger
}

interface UnderWay {
  row: StoredRow
  job: MailJob
  /** Whether the consumer has it. */
  handedOver: boolean
  /** Says what becomes of its job. */
  end: (wish: Wish | Promise<Wish>) => void
}

/** A message that certainly won't be sent: what its delivery still comes to is of no interest. */
export interface TakenBack {
  /** Ends its job, once it is stored what became of it; else it goes back in line. */
  handOver(changed: boolean): void
}

/**
 * The messages in this process's hands. One becomes `sending` when a slot is free for it, or about to be: while many
 * deliveries end, as many messages are begun ahead, so that a slot does not wait for Redis. Those can still be put back.
 */
export class RedisConsumer {
  readonly #consumer: Consumer
  readonly #options: RedisConsumerOptions
  readonly #jobs: BullWorker
  /** Who may begin, and who of those may deliver. */
  readonly #beginnings: PrioritySemaphore
  readonly #slots: PrioritySemaphore
  readonly #lately = new WindowCounter()
  readonly #underWay = new Map<string, UnderWay>()
  readonly #notStored: ConditionLog
  #unstored = 0
  #closed = false
  #rollCall = 0
  #rested: (() => void) | undefined

  constructor(consumer: Consumer, options: RedisConsumerOptions) {
    this.#consumer = consumer
    this.#options = options
    this.#slots = new PrioritySemaphore(() => consumer.slots)
    this.#beginnings = new PrioritySemaphore(() => consumer.slots + Math.min(this.#lately.ended, MOST_AHEAD))
    const { connections, prefix, schedule, logger } = options
    this.#notStored = new ConditionLog(logger, {
      begins: 'An outcome is not stored yet',
      level: 'error',
      ends: 'Outcomes are stored again',
    })
    this.#jobs = new BullWorker({
      connections,
      prefix,
      schedule,
      logger,
      slots: () => consumer.slots,
      heed: (id, priority) => this.#heed(id, priority),
    })
    connections.patient.on('ready', () => void this.#callRoll())
  }

  async start(): Promise<void> {
    await this.#callRoll()
    this.#jobs.start()
  }

  /** Takes back a message that is under way. @returns undefined where it may be sent */
  takeBack(id: string): TakenBack | undefined {
    const underWay = this.#underWay.get(id)
    if (underWay === undefined || (underWay.handedOver && !this.#consumer.cancel(id))) return undefined
    this.#underWay.delete(id)
    const { row, job, end } = underWay
    return { handOver: (changed) => end(changed ? 'done' : this.#putBack(row, job)) }
  }

  /** Begins nothing more, puts back what was not begun, and waits for what is under way, at most `deadline` ms. */
  async drain(deadline: number): Promise<void> {
    this.#beginnings.close()
    this.#slots.close()
    await this.#jobs.pause()
    await new Deadline(deadline).until(this.#until(() => this.#beginnings.taken + this.#unstored === 0))
  }

  /** Waits until all outcomes are stored and all jobs ended, as long as there is time. */
  async close(grace: Deadline): Promise<void> {
    await grace.until(this.#until(() => this.#unstored === 0))
    this.#closed = true
    await this.#jobs.close(grace)
  }

  async #heed(id: string, priority: number): Promise<Wish> {
    if (!(await this.#beginnings.take(priority))) return 'line'
    let begun = false
    try {
      const beginning = await this.#options.store.begin(id)
      begun = beginning.do === 'go'
      return await this.#follow(id, priority, beginning)
    } finally {
      if (!begun) this.#beginnings.give()
    }
  }

  async #follow(id: string, priority: number, beginning: Beginning): Promise<Wish> {
    switch (beginning.do) {
      case 'go':
        return this.#deliver(beginning.row, beginning.job, priority)
      case 'wait':
        return { due: beginning.until }
      case 'later':
        return 'later'
      case 'lost':
        return performance.now() < this.#rollCall ? 'later' : this.#lost(id, beginning.row)
      case 'expired':
        return this.#expire(id, beginning.row)
      case 'paused':
        return 'line'
      case 'drop':
        return 'done'
    }
  }

  /** Ends a message whose time has passed. */
  async #expire(id: string, row: StoredRow): Promise<Wish> {
    const job = unpackHead(row)
    const state = unpackState(row, job)
    enter(state, 'expired', Date.now())
    return this.#store(id, row, job, state, 0)
  }

  /** Decides on a message that a process died with. */
  async #lost(id: string, row: StoredRow): Promise<Wish> {
    const job = unpackHead(row)
    const state = unpackState(row, job)
    const losses = row.losses + 1
    this.#options.logger.warn({ id, losses }, 'Taking over a message of a process that died')
    const settlement = this.#consumer.recover({ job, state }, undefined, losses)
    if (settlement === undefined) enter(state, 'queued', Date.now())
    else settle(state, settlement, Date.now())
    return this.#store(id, row, job, state, losses)
  }

  #deliver(row: StoredRow, job: MailJob, priority: number): Promise<Wish> {
    return new Promise((resolve, reject) => {
      const underWay: UnderWay = { row, job, handedOver: false, end: resolve }
      this.#underWay.set(job.id, underWay)
      this.#inTurn(underWay, priority).catch(reject)
    })
  }

  /** The turns are given on when the delivery has ended, even if nobody waits for it any more. */
  async #inTurn(underWay: UnderWay, priority: number): Promise<void> {
    const { row, job, end } = underWay
    const { id } = job
    const state = unpackState(row, job)
    let settlement: Settlement | undefined
    if (await this.#slots.take(priority)) {
      if (this.#underWay.get(id) === underWay) {
        underWay.handedOver = true
        enter(state, 'sending', Date.now())
        this.#options.changed({ job, state })
        settlement = await this.#consumer.deliver({ job, state })
      }
      this.#lately.count(performance.now())
      this.#slots.give()
    }
    this.#beginnings.give()
    this.#jobs.stockUp()
    if (this.#underWay.get(id) !== underWay) {
      this.#rested?.()
      return
    }
    this.#underWay.delete(id)
    if (settlement === undefined) return end(this.#putBack(row, job))
    settle(state, settlement, Date.now())
    end(this.#store(id, row, job, state, 0))
  }

  #putBack(row: StoredRow, job: MailJob): Promise<Wish> {
    const state = unpackState(row, job)
    enter(state, 'queued', Date.now())
    return this.#store(job.id, row, job, state, row.losses)
  }

  async #store(id: string, row: StoredRow, job: MailJob, state: MessageState, losses: number): Promise<Wish> {
    this.#unstored++
    try {
      const drop = dropsContent(state.status, this.#options.data)
      const change: Change = { id, rev: row.rev, state, drop, losses, schedule: false }
      if (state.heldReason === 'budget') change.held = heldPlace(job.transport, job.priority)
      if ((await this.#keep(change)) === 'stale') {
        this.#options.logger.warn({ id, status: state.status }, 'Somebody else has decided on the message')
        return 'later'
      }
      if (state.status !== 'queued') this.#options.changed({ job, state })
      if (isSettled(state.status)) return 'done'
      if (state.status === 'queued') return 'line'
      return state.nextAttemptAt === undefined ? 'done' : { due: state.nextAttemptAt }
    } finally {
      this.#unstored--
      this.#rested?.()
    }
  }

  /** Redis may be there and refuse: when its memory or its disk is full. Nobody else knows what the delivery came to. */
  async #keep(change: Change): Promise<'written' | 'stale'> {
    for (;;) {
      try {
        const answer = await this.#options.store.settle(change)
        this.#notStored.end()
        return answer
      } catch (error) {
        if (this.#closed) throw error
        this.#notStored.begin({ id: change.id, problem: (error as Error).message })
        await new Promise((resolve) => setTimeout(resolve, AGAIN))
      }
    }
  }

  /** Where Redis itself has just come up, everybody is given time to say that they are alive. */
  async #callRoll(): Promise<void> {
    try {
      const info = await this.#options.connections.patient.info('server')
      const up = Number(/uptime_in_seconds:(\d+)/.exec(info)?.[1] ?? 0) * 1_000
      this.#rollCall = performance.now() + ROLL_CALL - up
    } catch {
      this.#rollCall = performance.now() + ROLL_CALL
    }
  }

  #until(done: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#rested = () => {
        if (done()) resolve()
      }
      this.#rested()
    })
  }
}
