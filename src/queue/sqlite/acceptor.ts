import { ThreadpostError } from '../../errors.js'
import { type MailJob, newState } from '../../message/messageState.js'
import { GenerationalCache } from '../../structures/generationalCache.js'
import type { ChangeListener, Enqueued } from '../driver.js'
import { packJob } from '../rowCodec.js'
import type { NewRow } from '../storedRow.js'
import { type OutboxClient, refusal } from './outboxClient.js'
import { type Acceptance, isKept, KNOWN } from './outboxProtocol.js'

/** Messages that may wait for their commit; beyond it the disk is too slow, and they are refused. */
const MOST_WAITING = 20_000
/** Messages in one request, so that a large batch doesn't hold up the others. */
const BATCH = 500

interface Batch {
  turn: number
  rows: NewRow[]
  waiting: { jobs: readonly MailJob[]; from: number; resolve: (answers: Enqueued[]) => void }[]
}

/** Hands messages to the outbox: what comes in one turn of the event loop goes in one request. */
export class Acceptor {
  readonly #link: OutboxClient
  readonly #changed: ChangeListener
  readonly #keepKey: number
  #batch: Batch | undefined
  #waiting = 0
  /** Accepted messages by id, until they are handed out: see {@link KNOWN}. */
  readonly atHand = new GenerationalCache<string, MailJob>(2 * KNOWN)

  /** @param keepKey milliseconds an idempotency key is remembered at least */
  constructor(link: OutboxClient, changed: ChangeListener, keepKey: number) {
    this.#link = link
    this.#changed = changed
    this.#keepKey = keepKey
  }

  async accept(jobs: readonly MailJob[]): Promise<Enqueued[]> {
    const answers: Enqueued[] = []
    for (let at = 0; at < jobs.length; at += BATCH)
      answers.push(...(await this.#put(jobs.slice(at, at + BATCH))))
    return answers
  }

  #put(jobs: readonly MailJob[]): Promise<Enqueued[]> {
    if (this.#waiting > MOST_WAITING) {
      const problem = `The queue can't keep up: ${this.#waiting} messages wait for the disk. Try again later`
      return Promise.resolve(jobs.map(() => ({ result: 'unavailable', problem })))
    }
    this.#waiting += jobs.length
    const batch = this.#openBatch()
    const from = batch.rows.length
    for (const job of jobs) batch.rows.push(packJob(job, this.#keepKey))
    return new Promise((resolve) => batch.waiting.push({ jobs, from, resolve }))
  }

  /** What is accepted in one turn of the event loop is one request. */
  #openBatch(): Batch {
    const open = this.#batch
    if (open !== undefined && open.turn === this.#link.turn && open.rows.length < BATCH) return open
    const batch: Batch = { turn: this.#link.turn, rows: [], waiting: [] }
    this.#batch = batch
    this.#link.send('enqueue', { rows: batch.rows }, (result) => {
      if (this.#batch === batch) this.#batch = undefined
      this.#waiting -= batch.rows.length
      for (const { jobs, from, resolve } of batch.waiting) {
        resolve(
          jobs.map((job, index) => {
            const at = from + index
            const kept = isKept(batch.rows[at]!)
            return this.#accepted(job, result.failure ?? result.answer[at], kept)
          }),
        )
      }
    })
    return batch
  }

  #accepted(job: MailJob, answer: ThreadpostError | Acceptance | undefined, kept: boolean): Enqueued {
    if (answer instanceof ThreadpostError) return { result: 'unavailable', problem: answer.message }
    if (answer?.result === 'unavailable') return { ...answer, problem: refusal(answer.problem) }
    if (answer !== null && answer !== undefined) return answer
    if (kept) this.atHand.add(job.id, job)
    this.#changed({ job, state: newState(job) })
    return { result: 'queued' }
  }
}
