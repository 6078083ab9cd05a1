import type { Feedback } from '../feedback/feedback.js'
import type { Suppressions } from '../suppressions/suppressions.js'
import { readUnsubscribeToken, type Subscription } from './unsubscribeLink.js'

/** The actions of recipients on the links of mails with `listUnsubscribe: true`. `unsubscribeRouter` calls it. */
export class Unsubscribes {
  readonly #secrets: readonly string[]
  readonly #suppressions: Suppressions
  readonly #feedback: () => Promise<Feedback>

  /** @internal */
  constructor(secrets: readonly string[], suppressions: Suppressions, feedback: () => Promise<Feedback>) {
    this.#secrets = secrets
    this.#suppressions = suppressions
    this.#feedback = feedback
  }

  /** Reads the token at the end of a link. @returns undefined if it isn't ours, or was changed */
  read(token: string): Subscription | undefined {
    return readUnsubscribeToken(this.#secrets, token)
  }

  /** Suppresses the address for the stream. Repeating it has no effect. */
  async unsubscribe({ address, stream, id }: Subscription): Promise<void> {
    await this.#suppressions.add({ address, stream, reason: 'unsubscribe' })
    const feedback = await this.#feedback()
    const delivery = { state: 'unsubscribed', at: new Date().toISOString(), source: 'link' } as const
    await feedback.take([{ id, recipient: address, delivery }])
  }

  /** Undoes an unsubscribe, and nothing else. */
  async subscribe({ address, stream }: Subscription): Promise<void> {
    await this.#suppressions.remove(address, { stream, reason: 'unsubscribe' })
  }
}
