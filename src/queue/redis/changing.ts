import type { Message } from '../../messageView.js'
import { enter, type MessageState } from '../../record.js'
import { losesContent, notFound } from '../byHand.js'
import type { ChangeListener } from '../driver.js'
import type { StoredRow } from '../outboxWire.js'
import { packState, unpackHead, unpackState } from '../rows.js'
import { show } from './reading.js'
import type { Store } from './store.js'
import type { Found } from './sweeper.js'
import { ask } from './unavailable.js'
import type { Waking } from './waking.js'

/** Changes messages that nobody is delivering: by a person's wish, or because their time is over. */
export class Changing {
  readonly #store: Store
  readonly #waking: Waking
  readonly #changed: ChangeListener
  readonly #data: 'until-settled' | 'kept'

  constructor(
    store: Store,
    waking: Waking,
    { changed, data }: { changed: ChangeListener; data: 'until-settled' | 'kept' },
  ) {
    this.#store = store
    this.#waking = waking
    this.#changed = changed
    this.#data = data
  }

  /** Tried again when somebody else changed the message meanwhile. */
  async byHand(id: string, action: (state: MessageState, now: number) => void): Promise<Message> {
    for (;;) {
      const { paused, rows } = await ask(() => this.#store.look([id]))
      const [row] = rows
      if (row === undefined) throw notFound(id)
      const job = unpackHead(row)
      const state = unpackState(row, job)
      action(state, Date.now())
      if ((await ask(() => this.#change(id, row, state))) === 'stale') continue
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
