import { ThreadpostError } from '../errors.js'
import { acceptLoaded, type LoadRules, recipientsAfterLoad, withLoad } from '../message/loaded.js'
import {
  type MailJob,
  openRecipients,
  type RecipientState,
  type Settlement,
} from '../message/messageState.js'
import type { SafeMode } from '../message/safeMode.js'
import { type AcceptedLoad, fromStoredLoad, toStoredLoad } from '../message/storedLoad.js'
import { toPayload } from '../message/toPayload.js'
import type { Outcome } from '../protocol/outcome.js'
import { isShared, releaseBlock } from '../protocol/sharedBlock.js'
import type { LoadedValue, LoadReply, MessagePayload } from '../protocol/tasks.js'
import { emptyFacts } from '../protocol/unsentOutcome.js'
import type { QueuedMessage } from '../queue/driver.js'
import type { DeliveryOrder } from '../threads/runner.js'
import type { LoadAcceptor } from './crashRecovery.js'
import { type RecipientFilter, suppressedOutcome } from './recipientFilter.js'

const RELEASED = {
  result: 'deferred',
  code: 'RELEASED',
  message: 'The mailer was closed before the message was sent.',
} as const

/**
 * The part of one delivery that a template's `load` function decides. `load` runs in a thread first; the main thread
 * validates what it returned, as it validates a mail, and hands the message out again. Further attempts use the same value.
 */
export class LoadStep {
  readonly #message: QueuedMessage
  readonly #rules: LoadRules
  readonly #filter: RecipientFilter
  #accepted: AcceptedLoad | undefined
  #isNew = false
  #ms = 0
  /** Those of the value's attachments that are in shared blocks, which are in use until the delivery has ended. */
  #blocks: Uint8Array[] = []
  recipients: RecipientState[]
  /** The job with what `load` returned. */
  job: MailJob

  constructor(message: QueuedMessage, rules: LoadRules, filter: RecipientFilter) {
    const { job, state } = message
    this.#message = message
    this.#rules = rules
    this.#filter = filter
    this.recipients = state.recipients
    this.#accepted = state.loaded && fromStoredLoad(state.loaded)
    this.job = this.#accepted === undefined ? job : withLoad(job, this.#accepted)
  }

  /** The message, with the recipients that `load` chose. */
  get message(): QueuedMessage {
    const { recipients, job } = this
    return { ...this.#message, job, state: { ...this.#message.state, recipients } }
  }

  /** The part of the message that a thread receives. It tells the thread whether `load` has run. */
  payload(): MessagePayload {
    const payload = toPayload(this.job)
    if (this.#accepted !== undefined) payload.loaded = true
    return payload
  }

  /**
   * Returns the function that puts the value into the order of the delivery, which goes on with it. The order stays the same
   * object, because the delivery can be cancelled by it.
   * @param original the order before safe mode
   */
  acceptor(original: DeliveryOrder, order: DeliveryOrder, safe: SafeMode | undefined): LoadAcceptor {
    return async (_, reply) => {
      const refused = await this.#accept(reply)
      if (refused !== undefined) return refused
      const recipients = openRecipients(this.message.state)
      const next = { ...original, payload: this.payload(), recipients }
      const guarded = safe?.guard(next) ?? next
      order.payload = guarded.payload
      order.recipients = guarded.recipients
      return undefined
    }
  }

  async #accept({ value, ms }: LoadReply): Promise<Outcome | undefined> {
    this.#blocks = blocksOf(value)
    try {
      const accepted = await acceptLoaded(this.#message.job, value, this.#rules)
      this.#accepted = accepted
      this.#isNew = true
      this.#ms = ms
      this.job = withLoad(this.#message.job, accepted)
      if (accepted.to === undefined) return undefined
      this.recipients = recipientsAfterLoad(this.job, this.recipients)
      return await this.#withoutSuppressed()
    } catch (error) {
      if (!(error instanceof ThreadpostError)) throw error
      const message = `The load function of the template returned something that can't be sent: ${error.message}`
      return { result: 'rejected', code: 'LOAD_FAILED', message, ...emptyFacts() }
    }
  }

  /** The recipients that `load` chose may be suppressed, as those of `send()` may be. */
  async #withoutSuppressed(): Promise<Outcome | undefined> {
    if (this.#filter.passes(this.message)) return undefined
    const filtered = await this.#filter.filter(this.message)
    if (filtered === undefined) return { ...RELEASED, ...emptyFacts() }
    this.recipients = filtered.state.recipients
    return openRecipients(filtered.state).length === 0 ? suppressedOutcome(filtered) : undefined
  }

  /** Adds the time that `load` took, and a copy of what it returned if there may be further attempts. Its memory is then used again. */
  complete(outcome: Outcome, settle: (message: QueuedMessage) => Settlement): Settlement {
    if (this.#ms > 0) outcome.timings.load = this.#ms
    const changed = this.recipients !== this.#message.state.recipients
    try {
      const settlement = settle(changed ? this.message : this.#message)
      if (this.#accepted !== undefined && this.#isNew && settlement.decision.status !== 'sent')
        settlement.loaded = toStoredLoad(this.#accepted)
      return settlement
    } finally {
      for (const block of this.#blocks) releaseBlock(block)
    }
  }
}

/** Returns the attachments that are in blocks. A thread puts nothing else that is shared into its reply. */
function blocksOf({ attachments = [] }: LoadedValue): Uint8Array[] {
  return attachments.flatMap(({ content }) =>
    content instanceof Uint8Array && isShared(content) ? [content] : [],
  )
}
