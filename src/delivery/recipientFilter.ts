import { openRecipients, type SuppressedRecipient, withSuppressed } from '../message/messageState.js'
import type { Outcome } from '../protocol/outcome.js'
import { emptyFacts } from '../protocol/unsentOutcome.js'
import type { QueuedMessage } from '../queue/driver.js'
import type { SuppressionLookup } from '../suppressions/suppressionLookup.js'
import type { MessageObserver } from '../telemetry/messageObserver.js'

/** Milliseconds between two looks at a list that can't be read. */
const RETRY_DELAY = 1_000

/**
 * Takes suppressed recipients out of a message immediately before its delivery. A list that can't be read is read again until it
 * can: nothing is sent to an address that may be suppressed.
 */
export class RecipientFilter {
  readonly #suppressions: SuppressionLookup
  readonly #observer: MessageObserver
  /** Messages that are being checked, by id, with the function that gives up. */
  readonly #checking = new Map<string, () => void>()
  #closed = false

  constructor(suppressions: SuppressionLookup, observer: MessageObserver) {
    this.#suppressions = suppressions
    this.#observer = observer
  }

  /** Whether the message certainly has no suppressed recipient. */
  passes({ job }: QueuedMessage): boolean {
    return this.#suppressions.empty && job.suppressed === undefined
  }

  /** @returns the message without its suppressed recipients; undefined if it was cancelled, or the mailer closed */
  async filter(message: QueuedMessage): Promise<QueuedMessage | undefined> {
    const { job, state } = message
    const open = openRecipients(state)
    if (open.length === 0) return message
    const givenUp = new Promise<undefined>((resolve) => this.#checking.set(job.id, () => resolve(undefined)))
    try {
      const suppressed = await Promise.race([this.#find(open, job.stream), givenUp])
      if (suppressed === undefined || !this.#checking.has(job.id)) return undefined
      if (suppressed.size === 0) return message
      const recipients = withSuppressed(state.recipients, [...suppressed.values()])
      const filtered = { ...message, state: { ...state, recipients } }
      this.#observer.suppressed(filtered, [...suppressed.values()])
      return filtered
    } finally {
      this.#checking.delete(job.id)
    }
  }

  /** @returns whether the message was being checked; it then certainly isn't sent */
  cancel(id: string): boolean {
    const giveUp = this.#checking.get(id)
    if (giveUp === undefined) return false
    this.#checking.delete(id)
    giveUp()
    return true
  }

  /** Gives up all messages that are being checked. */
  close(): void {
    this.#closed = true
    for (const giveUp of this.#checking.values()) giveUp()
  }

  async #find(
    open: readonly string[],
    stream: string | undefined,
  ): Promise<Map<string, SuppressedRecipient> | undefined> {
    while (!this.#closed) {
      try {
        return await this.#suppressions.find(open, stream)
      } catch {
        // The list reports that it can't be read.
        await new Promise((resolve) => setTimeout(resolve, RETRY_DELAY).unref())
      }
    }
    return undefined
  }
}

/** The outcome of a message all of whose recipients are suppressed. */
export function suppressedOutcome({ state }: QueuedMessage): Outcome {
  const recipients = state.recipients.filter(({ code }) => code === 'SUPPRESSED')
  const [first] = recipients
  const { reason = 'manual', since = '' } = first?.suppressed ?? {}
  const others = recipients.length > 1 ? `, and ${recipients.length - 1} more` : ''
  return {
    result: 'rejected',
    code: 'SUPPRESSED',
    message: `Not sent: ${first?.address ?? 'the recipient'} has been suppressed since ${since} (${reason})${others}`,
    ...emptyFacts(),
  }
}
