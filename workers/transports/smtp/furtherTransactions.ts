/**
 * A server that limits the recipients of a transaction refuses those beyond its limit with 452 (RFC 5321 section
 * 4.5.3.1.10). They receive the message in further transactions of the same attempt.
 */
import type { RecipientOutcome } from '../../../src/protocol/outcome.js'
import type { Progress, SendResult, SentOctets } from '../transport.js'
import { exceedsRecipientLimit } from './smtpResults.js'

/**
 * The progress of a further transaction, as progress of the whole message. The message stays `replied` until the next
 * body: if the thread dies before that, the recipients that were accepted are known, and the others were not sent.
 */
export class FurtherProgress implements Progress {
  readonly #progress: Progress
  readonly #code: number
  readonly #before: readonly RecipientOutcome[]

  /** @param before the results of the transactions before it, for every recipient of the message */
  constructor(progress: Progress, { reply, recipients }: SendResult) {
    this.#progress = progress instanceof FurtherProgress ? progress.#progress : progress
    this.#code = reply?.code ?? 0
    this.#before = recipients
  }

  enterPhase(phase: 'connecting' | 'envelope' | 'body'): void {
    if (phase !== 'body') return
    // From here on the results of the remaining recipients are unknown, and the others keep theirs.
    this.#record((recipient) => (isRemaining(recipient) ? 'uncertain' : recipient.result))
    this.#progress.enterPhase('body')
  }

  /** The message is being sent: it is too late to cancel it, and it does not expire. */
  commit(): 'committed' {
    return 'committed'
  }

  release(): void {}

  replied(_code: number, results: RecipientOutcome['result'][]): void {
    const remaining = results.values()
    this.#record((recipient) =>
      isRemaining(recipient) ? (remaining.next().value ?? 'uncertain') : recipient.result,
    )
  }

  sends(octets: SentOctets): void {
    this.#progress.sends(octets)
  }

  addTiming(step: 'connect' | 'transaction', ms: number): void {
    this.#progress.addTiming(step, ms)
  }

  #record(resultOf: (recipient: RecipientOutcome) => RecipientOutcome['result']): void {
    this.#progress.replied(this.#code, this.#before.map(resultOf))
  }
}

function isRemaining({ result, reply }: RecipientOutcome): boolean {
  return result === 'deferred' && exceedsRecipientLimit(reply)
}
