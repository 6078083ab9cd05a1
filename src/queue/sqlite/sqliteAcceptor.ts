import { ThreadpostError } from '../../errors.js'
import { type MailJob, newState } from '../../message/messageState.js'
import { GenerationalCache } from '../../structures/generationalCache.js'
import type { ChangeListener, EnqueueResult } from '../driver.js'
import type { RowCipher } from '../encryption/rowCipher.js'
import { packJob } from '../rowCodec.js'
import { type PackedRow, packRow } from '../storedRow.js'
import { type OutboxClient, unavailableMessage } from './outboxClient.js'
import { CACHED_JOBS, type InsertResult, isCacheable } from './outboxProtocol.js'

/** Messages that may wait for their commit. Beyond it the disk is too slow, and further messages are refused. */
const MAX_PENDING = 20_000
/** Messages in one request, so that a large batch doesn't hold up the others. */
const BATCH_SIZE = 500

interface PendingJob {
  job: MailJob
  cacheable: boolean
}

interface Batch {
  /** The turn of the event loop in which it was opened. */
  turn: number
  rows: PackedRow[]
  callers: { jobs: readonly PendingJob[]; from: number; resolve: (results: EnqueueResult[]) => void }[]
}

/** Sends messages to the outbox thread: all that arrive in one turn of the event loop share a request. */
export class Acceptor {
  readonly #client: OutboxClient
  readonly #onChange: ChangeListener
  readonly #keepKey: number
  readonly #cipher: RowCipher | undefined
  #batch: Batch | undefined
  #pending = 0
  /** Accepted jobs by id, until they are claimed: see {@link CACHED_JOBS}. */
  readonly cachedJobs = new GenerationalCache<string, MailJob>(2 * CACHED_JOBS)

  /** @param keepKey minimum time in ms for which an idempotency key is remembered */
  constructor(client: OutboxClient, onChange: ChangeListener, keepKey: number, cipher?: RowCipher) {
    this.#cipher = cipher
    this.#client = client
    this.#onChange = onChange
    this.#keepKey = keepKey
  }

  /** Resolves once the jobs are on disk, with one result for each, in order. Never rejects. */
  async accept(jobs: readonly MailJob[]): Promise<EnqueueResult[]> {
    const results: EnqueueResult[] = []
    for (let at = 0; at < jobs.length; at += BATCH_SIZE)
      results.push(...(await this.#addToBatch(jobs.slice(at, at + BATCH_SIZE))))
    return results
  }

  #addToBatch(jobs: readonly MailJob[]): Promise<EnqueueResult[]> {
    if (this.#pending > MAX_PENDING) {
      const problem = `The queue can't keep up: ${this.#pending} messages are waiting for the disk. Try again later`
      return Promise.resolve(jobs.map(() => ({ result: 'unavailable', problem })))
    }
    this.#pending += jobs.length
    const batch = this.#openBatch()
    const from = batch.rows.length
    const pending = jobs.map((job): PendingJob => {
      const row = packJob(job, this.#keepKey, this.#cipher)
      batch.rows.push(packRow(row))
      return { job, cacheable: isCacheable(row) }
    })
    return new Promise((resolve) => batch.callers.push({ jobs: pending, from, resolve }))
  }

  #openBatch(): Batch {
    const open = this.#batch
    if (open !== undefined && open.turn === this.#client.turn && open.rows.length < BATCH_SIZE) return open
    const batch: Batch = { turn: this.#client.turn, rows: [], callers: [] }
    this.#batch = batch
    this.#client.send('enqueue', { rows: batch.rows }, (result) => {
      if (this.#batch === batch) this.#batch = undefined
      this.#pending -= batch.rows.length
      for (const { jobs, from, resolve } of batch.callers)
        resolve(
          jobs.map((pending, index) =>
            this.#resultOf(pending, result.failure ?? result.answer[from + index]),
          ),
        )
    })
    return batch
  }

  #resultOf(
    { job, cacheable }: PendingJob,
    answer: ThreadpostError | InsertResult | undefined,
  ): EnqueueResult {
    if (answer instanceof ThreadpostError) {
      const { message: problem, accepted } = answer
      return { result: 'unavailable', problem, ...(accepted === undefined ? {} : { accepted }) }
    }
    if (answer?.result === 'unavailable') return { ...answer, problem: unavailableMessage(answer.problem) }
    if (answer !== null && answer !== undefined) return answer
    if (cacheable) this.cachedJobs.add(job.id, job)
    this.#onChange({ job, state: newState(job) })
    return { result: 'queued' }
  }
}
