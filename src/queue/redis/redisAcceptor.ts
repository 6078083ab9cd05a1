import { waitAtMost } from '../../clock.js'
import { type MailJob, newState } from '../../message/messageState.js'
import { RequestBatcher } from '../../structures/batcher.js'
import type { ChangeListener, EnqueueResult } from '../driver.js'
import type { MemoryReserve } from './memoryReserve.js'
import { mayHaveRun, unavailableMessage } from './redisConnections.js'
import type { RedisStore } from './redisStore.js'

/** Messages in one command at most. */
const MAX_BATCH = 100
/** Milliseconds that a caller waits to learn that its message was taken back. */
const REVOCATION_WAIT = 900

interface AcceptorOptions {
  reserve: MemoryReserve
  changed: ChangeListener
  addJobs: (jobs: readonly MailJob[]) => void
}

/**
 * Accepts messages: those of one turn of the event loop share a command. A message is accepted once it is in Redis, and gets its
 * BullMQ job after that.
 *
 * If Redis does not answer, the command may still wait in a buffer and run later. So it is revoked, and the caller is told that
 * its mail was not accepted only when Redis has confirmed that. While a revocation has no answer, nothing is sent to Redis.
 */
export class RedisAcceptor {
  readonly #store: RedisStore
  readonly #options: AcceptorOptions
  readonly #batcher: RequestBatcher<MailJob, EnqueueResult>
  /** Revocations without an answer. */
  #revoking = 0

  constructor(store: RedisStore, options: AcceptorOptions) {
    this.#store = store
    this.#options = options
    this.#batcher = new RequestBatcher(MAX_BATCH, (jobs) => this.#accept(jobs))
  }

  accept(jobs: readonly MailJob[]): Promise<EnqueueResult[]> {
    return Promise.all(jobs.map((job) => this.#batcher.request(job)))
  }

  async #accept(jobs: readonly MailJob[]): Promise<EnqueueResult[]> {
    if (this.#revoking > 0) return refused(jobs, unavailableMessage('it has not answered for a while'))
    const full = await this.#options.reserve.refusal()
    if (full !== undefined) return refused(jobs, full)
    const operation = this.#store.nextOperation()
    let results: EnqueueResult[]
    try {
      results = await this.#store.enqueue(jobs, operation)
    } catch (error) {
      const problem = unavailableMessage(error)
      const certain = !mayHaveRun(error) || (await this.#revoke(jobs, operation))
      return refused(jobs, problem, certain)
    }
    const accepted = jobs.filter((_, index) => results[index]?.result === 'queued')
    for (const job of accepted) this.#options.changed({ job, state: newState(job) })
    if (accepted.length > 0) this.#options.addJobs(accepted)
    return results
  }

  /** Resolves to true when Redis has confirmed that none of the messages is accepted, and to false if it does not in time. */
  async #revoke(jobs: readonly MailJob[], operation: string): Promise<boolean> {
    let revoked = false
    this.#revoking++
    const ids = jobs.map(({ id }) => id)
    const answered = this.#store
      .revoke(ids, operation)
      .then(
        (confirmed) => {
          revoked = confirmed
        },
        () => undefined,
      )
      .finally(() => this.#revoking--)
    await waitAtMost(answered, REVOCATION_WAIT)
    return revoked
  }
}

/** @param certain the messages will not be delivered */
function refused(jobs: readonly MailJob[], problem: string, certain = true): EnqueueResult[] {
  return jobs.map(() => ({ result: 'unavailable', problem, ...(certain ? {} : { accepted: 'unknown' }) }))
}
