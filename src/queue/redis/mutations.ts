import type { Reported } from '../../feedback/deliveryStates.js'
import { enter, isSettled } from '../../message/messageState.js'
import type { Message } from '../../message/messageView.js'
import { type ManualAction, dropsContent, notFound } from '../actions.js'
import type { ChangeListener, QueuedMessage, RecordsOf, Retention } from '../driver.js'
import type { ChangeResult } from '../records.js'
import { packState, unpackHead, unpackState } from '../rowCodec.js'
import { show } from '../storedQueries.js'
import type { StoredRow } from '../storedRow.js'
import { orUnavailable } from './connections.js'
import type { JobScheduler } from './jobScheduler.js'
import type { Withdrawn } from './redisConsumer.js'
import type { FoundMessage, RedisStore } from './store.js'

interface MutationsOptions {
  changed: ChangeListener
  recordsOf: RecordsOf | undefined
  data: Retention['data']
  maxAge: number
  /** Withdraws a message from its delivery in this process. Returns undefined if it may still be sent. */
  cancelDelivery: (id: string) => Withdrawn | undefined
}

/** Changes of messages that no process is delivering: an operator's actions, and expiry. */
export class Mutations {
  readonly #store: RedisStore
  readonly #scheduler: JobScheduler
  readonly #options: MutationsOptions

  constructor(store: RedisStore, scheduler: JobScheduler, options: MutationsOptions) {
    this.#store = store
    this.#scheduler = scheduler
    this.#options = options
  }

  /**
   * Applies an operator's action, and tries again if another change came first. A message that was withdrawn from its delivery
   * for the action is requeued unless the action is stored.
   */
  async apply(id: string, action: ManualAction): Promise<Message> {
    for (;;) {
      const { paused, rows } = await orUnavailable(() => this.#store.find([id]))
      const [row] = rows
      if (row === undefined) throw notFound(id)
      const job = unpackHead(row)
      const state = unpackState(row, job)
      let withdrawn: Withdrawn | undefined
      let written = false
      let reported: Reported | undefined
      try {
        const cancelDelivery = (): boolean => (withdrawn ??= this.#options.cancelDelivery(id)) !== undefined
        const { maxAge } = this.#options
        reported = action({ id, state, now: Date.now(), maxAge, cancelDelivery })
        if (reported?.changes.length === 0) return show(row, paused)
        written = (await orUnavailable(() => this.#update(row, { job, state, reported }))) === 'written'
      } finally {
        withdrawn?.finish(written)
      }
      if (!written) continue
      this.#options.changed({ job, state, reported })
      if (reported !== undefined && !isSettled(state.status))
        return show({ ...row, ...packState(state) }, paused)
      if (state.status === 'queued') this.#scheduler.reschedule(job, state.dueAt)
      else this.#scheduler.remove(id)
      return show({ ...row, ...packState(state) }, paused)
    }
  }

  async expire({ id, row }: FoundMessage): Promise<void> {
    const job = unpackHead(row)
    const state = unpackState(row, job)
    enter(state, 'expired', Date.now())
    if ((await this.#update(row, { job, state })) === 'stale') return
    this.#options.changed({ job, state })
    this.#scheduler.remove(id)
  }

  #update(row: StoredRow, message: QueuedMessage): Promise<ChangeResult> {
    const { job, state } = message
    return this.#store.update({
      id: job.id,
      rev: row.rev,
      state,
      records: this.#options.recordsOf?.(message),
      dropContent: dropsContent(state.status, this.#options.data),
      losses: 0,
      needsJob: state.status === 'queued',
    })
  }
}
