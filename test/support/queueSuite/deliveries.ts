import { type MailJob, openRecipients, type Settlement } from '../../../src/message/messageState.js'
import type { Outcome } from '../../../src/protocol/outcome.js'
import type { Consumer, QueuedMessage } from '../../../src/queue/driver.js'
import { outcomeOf, settlementOf } from './jobs.js'

/** A consumer whose deliveries the test settles. */
export class Deliveries implements Consumer {
  readonly taken: QueuedMessage[] = []
  readonly recipients: string[][] = []
  readonly contents: MailJob['content'][] = []
  /** Whether a delivery in progress can be cancelled. */
  withdrawable = false
  open = 0
  mostOpen = 0
  readonly #script: (message: QueuedMessage, nth: number) => Outcome | Promise<Outcome>

  constructor(
    readonly slots: number,
    script: (message: QueuedMessage, nth: number) => Outcome | Promise<Outcome> = () => outcomeOf('sent'),
  ) {
    this.#script = script
  }

  async deliver(message: QueuedMessage): Promise<Settlement> {
    this.taken.push(message)
    this.recipients.push(openRecipients(message.state))
    this.contents.push(message.job.content)
    this.mostOpen = Math.max(this.mostOpen, ++this.open)
    const outcome = await this.#script(message, this.taken.length)
    this.open--
    return settlementOf(message, outcome)
  }

  cancel(): boolean {
    return this.withdrawable
  }

  recover(message: QueuedMessage): Settlement {
    return settlementOf(message, outcomeOf('uncertain'))
  }

  get ids(): string[] {
    return this.taken.map(({ job }) => job.id)
  }
}
