import type { Job, Worker } from 'bullmq'
import type { Logger } from '../../logger.js'
import { enter, isSettled, type MailJob, type MessageState, settle } from '../../record.js'
import type { Retention } from '../../retention.js'
import { losesContent } from '../byHand.js'
import type { ChangeListener, Consumer } from '../driver.js'
import type { StoredRow } from '../outboxWire.js'
import { unpackHead, unpackState } from '../rows.js'
import type { Connections } from './connections.js'
import { QUEUE_NAME } from './schedule.js'
import type { Beginning } from './replies.js'
import type { Store } from './store.js'
import { Turns } from './turns.js'

/** Milliseconds a job is locked for; renewed at half of it, by the main thread, which is free. */
const LOCK = 10_000
/** Milliseconds between two looks for jobs whose lock is over. */
const STALLED = 5_000
/** Milliseconds until a job is looked at again whose message is in the hands of a process that is alive. */
const LATER = 2_000
/** Milliseconds that everybody has to report after Redis was away, before anybody is held for dead. */
const ROLL_CALL = 10_000
/** Milliseconds that outcomes are waited for when everything else has ended. */
const LAST_WORDS = 5_000

export interface DeliveriesOptions {
  connections: Connections
  prefix: string
  store: Store
  changed: ChangeListener
  data: Retention['data']
  logger: Logger
}

interface UnderWay {
  id: string
  /** Ends the job at once: what the delivery still comes to is of no interest. */
  letGo: () => void
}

/** What becomes of a job: it has ended, or it comes again. */
type End = 'done' | 'line' | { due: number }

/**
 * The messages in this process's hands. BullMQ hands out jobs, somewhat more than there are slots, so that a free slot
 * never waits for a job; a message becomes `sending` only when a slot is free for it.
 */
export class Deliveries {
  readonly #consumer: Consumer
  readonly #options: DeliveriesOptions
  readonly #worker: Worker
  readonly #turns: Turns
  readonly #underWay = new Map<string, UnderWay>()
  #unstored = 0
  #rollCall = 0
  #rested: (() => void) | undefined

  constructor(consumer: Consumer, options: DeliveriesOptions) {
    this.#consumer = consumer
    this.#options = options
    this.#turns = new Turns(() => consumer.slots)
    const { patient, bullmq } = options.connections
    const { DelayedError, WaitingError } = bullmq
    this.#worker = new bullmq.Worker(
      QUEUE_NAME,
      async (job: Job, token?: string): Promise<void> => {
        const end = await this.#work(job.id ?? '')
        if (end === 'done') return
        await this.#putBack(job, end, token)
        throw end === 'line' ? new WaitingError() : new DelayedError()
      },
      {
        connection: patient,
        prefix: options.prefix,
        autorun: false,
        concurrency: consumer.slots * 2,
        lockDuration: LOCK,
        stalledInterval: STALLED,
        // Retries are decided elsewhere, once.
        maxStalledCount: Number.MAX_SAFE_INTEGER,
        removeOnComplete: { count: 0 },
        removeOnFail: { count: 0 },
        runRetryDelay: 500,
      },
    )
    this.#worker.on('error', (error) => this.#trouble(error))
    patient.on('ready', () => void this.#callRoll())
  }

  async start(): Promise<void> {
    await this.#callRoll()
    this.#worker.run().catch((error: unknown) => this.#trouble(error as Error))
  }

  /** Takes back a message that is under way. @returns whether it certainly won't be sent */
  takeBack(id: string): boolean {
    const underWay = this.#underWay.get(id)
    if (underWay === undefined || !this.#consumer.cancel(id)) return false
    this.#underWay.delete(id)
    underWay.letGo()
    return true
  }

  /** Begins nothing more, puts back what was not begun, and waits for what is under way, at most `deadline` ms. */
  async drain(deadline: number): Promise<void> {
    this.#turns.close()
    await this.#worker.pause(true)
    await this.#until(() => this.#turns.taken + this.#unstored === 0, deadline)
  }

  /** Waits until all outcomes are stored, as long as there is hope. */
  async close(): Promise<void> {
    await this.#until(() => this.#unstored === 0, LAST_WORDS)
    const idle = this.#underWay.size === 0
    await this.#worker.close(!idle)
  }

  async #work(id: string): Promise<End> {
    if (!(await this.#turns.take())) return 'line'
    let begun = false
    try {
      const beginning = await this.#options.store.begin(id)
      begun = beginning.do === 'go'
      return await this.#heed(id, beginning)
    } finally {
      if (!begun) this.#turns.give()
    }
  }

  async #heed(id: string, beginning: Beginning): Promise<End> {
    switch (beginning.do) {
      case 'go':
        return this.#deliver(beginning.row, beginning.job)
      case 'wait':
        return { due: beginning.until }
      case 'later':
        return { due: Date.now() + LATER }
      case 'lost':
        if (performance.now() < this.#rollCall) return { due: Date.now() + LATER }
        return this.#lost(id, beginning.row)
      case 'expired':
        return this.#expire(id, beginning.row)
      case 'paused':
        return 'line'
      case 'drop':
        return 'done'
    }
  }

  /** If it fails, the lock is over and somebody else has the job: the message itself tells them what is to be done. */
  async #putBack(job: Job, end: 'line' | { due: number }, token: string | undefined): Promise<void> {
    this.#unstored++
    try {
      if (end === 'line') await job.moveToWait(token)
      else await job.moveToDelayed(end.due, token)
    } catch (error) {
      this.#trouble(error as Error)
    } finally {
      this.#unstored--
      this.#rested?.()
    }
  }

  /** Ends a message whose time has passed. */
  async #expire(id: string, row: StoredRow): Promise<End> {
    const job = unpackHead(row)
    const state = unpackState(row, job)
    enter(state, 'expired', Date.now())
    return this.#store(id, row, job, state, 0)
  }

  /** Decides on a message that a process died with. */
  async #lost(id: string, row: StoredRow): Promise<End> {
    const job = unpackHead(row)
    const state = unpackState(row, job)
    const losses = row.losses + 1
    this.#options.logger.warn({ id, losses }, 'taking over a message of a process that died')
    const settlement = this.#consumer.lost({ job, state }, undefined, losses)
    if (settlement === undefined) enter(state, 'queued', Date.now())
    else settle(state, settlement, Date.now())
    return this.#store(id, row, job, state, losses)
  }

  /** The turn is given on when the delivery has ended, even if nobody waits for it any more. */
  async #deliver(row: StoredRow, job: MailJob): Promise<End> {
    const { id } = job
    const state = unpackState(row, job)
    enter(state, 'sending', Date.now())
    this.#options.changed({ job, state })
    return new Promise<End>((resolve, reject) => {
      const underWay: UnderWay = { id, letGo: () => resolve('done') }
      this.#underWay.set(id, underWay)
      void this.#consumer.deliver({ job, state }).then((settlement) => {
        this.#turns.give()
        this.#stockUp()
        this.#rested?.()
        if (this.#underWay.get(id) !== underWay) return
        settle(state, settlement, Date.now())
        this.#store(id, row, job, state, 0)
          .finally(() => this.#underWay.delete(id))
          .then(resolve, reject)
      })
    })
  }

  /** So many jobs are at hand that a slot never waits for one. */
  #stockUp(): void {
    const jobs = 2 * Math.max(1, this.#consumer.slots)
    if (this.#worker.concurrency !== jobs) this.#worker.concurrency = jobs
  }

  async #store(id: string, row: StoredRow, job: MailJob, state: MessageState, losses: number): Promise<End> {
    this.#unstored++
    try {
      const drop = losesContent(state.status, this.#options.data)
      const change = { id, rev: row.rev, state, drop, losses, schedule: false }
      if ((await this.#options.store.settle(change)) === 'stale') {
        this.#options.logger.warn({ id, status: state.status }, 'somebody else has decided on the message')
        return { due: Date.now() + LATER }
      }
      this.#options.changed({ job, state })
      if (isSettled(state.status)) return 'done'
      if (state.status === 'queued') return 'line'
      return state.nextAttemptAt === undefined ? 'done' : { due: state.nextAttemptAt }
    } finally {
      this.#unstored--
      this.#rested?.()
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

  async #until(done: () => boolean, deadline: number): Promise<void> {
    if (done()) return
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.#rested = () => {
        if (done()) resolve()
      }
      timer = setTimeout(resolve, deadline)
    })
    clearTimeout(timer)
  }

  #trouble(error: Error): void {
    this.#options.logger.debug({ problem: error.message }, 'BullMQ')
  }
}
