import { ThreadpostError } from '../errors.js'
import { acceptLoaded, type LoadRules, recipientsAfterLoad, withLoad } from '../message/loaded.js'
import type { MailJob, MessageState, RecipientState, Settlement } from '../message/messageState.js'
import { type AcceptedLoad, fromStoredLoad, toStoredLoad } from '../message/storedLoad.js'
import { emptyFacts, type Outcome } from '../protocol/outcome.js'
import type { LoadReply } from '../protocol/tasks.js'

/**
 * The part of one delivery that a template's `load` function decides. `load` runs in a thread first; the main thread
 * validates what it returned, as it validates a mail, and hands the message out again. Further attempts use the same value.
 */
export class LoadStep {
  readonly #job: MailJob
  readonly #rules: LoadRules
  #accepted: AcceptedLoad | undefined
  #isNew = false
  #ms = 0
  recipients: RecipientState[]
  /** The job with what `load` returned. */
  job: MailJob

  constructor(job: MailJob, state: Readonly<MessageState>, rules: LoadRules) {
    this.#job = job
    this.#rules = rules
    this.recipients = state.recipients
    this.#accepted = state.loaded && fromStoredLoad(state.loaded)
    this.job = this.#accepted === undefined ? job : withLoad(job, this.#accepted)
  }

  /** Whether `load` has run. */
  get done(): boolean {
    return this.#accepted !== undefined
  }

  /** @returns the outcome if the value is not valid */
  async accept({ value, ms }: LoadReply): Promise<Outcome | undefined> {
    try {
      const accepted = await acceptLoaded(this.#job, value, this.#rules)
      this.#accepted = accepted
      this.#isNew = true
      this.#ms = ms
      this.job = withLoad(this.#job, accepted)
      if (accepted.to !== undefined) this.recipients = recipientsAfterLoad(this.job, this.recipients)
      return undefined
    } catch (error) {
      if (!(error instanceof ThreadpostError)) throw error
      const message = `The load function of the template returned something that can't be sent: ${error.message}`
      return { result: 'rejected', code: 'LOAD_FAILED', message, ...emptyFacts() }
    }
  }

  /** Adds the time that `load` took, and what it returned if there may be further attempts. */
  complete(outcome: Outcome, settle: () => Settlement): Settlement {
    if (this.#ms > 0) outcome.timings.load = this.#ms
    const settlement = settle()
    if (this.#accepted !== undefined && this.#isNew && settlement.decision.status !== 'sent')
      settlement.loaded = toStoredLoad(this.#accepted)
    return settlement
  }
}
