import { enter, isSettled } from '../../message/messageState.js'
import type { Message } from '../../message/messageView.js'
import { dropsContent, type ManualAction } from '../actions.js'
import type { ChangeListener, RecordsOf, Retention } from '../driver.js'
import type { RowCipher } from '../encryption/rowCipher.js'
import type { ChangeResult } from '../records.js'
import { unpackHead, unpackState } from '../rowCodec.js'
import { type Mutation, StoredMutations, type Withdrawal } from '../storedMutations.js'
import { orUnavailable } from './connections.js'
import type { JobScheduler } from './jobScheduler.js'
import type { FoundMessage } from './redisRows.js'
import type { RedisStore } from './store.js'

interface MutationsOptions {
  changed: ChangeListener
  recordsOf: RecordsOf | undefined
  data: Retention['data']
  maxAge: number
  cipher: RowCipher | undefined
  cancelDelivery: (id: string) => Withdrawal | undefined
}

/** Changes of messages that no process is delivering: an operator's actions, and expiry. Each message keeps the job that it needs. */
export class Mutations {
  readonly #store: RedisStore
  readonly #scheduler: JobScheduler
  readonly #options: MutationsOptions
  readonly #stored: StoredMutations

  constructor(store: RedisStore, scheduler: JobScheduler, options: MutationsOptions) {
    this.#store = store
    this.#scheduler = scheduler
    this.#options = options
    this.#stored = new StoredMutations(store, {
      ...options,
      guard: orUnavailable,
      write: (mutation) => this.#write(mutation),
    })
  }

  /** Applies an operator's action, or reports. */
  apply(id: string, action: ManualAction): Promise<() => Message> {
    return this.#stored.apply(id, action)
  }

  async expire({ id, row }: FoundMessage): Promise<void> {
    const job = unpackHead(row)
    const state = unpackState(row, job)
    enter(state, 'expired', Date.now())
    const dropContent = dropsContent(state.status, this.#options.data)
    const records = this.#options.recordsOf?.({ job, state })
    if ((await this.#write({ id, row, state, dropContent, records })) === 'stale') return
    this.#options.changed({ job, state })
  }

  async #write({ row, ...change }: Mutation): Promise<ChangeResult> {
    const { id, state } = change
    const needsJob = state.status === 'queued'
    const [result, wake = id] = await this.#store.update({ ...change, rev: row.rev, losses: 0, needsJob })
    if (result === 'stale') return result
    if (needsJob) this.#scheduler.reschedule(unpackHead(row), state.dueAt, wake)
    else if (isSettled(state.status)) this.#scheduler.remove(wake)
    return result
  }
}
