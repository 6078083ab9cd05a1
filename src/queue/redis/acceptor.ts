import { type MailJob, newState } from '../../message/record.js'
import type { ChangeListener, Enqueued } from '../driver.js'
import { Gathered } from './gathered.js'
import type { Store } from './store.js'
import { refusal } from './unavailable.js'

/** Messages in one command. */
const LOT = 100

/**
 * Takes messages in: what comes in one turn of the event loop is one command. It is accepted once it stands in Redis;
 * then it is given its job.
 */
export class Acceptor {
  readonly #store: Store
  readonly #changed: ChangeListener
  readonly #add: (jobs: readonly MailJob[]) => void
  readonly #gathered: Gathered<MailJob, Enqueued>

  constructor(store: Store, options: { changed: ChangeListener; add: (jobs: readonly MailJob[]) => void }) {
    this.#store = store
    this.#changed = options.changed
    this.#add = options.add
    this.#gathered = new Gathered(LOT, (jobs) => this.#accept(jobs))
  }

  accept(jobs: readonly MailJob[]): Promise<Enqueued[]> {
    return Promise.all(jobs.map((job) => this.#gathered.ask(job)))
  }

  async #accept(jobs: readonly MailJob[]): Promise<Enqueued[]> {
    const op = this.#store.op()
    let answers: Enqueued[]
    try {
      answers = await this.#store.accept(jobs, op)
    } catch (error) {
      // Redis may have taken them in before it was lost: they have no job yet, and never get one.
      this.#store
        .revoke(
          jobs.map(({ id }) => id),
          op,
        )
        .catch(() => undefined)
      const problem = refusal(error)
      return jobs.map(() => ({ result: 'unavailable', problem }))
    }
    const accepted = jobs.filter((_, index) => answers[index]?.result === 'queued')
    for (const job of accepted) this.#changed({ job, state: newState(job) })
    if (accepted.length > 0) this.#add(accepted)
    return answers
  }
}
