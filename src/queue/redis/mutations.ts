import { enter, type MessageState } from '../../message/messageState.js'
import type { Message } from '../../message/messageView.js'
import { type ManualAction, dropsContent, notFound } from '../actions.js'
import type { ChangeListener } from '../driver.js'
import { packState, unpackHead, unpackState } from '../rowCodec.js'
import type { StoredRow } from '../storedRow.js'
import { ask } from './connections.js'
import type { JobScheduler } from './jobScheduler.js'
import { show } from './queries.js'
import type { TakenBack } from './redisConsumer.js'
import type { Found, RedisStore } from './store.js'

interface MutationsOptions {
  changed: ChangeListener
  data: 'until-settled' | 'kept'
  /** Takes a message back from its delivery, for a change. */
  takeBack: (id: string) => TakenBack | undefined
}

/** Changes messages that nobody is delivering: by a person's wish, or because their time is over. */
export class Mutations {
  readonly #store: RedisStore
  readonly #waking: JobScheduler
  readonly #changed: ChangeListener
  readonly #data: 'until-settled' | 'kept'
  readonly #takeBack: MutationsOptions['takeBack']

  constructor(store: RedisStore, waking: JobScheduler, { changed, data, takeBack }: MutationsOptions) {
    this.#store = store
    this.#waking = waking
    this.#changed = changed
    this.#data = data
    this.#takeBack = takeBack
  }

  /**
   * Tried again when somebody else changed the message meanwhile. What was taken back from its delivery for it goes
   * back in line unless the change is stored.
   */
  async byHand(id: string, action: ManualAction): Promise<Message> {
    for (;;) {
      const { paused, rows } = await ask(() => this.#store.look([id]))
      const [row] = rows
      if (row === undefined) throw notFound(id)
      const job = unpackHead(row)
      const state = unpackState(row, job)
      let taken: TakenBack | undefined
      let written = false
      try {
        action(state, Date.now(), () => (taken ??= this.#takeBack(id)) !== undefined)
        written = (await ask(() => this.#change(id, row, state))) === 'written'
      } finally {
        taken?.handOver(written)
      }
      if (!written) continue
      this.#changed({ job, state })
      if (state.status === 'queued') this.#waking.again(job, state.dueAt)
      else this.#waking.never(id)
      return show({ ...row, ...packState(state) }, paused)
    }
  }

  async expire({ id, row }: Found): Promise<void> {
    const job = unpackHead(row)
    const state = unpackState(row, job)
    enter(state, 'expired', Date.now())
    if ((await this.#change(id, row, state)) === 'stale') return
    this.#changed({ job, state })
    this.#waking.never(id)
  }

  #change(id: string, row: StoredRow, state: MessageState): Promise<'written' | 'stale'> {
    return this.#store.change({
      id,
      rev: row.rev,
      state,
      drop: dropsContent(state.status, this.#data),
      losses: 0,
      schedule: state.status === 'queued',
    })
  }
}
