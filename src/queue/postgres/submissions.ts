import type { Logger } from '../../logging/logger.js'
import { type MailJob, newState, settle } from '../../message/messageState.js'
import type { Outcome } from '../../protocol/outcome.js'
import { checkFailure, keyTaken } from '../../protocol/unsentOutcome.js'
import type { Admit, ChangeListener } from '../driver.js'
import { unpackState } from '../rowCodec.js'
import type { PostgresOutcomes } from './postgresOutcomes.js'
import type { PostgresClaim } from './postgresRows.js'
import type { PostgresStore } from './postgresStore.js'

/** Limits of the milliseconds until a mail is checked again. */
const MIN_DELAY = 1_000
const MAX_DELAY = 60_000

/** The delay doubles with each check, without a count of them. @param age milliseconds since the mail was submitted */
function delayAfter(age: number): number {
  return Math.min(MAX_DELAY, Math.max(MIN_DELAY, age))
}

export interface SubmissionsOptions {
  store: PostgresStore
  admit: Admit | undefined
  outcomes: PostgresOutcomes
  changed: ChangeListener
  logger: Logger
}

/** Checks the mail that was submitted in SQL, which only a process with templates and transports can. */
export class Submissions {
  readonly #options: SubmissionsOptions

  constructor(options: SubmissionsOptions) {
    this.#options = options
  }

  /**
   * Makes a claimed submission a queued message, or fails it with the code with which `send()` would refuse it.
   * @param job the message as SQL could describe it
   */
  async check(row: PostgresClaim, job: MailJob): Promise<void> {
    const { admit, outcomes, logger } = this.#options
    const { id, acceptedAt } = job
    const state = unpackState(row, job)
    try {
      if (admit === undefined) return
      const result = await admit({ id, acceptedAt, mail: row.content ?? '{}' })
      const outcome = 'refused' in result ? result.refused : await this.#admit(row, result.job)
      if (outcome === undefined) return
      const now = Date.now()
      const attempt = { start: now, end: now, thread: 0, counted: true, outcome }
      const status = outcome.result === 'withdrawn' ? 'cancelled' : 'failed'
      settle(state, { attempt, decision: { status }, recipients: state.recipients }, now)
    } catch (error) {
      // Postgres did not answer, or the check itself failed, which has nothing to do with the mail.
      const problem = error instanceof Error ? error.message : String(error)
      const now = Date.now()
      const nextAttemptAt = now + delayAfter(now - acceptedAt)
      logger.warn({ id, problem, nextAttemptAt }, 'A submitted mail could not be checked; trying again')
      const attempt = { start: now, end: now, thread: 0, counted: false, outcome: checkFailure() }
      const decision = { status: 'deferred', nextAttemptAt } as const
      settle(state, { attempt, decision, recipients: state.recipients }, now)
    }
    await outcomes.store(row, job, state, 0)
  }

  /** @returns the outcome if another message has the idempotency key */
  async #admit(row: PostgresClaim, job: MailJob): Promise<Outcome | undefined> {
    const { store, changed } = this.#options
    const packed = store.pack(job)
    const [holder] = await store.admit(row, packed)
    if (holder === undefined || holder.id === null) {
      changed({ job, state: newState(job) })
      return undefined
    }
    const { id, fingerprint } = holder
    const known = [packed.fingerprint, ...(packed.otherFingerprints ?? [])]
    return keyTaken({ id, differs: fingerprint !== null && !known.includes(fingerprint) })
  }
}
