import type { Clock } from '../clock.js'
import type { Outcome } from '../protocol/outcome.js'
import { sharedClock } from '../protocol/tasks.js'
import {
  Breaker,
  type BreakerAdmission,
  type BreakerListener,
  type BreakerOptions,
  type TransportStatus,
} from './breaker.js'
import {
  type Allowance,
  type Allowances,
  type BudgetOptions,
  isThrottling,
  RateAllowance,
} from './budgets.js'

/** A transport as the dispatcher needs to know it. */
export interface TransportStateOptions {
  name: string
  budget: BudgetOptions
  /** Names of those that take its messages while its server can't be reached, in order. */
  failover: readonly string[]
}

export interface TransportListener extends BreakerListener {
  /** The server asked for fewer messages. @param rate messages a second from now on */
  slowed(transport: string, rate: number): void
}

/** Leave for one message to go. */
export interface BudgetLease {
  /** On `sharedClock()`; undefined for at once. */
  notBefore?: number
  /** @param outcome undefined when the message didn't go after all */
  release(outcome: Outcome | undefined): void
}

/** The state of one transport: whether it works, and how much may go over it. */
export class TransportState {
  readonly name: string
  failover: readonly string[]
  readonly breaker: Breaker
  readonly #listener: TransportListener
  readonly #allowances: Allowances
  #budget: BudgetOptions
  #allowance: Allowance | undefined
  /** Messages under way to each domain, where these are limited. */
  readonly #domains = new Map<string, number>()
  readonly #throughput = new Throughput()
  readonly #clock: Clock

  constructor(
    { name, budget, failover }: TransportStateOptions,
    breaker: Required<BreakerOptions>,
    listener: TransportListener,
    allowances: Allowances,
    clock: Clock,
  ) {
    this.name = name
    this.failover = failover
    this.breaker = new Breaker(name, breaker, listener, clock)
    this.#listener = listener
    this.#allowances = allowances
    this.#clock = clock
    this.#budget = budget
    this.#allowance = this.#newAllowance()
  }

  /** Whether messages may have to wait for their turn. */
  get limited(): boolean {
    this.#lift()
    return this.#allowance !== undefined || this.#budget.domainConcurrency !== undefined
  }

  /** Whether its rate rises by itself: it gives less than it may. */
  get slowed(): boolean {
    return this.#allowance?.slowed === true
  }

  /** Messages a second; `Infinity` where nothing limits them. */
  get rate(): number {
    return this.#allowance?.rate ?? Infinity
  }

  get status(): TransportStatus {
    this.#lift()
    const status = { ...this.breaker.status }
    if (this.#allowance !== undefined) status.rate = this.#allowance.rate
    return status
  }

  /** Other limits, other substitutes. Leave that was given comes back to the old. */
  reload({ budget, failover }: TransportStateOptions): void {
    this.failover = failover
    const { rate } = this.#budget
    this.#budget = budget
    if (budget.rate !== rate) this.#allowance = this.#newAllowance()
  }

  /**
   * @param spare whether there is room to make a message ready before its time
   * @returns after how many ms to ask again, or `'domain'` where messages to others may go before it
   */
  acquire(domains: readonly string[], spare: boolean): BudgetLease | number | 'domain' {
    const { domainConcurrency = Infinity } = this.#budget
    if (domains.some((domain) => (this.#domains.get(domain) ?? 0) >= domainConcurrency)) return 'domain'
    const allowance = this.#allowance
    // What is limited to so many at a time is not to be in use by what only waits.
    const ahead = spare && domainConcurrency === Infinity ? AHEAD : 0
    const wait = allowance?.acquire(ahead) ?? 0
    if (wait > ahead) return wait - ahead
    const counted = domainConcurrency === Infinity ? [] : domains
    for (const domain of counted) this.#domains.set(domain, (this.#domains.get(domain) ?? 0) + 1)
    return {
      ...(wait > 0 ? { notBefore: sharedClock() + wait } : {}),
      release: (outcome) => {
        const { endedAt = Infinity } = outcome ?? {}
        const ago = Math.max(0, sharedClock() - endedAt)
        allowance?.release(outcome === undefined ? undefined : serverTime(outcome), ago)
        for (const domain of counted) this.#leave(domain)
      },
    }
  }

  /** A delivery begins. @param now milliseconds since the epoch */
  begin(now: number): BreakerAdmission {
    this.#throughput.count(now)
    return this.breaker.admit()
  }

  /** Learns from what a delivery came to. @param probe as it was admitted */
  record(outcome: Outcome, probe: boolean): void {
    this.breaker.record(outcome, probe)
    if (isThrottling(outcome)) this.#slow()
  }

  /** What it was slowed to without a rate of its own ends once it may do twice as much as before. */
  #lift(): void {
    if (this.#budget.rate === undefined && this.#allowance?.slowed === false) this.#allowance = undefined
  }

  /** Without a rate of its own it is slowed to half of what it did, until it may do twice as much. */
  #slow(): void {
    this.#lift()
    if (this.#allowance === undefined)
      this.#allowance = new RateAllowance(2 * this.#throughput.perSecond(this.#clock.now()), 1 / 4)
    else if (!this.#allowance.slow()) return
    this.#listener.slowed(this.name, this.#allowance.rate)
  }

  #newAllowance(): Allowance | undefined {
    const { rate } = this.#budget
    return rate === undefined ? undefined : this.#allowances(this.name, rate)
  }

  #leave(domain: string): void {
    const left = (this.#domains.get(domain) ?? 1) - 1
    if (left > 0) this.#domains.set(domain, left)
    else this.#domains.delete(domain)
  }
}

/**
 * Milliseconds by which a message is given to a thread before it may go: by its time it is rendered and stands at the
 * connection, and how long that took, or how busy the machine is, doesn't slow down the rate.
 */
const AHEAD = 50

/** So few messages a second tell nothing of what a server takes: a transport counts as one that does as many at least. */
const LOW = 100
/** Milliseconds: what was begun in less time is no rate. */
const SHORTEST = 100

/**
 * How many messages a transport does in a second. Seconds are counted from the first message after a pause; in the first
 * of them there is no history, and what was begun so far stands for the rest of it.
 */
class Throughput {
  #start = -Infinity
  #now = 0
  #before = 0

  /** @param time of a message, in ms */
  count(time: number): void {
    const passed = Math.floor((time - this.#start) / 1_000)
    if (passed !== 0) {
      this.#before = passed === 1 ? this.#now : 0
      this.#start = passed === 1 ? this.#start + 1_000 : time
      this.#now = 0
    }
    this.#now++
  }

  /** @param time the present, in ms */
  perSecond(time: number): number {
    if (this.#before > 0) return Math.max(LOW, this.#before, this.#now)
    const elapsed = Math.min(1_000, Math.max(SHORTEST, time - this.#start))
    return Math.max(LOW, (this.#now * 1_000) / elapsed)
  }
}

/** Milliseconds the server had to do with it; undefined when it never heard of it. */
function serverTime({ phase, timings }: Outcome): number | undefined {
  const heard = phase === 'envelope' || phase === 'body' || phase === 'replied'
  return heard ? (timings.transaction ?? 0) : undefined
}
