import { type MailFilter, matcherOf, refuseUnknown } from './mailSearch.js'
import type { MailStore, RawMail } from './mailStore.js'
import type { ReceivedMail } from './receivedMail.js'

/** Selects the message to wait for. An absent field matches every message. */
export interface MailQuery {
  /** A recipient of the envelope, ignoring case. */
  to?: string | RegExp
  /** The full subject, or a pattern in it. */
  subject?: string | RegExp
  /** Further conditions, as in a search. */
  where?: MailFilter
}

export interface WaitOptions extends MailQuery {
  /** Milliseconds; `Infinity` waits until the inbox closes. @default 5000 */
  timeout?: number
  /** Ends the wait, which rejects with the signal's reason. */
  signal?: AbortSignal
}

interface Waiter {
  query: MailQuery
  matches: (mail: ReceivedMail) => boolean
  resolve: (mail: ReceivedMail) => void
  reject: (error: Error) => void
  /** Clears the timer and the signal's listener. */
  dispose: () => void
}

/** The pending `waitFor()` calls. */
export class MailWaiters {
  readonly #store: MailStore
  readonly #waiters = new Set<Waiter>()

  constructor(store: MailStore) {
    this.#store = store
  }

  waitFor({ timeout = 5000, signal, ...query }: WaitOptions): Promise<ReceivedMail> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted()
      refuseUnknown(query, ['to', 'subject', 'where'])
      const onTimeout = () => {
        this.#remove(waiter)
        void this.#timeoutError(query, timeout).then(reject)
      }
      // A timer can't run longer.
      const timer = timeout < 2 ** 31 ? setTimeout(onTimeout, timeout) : undefined
      const onAbort = () => {
        this.#remove(waiter)
        reject(signal?.reason as Error)
      }
      signal?.addEventListener('abort', onAbort)
      const waiter: Waiter = {
        query,
        matches: matcherOf(query.where ?? {}),
        resolve,
        reject,
        dispose: () => {
          clearTimeout(timer)
          signal?.removeEventListener('abort', onAbort)
        },
      }
      this.#waiters.add(waiter)
      void this.#offerStored(waiter)
    })
  }

  arrived(mail: RawMail): void {
    for (const waiter of this.#waiters) void this.#offer(waiter, mail)
  }

  /** Rejects every pending call. */
  close(): void {
    for (const waiter of this.#waiters) {
      this.#remove(waiter)
      waiter.reject(
        new Error(`The inbox was closed while a call waited for a message${describe(waiter.query)}.`),
      )
    }
  }

  /** @returns whether the call was still pending */
  #remove(waiter: Waiter): boolean {
    waiter.dispose()
    return this.#waiters.delete(waiter)
  }

  async #offerStored(waiter: Waiter): Promise<void> {
    for (const mail of this.#store.list()) {
      if (!this.#waiters.has(waiter)) return
      await this.#offer(waiter, mail)
    }
  }

  async #offer(waiter: Waiter, mail: RawMail): Promise<void> {
    if (!matchesRecipient(waiter.query, mail)) return
    const parsed = await this.#store.parse(mail)
    // Another message may have matched while this one was parsed.
    if (!matchesSubject(waiter.query, parsed.subject) || !waiter.matches(parsed) || !this.#remove(waiter))
      return
    waiter.resolve(parsed)
  }

  async #timeoutError(query: MailQuery, timeout: number): Promise<Error> {
    const mails = this.#store.list()
    const last = await Promise.all(mails.slice(-5).map((mail) => this.#store.parse(mail)))
    const received = last.map(({ subject, envelope }) => `'${subject}' to ${envelope.to.join(', ')}`)
    const found =
      mails.length === 0
        ? 'The inbox is empty.'
        : `The latest of ${mails.length} in the inbox: ${received.join('; ')}`
    return new Error(`No message${describe(query)} arrived within ${timeout} ms. ${found}`)
  }
}

function matchesRecipient({ to }: MailQuery, mail: RawMail): boolean {
  if (to === undefined) return true
  return mail.envelope.to.some((address) =>
    typeof to === 'string' ? address.toLowerCase() === to.toLowerCase() : isIn(to, address),
  )
}

function matchesSubject({ subject }: MailQuery, actual: string): boolean {
  if (subject === undefined) return true
  return typeof subject === 'string' ? actual === subject : isIn(subject, actual)
}

/** Unlike `RegExp.test()`, doesn't depend on the `lastIndex` of a sticky or global pattern. */
function isIn(pattern: RegExp, text: string): boolean {
  return text.search(pattern) !== -1
}

function describe({ to, subject, where = {} }: MailQuery): string {
  const parts = [
    ...(to === undefined ? [] : [`to ${String(to)}`]),
    ...(subject === undefined
      ? []
      : [`with the subject ${typeof subject === 'string' ? `'${subject}'` : String(subject)}`]),
    ...Object.entries(where).map(([field, value]) => `with ${field} matching '${String(value)}'`),
  ]
  return parts.map((part) => ` ${part}`).join('')
}
