import { type MailFilter, matcherOf } from './mailSearch.js'
import type { MailStore, RawMail } from './mailStore.js'
import type { ReceivedMail } from './receivedMail.js'

/** Which mail to wait for. What is left out matches any. */
export interface MailQuery {
  /** An envelope recipient, case aside. */
  to?: string | RegExp
  /** The whole subject, or a pattern in it. */
  subject?: string | RegExp
  /** What else must fit, as in a search. */
  where?: MailFilter
}

export interface WaitOptions extends MailQuery {
  /** Milliseconds; `Infinity` waits until the inbox closes. @default 5000 */
  timeout?: number
  /** Ends the wait: it rejects with the signal's reason. */
  signal?: AbortSignal
}

interface Waiter {
  query: MailQuery
  fits: (mail: ReceivedMail) => boolean
  resolve: (mail: ReceivedMail) => void
  reject: (error: Error) => void
  /** Stops its clock. */
  leave: () => void
}

/** Those who wait for a mail. */
export class MailWaiters {
  readonly #store: MailStore
  readonly #waiters = new Set<Waiter>()

  constructor(store: MailStore) {
    this.#store = store
  }

  waitFor({ timeout = 5000, signal, ...query }: WaitOptions): Promise<ReceivedMail> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted()
      const late = () => {
        this.#leave(waiter)
        void this.#complaint(query, timeout).then(reject)
      }
      // A longer time no timer holds.
      const timer = timeout < 2 ** 31 ? setTimeout(late, timeout) : undefined
      const giveUp = () => {
        this.#leave(waiter)
        reject(signal?.reason as Error)
      }
      signal?.addEventListener('abort', giveUp)
      const waiter: Waiter = {
        query,
        fits: matcherOf(query.where ?? {}),
        resolve,
        reject,
        leave: () => {
          clearTimeout(timer)
          signal?.removeEventListener('abort', giveUp)
        },
      }
      this.#waiters.add(waiter)
      void this.#lookBack(waiter)
    })
  }

  arrived(mail: RawMail): void {
    for (const waiter of this.#waiters) void this.#offer(waiter, mail)
  }

  /** Sends everybody home. */
  close(): void {
    for (const waiter of this.#waiters) {
      this.#leave(waiter)
      waiter.reject(new Error(`The inbox was closed while waiting for ${describe(waiter.query)}`))
    }
  }

  /** @returns whether it was still there */
  #leave(waiter: Waiter): boolean {
    waiter.leave()
    return this.#waiters.delete(waiter)
  }

  async #lookBack(waiter: Waiter): Promise<void> {
    for (const mail of this.#store.list()) {
      if (!this.#waiters.has(waiter)) return
      await this.#offer(waiter, mail)
    }
  }

  async #offer(waiter: Waiter, mail: RawMail): Promise<void> {
    if (!matchesRecipient(waiter.query, mail)) return
    const parsed = await this.#store.parse(mail)
    // Another mail may have been taken while this one was parsed.
    if (!matchesSubject(waiter.query, parsed.subject) || !waiter.fits(parsed) || !this.#leave(waiter)) return
    waiter.resolve(parsed)
  }

  async #complaint(query: MailQuery, timeout: number): Promise<Error> {
    const mails = this.#store.list()
    const last = await Promise.all(mails.slice(-5).map((mail) => this.#store.parse(mail)))
    const there = last.map(({ subject, envelope }) => `'${subject}' to ${envelope.to.join(', ')}`)
    const found =
      mails.length === 0 ? 'no mail has come' : `of ${mails.length} mails the last are ${there.join('; ')}`
    return new Error(`No mail ${describe(query)} came within ${timeout} ms: ${found}`)
  }
}

function matchesRecipient({ to }: MailQuery, mail: RawMail): boolean {
  if (to === undefined) return true
  return mail.envelope.to.some((address) =>
    typeof to === 'string' ? address.toLowerCase() === to.toLowerCase() : found(to, address),
  )
}

function matchesSubject({ subject }: MailQuery, actual: string): boolean {
  if (subject === undefined) return true
  return typeof subject === 'string' ? actual === subject : found(subject, actual)
}

/** Without the memory that a sticky or global pattern keeps between calls. */
function found(pattern: RegExp, text: string): boolean {
  return text.search(pattern) !== -1
}

function describe({ to, subject, where = {} }: MailQuery): string {
  const parts = [
    ...(to === undefined ? [] : [`to ${String(to)}`]),
    ...(subject === undefined
      ? []
      : [`with the subject ${typeof subject === 'string' ? `'${subject}'` : String(subject)}`]),
    ...Object.entries(where).map(([field, value]) => `where ${field} fits '${String(value)}'`),
  ]
  return parts.length === 0 ? 'at all' : parts.join(' ')
}
