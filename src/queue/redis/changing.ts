import type { Message } from '../../message/view.js'
import { enter, type MessageState } from '../../message/record.js'
import { type ByHand, losesContent, notFound } from '../byHand.js'
import type { ChangeListener } from '../driver.js'
import type { StoredRow } from '../storedRow.js'
import { packState, unpackHead, unpackState } from '../rows.js'
import { show } from './reading.js'
import type { TakenBack } from './deliveries.js'
import type { Found, Store } from './store.js'
import { ask } from './unavailable.js'
import type { Waking } from './waking.js'

interface ChangingOptions {
  changed: ChangeListener
  data: 'until-settled' | 'kept'
  /** Takes a message back from its delivery, for a change. */
  takeBack: (id: string) => TakenBack | undefined
}

/** Changes messages that nobody is delivering: by a person's wish, or because their time is over. */
export class Changing {
  readonly #store: Store
  readonly #waking: Waking
  readonly #changed: ChangeListener
  readonly #data: 'until-settled' | 'kept'
  readonly #takeBack: ChangingOptions['takeBack']

  constructor(store: Store, waking: Waking, { changed, data, takeBack }: ChangingOptions) {
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
  async byHand(id: string, action: ByHand): Promise<Message> {
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
      drop: losesContent(state.status, this.#data),
      losses: 0,
      schedule: state.status === 'queued',
    })
  }
}
