import type { Job, Worker } from 'bullmq'
import type { Deadline } from '../../clock.js'
import type { Logger } from '../../logging/logger.js'
import { invertPriority, type JobData, QUEUE_NAME, type BullQueue } from './bullQueue.js'
import type { Connections } from './redisConnections.js'

/** Milliseconds for which a job is locked. The main thread, which is never busy for long, renews the lock at half of it. */
const LOCK_DURATION = 10_000
/** Milliseconds between two searches for jobs whose lock has expired. */
const STALLED_INTERVAL = 5_000
/** Jobs that may be held at least: a slot that is free does not wait for the next one. */
const MIN_JOBS = 2
/** Milliseconds until a job is taken up again whose message can't be handled now. */
const RECHECK_DELAY = 2_000

/**
 * The next step of a job whose message was handled: it is done, goes back to the queue, is processed again soon, or is processed
 * again at a time in milliseconds since the epoch.
 */
export type JobResult = 'done' | 'requeue' | 'recheck' | { due: number }

export interface BullWorkerOptions {
  connections: Connections
  prefix: string
  queue: BullQueue
  logger: Logger
  /** Messages that can be in delivery at a time; may change. */
  slots: () => number
  /** Handles a wake-up: delivers its message, or the one whose turn it is, if it is due. */
  handle: (wake: string, priority: number) => Promise<JobResult>
}

/**
 * The BullMQ worker of this process. It takes jobs for somewhat more messages than there are slots, so that a free slot never
 * waits for a job. How many messages a job has is known only when it is here, so jobs are taken one by one. BullMQ gives the
 * jobs of a process that died to another one.
 */
export class BullWorker {
  readonly #options: BullWorkerOptions
  readonly #worker: Worker<JobData>
  #jobs = 0
  #jobsTaken = 0
  /** Messages of these jobs that are not handled yet. */
  #messages = 0
  #isFull = false
  #onIdle: (() => void) | undefined

  constructor(options: BullWorkerOptions) {
    this.#options = options
    const { patient, bullmq } = options.connections
    this.#worker = new bullmq.Worker<JobData>(QUEUE_NAME, (job, token) => this.#process(job, token), {
      connection: patient,
      prefix: options.prefix,
      autorun: false,
      concurrency: this.#concurrency,
      lockDuration: LOCK_DURATION,
      stalledInterval: STALLED_INTERVAL,
      // Retries are decided by the dispatcher only.
      maxStalledCount: Number.MAX_SAFE_INTEGER,
      removeOnComplete: { count: 0 },
      removeOnFail: { count: 0 },
      runRetryDelay: 500,
    })
    this.#worker.on('error', (error) => this.#logError(error))
  }

  start(): void {
    this.#worker.run().catch((error: unknown) => this.#logError(error as Error))
  }

  /** Adjusts the number of jobs to the slots; must be called when the slots may have changed. */
  updateConcurrency(): void {
    const concurrency = this.#concurrency
    if (this.#worker.concurrency !== concurrency) this.#worker.concurrency = concurrency
  }

  /** Takes no more jobs. */
  async pause(): Promise<void> {
    await this.#worker.pause(true)
  }

  /** Jobs that are still active after the grace period go to other processes when their lock expires. */
  async close(grace: Deadline): Promise<void> {
    await grace.until(
      new Promise<void>((resolve) => {
        this.#onIdle = resolve
        if (this.#jobs === 0) resolve()
      }),
    )
    await grace.until(this.#worker.close(this.#jobs > 0))
  }

  /**
   * How many jobs were taken so far, if BullMQ looks for the next one only when one of these ends: it does not notice that
   * `concurrency` has risen before. All but one message of each job may be over, so slots may be free. Else undefined.
   */
  get fullAt(): number | undefined {
    return this.#isFull ? this.#jobsTaken : undefined
  }

  /** One more job, unless there are messages for all slots, and as many again. */
  get #concurrency(): number {
    const needsMore = this.#messages <= 2 * this.#options.slots()
    return Math.max(MIN_JOBS, this.#jobs + (needsMore ? 1 : 0))
  }

  /** Counts a job that begins or ends. BullMQ reads `concurrency` right afterwards. */
  #count(jobs: 1 | -1, messages: number): void {
    this.#jobs += jobs
    if (jobs > 0) this.#jobsTaken++
    this.#messages += messages
    this.updateConcurrency()
    this.#isFull = this.#jobs >= this.#worker.concurrency
    if (this.#jobs === 0) this.#onIdle?.()
  }

  async #process(job: Job<JobData>, token: string | undefined): Promise<void> {
    const ids = job.data.ids ?? [job.id ?? '']
    const priority = invertPriority(job.priority)
    this.#count(1, ids.length)
    const results = await Promise.all(ids.map((id) => this.#handle(id, priority)))
    const result = await this.#combine(job, ids, results)
    if (result !== 'done') await this.#move(job, result, token)
    this.#count(-1, 0)
    if (result === 'done') return
    const { DelayedError, WaitingError } = this.#options.connections.bullmq
    throw result === 'requeue' ? new WaitingError() : new DelayedError()
  }

  /** An error must not end the job, since nothing has handled the message then. */
  async #handle(id: string, priority: number): Promise<JobResult> {
    try {
      return await this.#options.handle(id, priority)
    } catch (error) {
      this.#logError(error as Error)
      return 'recheck'
    } finally {
      this.#messages--
    }
  }

  /**
   * Messages of a shared job that are due later get jobs of their own before the shared job ends.
   * @returns the result for the job as a whole
   */
  async #combine(
    job: Job<JobData>,
    ids: readonly string[],
    results: readonly JobResult[],
  ): Promise<Exclude<JobResult, 'recheck'>> {
    const recheck = { due: Date.now() + RECHECK_DELAY }
    if (job.data.ids !== undefined) {
      const { name } = job
      const priority = invertPriority(job.priority)
      const wakeUps = ids.flatMap((id, index) => {
        const result = results[index]
        return typeof result === 'object' ? [{ id, name, priority, due: result.due }] : []
      })
      try {
        if (wakeUps.length > 0) await this.#options.queue.add(wakeUps)
      } catch (error) {
        this.#logError(error as Error)
        return recheck
      }
    }
    if (results.includes('requeue')) return 'requeue'
    if (results.includes('recheck')) return recheck
    const [only] = results
    return job.data.ids === undefined && typeof only === 'object' ? only : 'done'
  }

  /** If this fails, the lock has expired and another process has the job; the messages tell it what to do. */
  async #move(job: Job, result: 'requeue' | { due: number }, token: string | undefined): Promise<void> {
    try {
      if (result === 'requeue') await job.moveToWait(token)
      else await job.moveToDelayed(result.due, token)
    } catch (error) {
      this.#logError(error as Error)
    }
  }

  #logError(error: Error): void {
    this.#options.logger.debug({ problem: error.message }, 'BullMQ')
  }
}
