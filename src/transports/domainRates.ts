import type { Clock } from '../clock.js'
import { domainKey } from '../protocol/addressForms.js'
import type { Outcome } from '../protocol/outcome.js'
import { isThrottling, RateLimiter } from './rateLimiter.js'
import { Throughput } from './throughput.js'

/** Domains whose messages are counted, at least. */
const MAX_COUNTED = 1_000
/** Domains with a reduced rate at a time, at most. If more ask for less, it is the transport that sends too much. */
const MAX_SLOWED = 3
/** Messages per second that every domain is assumed to take. */
const MIN_THROUGHPUT = 10
/** Milliseconds within which a message to another domain was accepted, if only one domain asks for less. */
const RECENT = 10_000
/** Longest time that a message is held for the rate of a domain before it is looked at again, in ms. */
const MAX_DELAY = 15 * 60_000

/** A domain that asked for fewer messages. */
interface SlowedDomain {
  allowance: RateLimiter
  /** When the message that was held last is due, on `performance.now()`'s clock. */
  lastDue: number
}

/**
 * The rates of recipients' domains that asked for fewer messages, over one transport. A domain starts at half of what it took, is
 * halved with each further reply of this kind, and recovers as a transport does (see {@link RateLimiter}).
 *
 * A reply says that the domain wants less, and not that the transport's own server does, if that server accepts messages to other
 * domains meanwhile.
 */
export class DomainRates {
  readonly #clock: Clock
  readonly #slowed = new Map<string, SlowedDomain>()
  /** Messages per second of the domains that were sent to last. */
  #counted = new Map<string, Throughput>()
  /** The domains that accepted a message last, the last one at the end, and when. */
  readonly #accepted = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Whether the messages of some domains have to wait. */
  get active(): boolean {
    for (const [domain, { allowance }] of this.#slowed) if (!allowance.slowed) this.#slowed.delete(domain)
    return this.#slowed.size > 0
  }

  /** Messages per second of each slowed domain. */
  get status(): Record<string, number> {
    return Object.fromEntries([...this.#slowed].map(([domain, { allowance }]) => [domain, allowance.rate]))
  }

  /**
   * Delivers a message, unless one of its domains has to wait.
   * @param transaction returns the milliseconds of the transaction; undefined if the server never heard of the message
   * @returns the result; or when the message is due again, in ms since the epoch
   */
  async within<T>(
    domains: readonly string[],
    deliver: () => Promise<T>,
    transaction: (result: T) => number | undefined,
  ): Promise<T | number> {
    const taken: RateLimiter[] = []
    const release = (time: number | undefined): void => {
      for (const allowance of taken) allowance.release(time)
    }
    for (const domain of domains) {
      const slowed = this.#slowed.get(domain)
      if (slowed === undefined) continue
      const wait = slowed.allowance.acquire()
      if (wait > 0) {
        release(undefined)
        return this.#clock.now() + dueIn(slowed, wait)
      }
      taken.push(slowed.allowance)
    }
    const result = await deliver()
    release(transaction(result))
    return result
  }

  /** Learns from an outcome. @returns whether a domain was slowed because of it, and not the transport */
  record(outcome: Outcome): boolean {
    const now = this.#clock.now()
    const asking = new Set<string>()
    for (const { address, result } of outcome.recipients) {
      const domain = domainKey(address)
      this.#throughputOf(domain).count(now)
      if (result === 'accepted') this.#accept(domain, now)
      else if (result === 'deferred') asking.add(domain)
    }
    if (!isThrottling(outcome) || outcome.reply?.code === 429 || asking.size === 0) return false
    const others = [...this.#accepted].some(([domain, at]) => !asking.has(domain) && now - at <= RECENT)
    const slowed = new Set([...(this.active ? this.#slowed.keys() : []), ...asking])
    if (!others || slowed.size > MAX_SLOWED) return false
    for (const domain of asking) this.#slow(domain, now)
    return true
  }

  #slow(domain: string, now: number): void {
    const known = this.#slowed.get(domain)
    if (known !== undefined) known.allowance.slow()
    else {
      const rate = 2 * this.#throughputOf(domain).perSecond(now)
      this.#slowed.set(domain, { allowance: new RateLimiter(rate, 1 / 4), lastDue: 0 })
    }
  }

  #accept(domain: string, now: number): void {
    this.#accepted.delete(domain)
    this.#accepted.set(domain, now)
    const [oldest] = this.#accepted.keys()
    // One more than may be slowed: so another domain is among them.
    if (this.#accepted.size > MAX_SLOWED + 1 && oldest !== undefined) this.#accepted.delete(oldest)
  }

  #throughputOf(domain: string): Throughput {
    let throughput = this.#counted.get(domain)
    if (throughput === undefined) {
      if (this.#counted.size >= MAX_COUNTED) this.#counted = new Map()
      this.#counted.set(domain, (throughput = new Throughput(MIN_THROUGHPUT)))
    }
    return throughput
  }
}

/** Returns the domains of addresses, each once. */
export function domainsOf(addresses: readonly string[]): string[] {
  return [...new Set(addresses.map(domainKey))]
}

/** Each message that waits is due one message's time after the one before it. */
function dueIn(slowed: SlowedDomain, wait: number): number {
  const now = performance.now()
  const each = 1_000 / slowed.allowance.rate
  slowed.lastDue = Math.max(slowed.lastDue, now + wait) + each
  const delay = slowed.lastDue - now
  if (delay <= MAX_DELAY) return delay
  slowed.lastDue -= each
  return MAX_DELAY * (0.5 + Math.random() / 2)
}
