import type { Reported } from '../../feedback/deliveryStates.js'
import { enter, isSettled, type MessageState } from '../../message/messageState.js'
import type { Message } from '../../message/messageView.js'
import { type ManualAction, dropsContent, notFound } from '../actions.js'
import type { ChangeListener, Retention } from '../driver.js'
import { packState, unpackHead, unpackState } from '../rowCodec.js'
import { show } from '../storedQueries.js'
import type { StoredRow } from '../storedRow.js'
import { orUnavailable } from './connections.js'
import type { JobScheduler } from './jobScheduler.js'
import type { Withdrawn } from './redisConsumer.js'
import type { FoundMessage, RedisStore } from './store.js'

interface MutationsOptions {
  changed: ChangeListener
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
      let wake: string | undefined
      let reported: Reported | undefined
      try {
        const cancelDelivery = (): boolean => (withdrawn ??= this.#options.cancelDelivery(id)) !== undefined
        const { maxAge } = this.#options
        reported = action({ id, state, now: Date.now(), maxAge, cancelDelivery })
        if (reported?.changes.length === 0) return show(row, paused)
        const [result, name] = await orUnavailable(() => this.#update(id, row, state))
        written = result === 'written'
        wake = name
      } finally {
        withdrawn?.finish(written)
      }
      if (!written) continue
      this.#options.changed({ job, state, reported })
      if (reported !== undefined && !isSettled(state.status))
        return show({ ...row, ...packState(state) }, paused)
      if (state.status === 'queued') this.#scheduler.reschedule(job, state.dueAt, wake)
      else this.#scheduler.remove(wake ?? id)
      return show({ ...row, ...packState(state) }, paused)
    }
  }

  async expire({ id, row }: FoundMessage): Promise<void> {
    const job = unpackHead(row)
    const state = unpackState(row, job)
    enter(state, 'expired', Date.now())
    const [result, wake] = await this.#update(id, row, state)
    if (result === 'stale') return
    this.#options.changed({ job, state })
    this.#scheduler.remove(wake ?? id)
  }

  #update(id: string, row: StoredRow, state: MessageState): ReturnType<RedisStore['update']> {
    return this.#store.update({
      id,
      rev: row.rev,
      state,
      dropContent: dropsContent(state.status, this.#options.data),
      losses: 0,
      needsJob: state.status === 'queued',
    })
  }
}
