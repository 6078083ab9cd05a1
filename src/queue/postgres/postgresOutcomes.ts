import { ConditionLog } from '../../logging/conditionLog.js'
import type { Logger } from '../../logging/logger.js'
import { type MailJob, type MessageState, waitsForTransport } from '../../message/messageState.js'
import { dropsContent } from '../actions.js'
import type { ChangeListener, RecordsOf, Retention } from '../driver.js'
import type { ChangeResult } from '../records.js'
import { entered, OUTCOME_NOT_STORED } from '../storedMutations.js'
import type { StoredRow } from '../storedRow.js'
import type { PostgresChange, PostgresRow } from './postgresRows.js'
import type { PostgresStore } from './postgresStore.js'

/** Milliseconds between two attempts to store a result that Postgres did not take. */
const RETRY_DELAY = 250

export interface PostgresOutcomesOptions {
  store: PostgresStore
  changed: ChangeListener
  recordsOf: RecordsOf | undefined
  data: Retention['data']
  logger: Logger
  /** Called with each state that was stored, or could not be. */
  stored: (state: Readonly<MessageState>) => void
}

/** Stores the results of deliveries, however long Postgres is away: only this process knows them. */
export class PostgresOutcomes {
  readonly #options: PostgresOutcomesOptions
  readonly #failure: ConditionLog
  #pending = 0
  #closed = false

  constructor(options: PostgresOutcomesOptions) {
    this.#options = options
    this.#failure = new ConditionLog(options.logger, OUTCOME_NOT_STORED)
  }

  /** Results that are being stored. */
  get pending(): number {
    return this.#pending
  }

  /** Results that can't be stored now are given up: other processes recover their messages. */
  close(): void {
    this.#closed = true
  }

  /** Settles messages as expired. */
  async expire(rows: readonly PostgresRow[]): Promise<void> {
    await Promise.all(
      rows.map((row) => {
        const { job, state } = entered(row, 'expired')
        return this.store(row, job, state, 0)
      }),
    )
  }

  /** Puts a claimed message back that was not begun. */
  async requeue({ row, job }: { row: StoredRow; job: MailJob }): Promise<void> {
    const { state } = entered(row, 'queued', job)
    await this.store(row, job, state, row.losses)
  }

  /** @param losses process deaths in a row */
  async store(row: StoredRow, job: MailJob, state: MessageState, losses: number): Promise<void> {
    this.#pending++
    try {
      const { id } = job
      const dropContent = dropsContent(state.status, this.#options.data)
      const records = this.#options.recordsOf?.({ job, state })
      const change: PostgresChange = { id, row, state, dropContent, losses, records }
      if (waitsForTransport(state)) change.heldFor = job.transport
      const result = await this.#storeUntilDone(change)
      if (result === 'stale')
        this.#options.logger.warn(
          { id, status: state.status },
          'Another process has changed the message already',
        )
      else if (result === 'written' && state.status !== 'queued') this.#options.changed({ job, state })
    } finally {
      this.#pending--
      this.#options.stored(state)
    }
  }

  /** @returns undefined if the queue is closed first */
  async #storeUntilDone(change: PostgresChange): Promise<ChangeResult | undefined> {
    for (let again = false; ; again = true) {
      try {
        const result = await this.#options.store.settle(change)
        this.#failure.end()
        // After an attempt without an answer, it may have been this process that changed the message.
        return result === 'stale' && again && (await this.#options.store.wasStored(change))
          ? 'written'
          : result
      } catch (error) {
        if (this.#closed) return undefined
        this.#failure.begin({ id: change.id, problem: (error as Error).message })
        await new Promise((resolve) => setTimeout(resolve, RETRY_DELAY))
      }
    }
  }
}
