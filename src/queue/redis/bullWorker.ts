import type { Job, Worker } from 'bullmq'
import type { Deadline } from '../../clock.js'
import type { Logger } from '../../logging/logger.js'
import { type JobData, mirrored, QUEUE_NAME, type BullQueue } from './bullQueue.js'
import type { Connections } from './connections.js'

/** Milliseconds a job is locked for; renewed at half of it, by the main thread, which is free. */
const LOCK = 10_000
/** Milliseconds between two looks for jobs whose lock is over. */
const STALLED = 5_000
/** Milliseconds until a job is looked at again that can't be heeded now. */
const LATER = 2_000

/**
 * What a message wants of its job, once somebody has looked at it: nothing more; to go back in line; to be looked at
 * again soon; or at its own time.
 */
export type Wish = 'done' | 'line' | 'later' | { due: number }

export interface BullWorkerOptions {
  connections: Connections
  prefix: string
  schedule: BullQueue
  logger: Logger
  /** Messages that can be under way at a time; may change. */
  slots: () => number
  /** Looks at a message, and delivers it if that is what it wants. */
  heed: (id: string, priority: number) => Promise<Wish>
}

/**
 * The jobs that BullMQ has handed to this process: for somewhat more messages than there are slots, so that a free slot
 * never waits for one. A job that its process died with comes to another, by BullMQ.
 */
export class BullWorker {
  readonly #options: BullWorkerOptions
  readonly #worker: Worker<JobData>
  #open = 0
  #messages = 0
  #rested: (() => void) | undefined

  constructor(options: BullWorkerOptions) {
    this.#options = options
    const { patient, bullmq } = options.connections
    this.#worker = new bullmq.Worker<JobData>(QUEUE_NAME, (job, token) => this.#work(job, token), {
      connection: patient,
      prefix: options.prefix,
      autorun: false,
      concurrency: this.#wanted,
      lockDuration: LOCK,
      stalledInterval: STALLED,
      // Retries are decided elsewhere, once.
      maxStalledCount: Number.MAX_SAFE_INTEGER,
      removeOnComplete: { count: 0 },
      removeOnFail: { count: 0 },
      runRetryDelay: 500,
    })
    this.#worker.on('error', (error) => this.#trouble(error))
  }

  start(): void {
    this.#worker.run().catch((error: unknown) => this.#trouble(error as Error))
  }

  /** So many jobs are wanted that the slots never wait for one; to be called when that may have changed. */
  stockUp(): void {
    const wanted = this.#wanted
    if (this.#worker.concurrency !== wanted) this.#worker.concurrency = wanted
  }

  /** Takes no more jobs. */
  async pause(): Promise<void> {
    await this.#worker.pause(true)
  }

  /** Lets go. Jobs that have not ended by then come to others when their lock is over. */
  async close(grace: Deadline): Promise<void> {
    await grace.until(
      new Promise<void>((resolve) => {
        this.#rested = resolve
        if (this.#open === 0) resolve()
      }),
    )
    await grace.until(this.#worker.close(this.#open > 0))
  }

  /** When one job ends, those left must have messages for all slots, and as many again. */
  get #wanted(): number {
    const messagesEach = this.#open === 0 ? 1 : this.#messages / this.#open
    return 1 + Math.ceil((2 * Math.max(1, this.#options.slots())) / messagesEach)
  }

  async #work(job: Job<JobData>, token: string | undefined): Promise<void> {
    const ids = job.data.ids ?? [job.id ?? '']
    const priority = mirrored(job.priority)
    this.#open++
    this.#messages += ids.length
    this.stockUp()
    const wishes = await Promise.all(ids.map((id) => this.#heed(id, priority)))
    const end = await this.#grant(job, ids, wishes)
    if (end !== 'done') await this.#putBack(job, end, token)
    this.#messages -= ids.length
    this.#open--
    if (this.#open === 0) this.#rested?.()
    if (end === 'done') return
    const { DelayedError, WaitingError } = this.#options.connections.bullmq
    throw end === 'line' ? new WaitingError() : new DelayedError()
  }

  /** What fails here would end the job with a message that nobody has looked at. */
  async #heed(id: string, priority: number): Promise<Wish> {
    try {
      return await this.#options.heed(id, priority)
    } catch (error) {
      this.#trouble(error as Error)
      return 'later'
    }
  }

  /**
   * What a message wants for itself it is given by a job of its own, before the one it shared ends.
   * @returns what becomes of the job
   */
  async #grant(
    job: Job<JobData>,
    ids: readonly string[],
    wishes: readonly Wish[],
  ): Promise<'done' | 'line' | { due: number }> {
    const later = { due: Date.now() + LATER }
    if (job.data.ids !== undefined) {
      const { name } = job
      const wakes = ids.flatMap((id, index) => {
        const wish = wishes[index]
        return typeof wish === 'object' ? [{ id, name, priority: mirrored(job.priority), due: wish.due }] : []
      })
      try {
        if (wakes.length > 0) await this.#options.schedule.add(wakes)
      } catch (error) {
        this.#trouble(error as Error)
        return later
      }
    }
    if (wishes.includes('line')) return 'line'
    if (wishes.includes('later')) return later
    const [only] = wishes
    return job.data.ids === undefined && typeof only === 'object' ? only : 'done'
  }

  /** If it fails, the lock is over and somebody else has the job: the message itself tells them what is to be done. */
  async #putBack(job: Job, end: 'line' | { due: number }, token: string | undefined): Promise<void> {
    try {
      if (end === 'line') await job.moveToWait(token)
      else await job.moveToDelayed(end.due, token)
    } catch (error) {
      this.#trouble(error as Error)
    }
  }

  #trouble(error: Error): void {
    this.#options.logger.debug({ problem: error.message }, 'BullMQ')
  }
}
