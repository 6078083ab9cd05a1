import type { Reported } from '../../feedback/deliveryStates.js'
import type { Message } from '../../message/messageView.js'
import { type ManualAction, dropsContent, notFound } from '../actions.js'
import type { ChangeListener, RecordsOf, Retention } from '../driver.js'
import { packState, unpackHead, unpackState } from '../rowCodec.js'
import { show } from '../storedQueries.js'
import { orPostgresUnavailable } from './postgresConnections.js'
import type { Withdrawal } from './postgresConsumer.js'
import type { PostgresStore } from './postgresStore.js'

interface PostgresMutationsOptions {
  changed: ChangeListener
  recordsOf: RecordsOf | undefined
  data: Retention['data']
  maxAge: number
  /** Withdraws a message from its delivery in this process. Returns undefined if it may still be sent. */
  cancelDelivery: (id: string) => Withdrawal | undefined
}

/** An operator's actions on messages. */
export class PostgresMutations {
  readonly #store: PostgresStore
  readonly #options: PostgresMutationsOptions

  constructor(store: PostgresStore, options: PostgresMutationsOptions) {
    this.#store = store
    this.#options = options
  }

  /**
   * Applies an action, and tries again if another change came first. A message that was withdrawn from its delivery for the
   * action is requeued unless the action is stored.
   */
  async apply(id: string, action: ManualAction): Promise<Message> {
    const { changed, data, maxAge, recordsOf } = this.#options
    for (;;) {
      const { paused, rows } = await orPostgresUnavailable(() => this.#store.find([id]))
      const [row] = rows
      if (row === undefined) throw notFound(id)
      const job = unpackHead(row)
      const state = unpackState(row, job)
      let withdrawn: Withdrawal | undefined
      let written = false
      let reported: Reported | undefined
      try {
        const cancelDelivery = (): boolean => (withdrawn ??= this.#options.cancelDelivery(id)) !== undefined
        reported = action({ id, state, now: Date.now(), maxAge, cancelDelivery })
        if (reported?.changes.length === 0) return show(row, paused)
        const dropContent = dropsContent(state.status, data)
        const records = recordsOf?.({ job, state, reported })
        const change = { id, row, state, dropContent, losses: 0, records }
        written = (await orPostgresUnavailable(() => this.#store.update(change))) === 'written'
      } finally {
        withdrawn?.finish(written)
      }
      if (!written) continue
      changed({ job, state, reported })
      return show({ ...row, ...packState(state) }, paused)
    }
  }
}
