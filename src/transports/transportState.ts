import type { Clock } from '../clock.js'
import type { Settlement } from '../message/messageState.js'
import type { Outcome } from '../protocol/outcome.js'
import { sharedClock } from '../protocol/tasks.js'
import {
  Breaker,
  type BreakerAdmission,
  type BreakerListener,
  type BreakerOptions,
  reachedServer,
  type TransportStatus,
} from './breaker.js'
import { DomainRates } from './domainRates.js'
import {
  type Allowance,
  type Allowances,
  type BudgetOptions,
  isThrottling,
  RateLimiter,
} from './rateLimiter.js'
import { Stalls } from './stalls.js'
import { Throughput } from './throughput.js'
import type { QuotaLine, Quotas, TransportQuota } from './transportQuota.js'

/** The settings of a transport that the dispatcher needs. */
export interface TransportStateOptions {
  name: string
  budget: BudgetOptions
  /** Names of the transports that take its messages while its server can't be reached, in order. */
  failover: readonly string[]
  /** The transports that share its messages, with their weights; then it sends nothing itself. */
  spread?: Spread
}

export type Spread = readonly (readonly [name: string, weight: number])[]

export interface TransportListener extends BreakerListener {
  /** The server asked for fewer messages. @param rate messages per second from now on */
  slowed(transport: string, rate: number): void
}

/** Messages per second that every transport is assumed to manage. */
const MIN_THROUGHPUT = 100

/** The permission to send one message. */
export interface BudgetLease {
  /** When it may be sent, on `sharedClock()`; undefined: at once. */
  notBefore?: number
  /** Ends the lease. @param outcome undefined if the message was not sent after all */
  release(outcome: Outcome | undefined): void
}

/** The state of one transport: its breaker, its rate, and its deliveries in progress. */
export class TransportState {
  readonly name: string
  failover: readonly string[]
  spread: Spread | undefined
  /** Whether its messages are held until it is resumed. */
  paused = false
  /** Maximum number of connections, if it was changed. */
  concurrency: number | undefined
  readonly breaker: Breaker
  /** Its quota and warm-up, if it has any. */
  #quota: TransportQuota | undefined
  /** Whether the settings should be resolved again before the next delivery; undefined for a transport that was not resolved. */
  stale: boolean | undefined
  /** Messages that wait for this transport or are being sent over it. */
  #users = 0
  #idle: (() => void)[] = []
  readonly #listener: TransportListener
  readonly #allowances: Allowances
  readonly #quotas: Quotas | undefined
  #budget: BudgetOptions
  #allowance: Allowance | undefined
  /** Messages in progress to each domain, if that number is limited. */
  readonly #domains = new Map<string, number>()
  readonly #throughput = new Throughput(MIN_THROUGHPUT)
  readonly #domainRates: DomainRates
  readonly #stalls: Stalls
  readonly #clock: Clock

  constructor(
    { name, budget, failover, spread }: TransportStateOptions,
    breaker: Required<BreakerOptions>,
    listener: TransportListener,
    allowances: Allowances,
    clock: Clock,
    quotas?: Quotas,
  ) {
    this.name = name
    this.failover = failover
    this.spread = spread
    this.breaker = new Breaker(name, breaker, listener, clock)
    this.#listener = listener
    this.#allowances = allowances
    this.#quotas = quotas
    this.#clock = clock
    this.#domainRates = new DomainRates(clock)
    this.#stalls = new Stalls(clock)
    this.#budget = budget
    this.#allowance = this.#newAllowance()
    this.#quota = this.#newQuota()
  }

  /** Counts a message that waits for this transport, or is sent over it. Each call needs a `leave()`. */
  enter(): void {
    this.#users++
  }

  leave(): void {
    if (--this.#users === 0) for (const resolve of this.#idle.splice(0)) resolve()
  }

  get idle(): boolean {
    return this.#users === 0
  }

  /** Resolves when no message waits for this transport or is being sent over it. */
  async whenIdle(): Promise<void> {
    if (this.#users > 0) await new Promise<void>((resolve) => this.#idle.push(resolve))
  }

  /** Whether its breaker is open, its rate is reduced, or it is paused. */
  get troubled(): boolean {
    return this.breaker.status.breaker === 'open' || this.slowed || this.paused
  }

  /** Whether messages may have to wait for the budget. */
  get limited(): boolean {
    this.#dropRecovered()
    return this.#allowance !== undefined || this.#budget.domainConcurrency !== undefined
  }

  /** Whether its rate rises by itself: it was reduced by its server's replies. */
  get slowed(): boolean {
    return this.#allowance?.slowed === true
  }

  /** Messages per second; `Infinity` without a limit. */
  get rate(): number {
    return this.#allowance?.rate ?? Infinity
  }

  get status(): TransportStatus {
    this.#dropRecovered()
    const status = { ...this.breaker.status }
    if (this.#allowance !== undefined) status.rate = this.#allowance.rate
    if (this.#quota !== undefined) status.quota = this.#quota.status
    if (this.#domainRates.active) status.slowedDomains = this.#domainRates.status
    if (this.paused) status.paused = true
    if (this.concurrency !== undefined) status.concurrency = this.concurrency
    return status
  }

  /** Applies new limits and failover transports. Leases of the old limits are returned to those. */
  reload({ budget, failover, spread }: TransportStateOptions): void {
    this.failover = failover
    this.spread = spread
    const { rate, quota, warmUp } = this.#budget
    this.#budget = budget
    if (budget.rate !== rate) this.#allowance = this.#newAllowance()
    // Messages that were counted stay counted: their number is in the queue.
    if (JSON.stringify([budget.quota, budget.warmUp]) !== JSON.stringify([quota, warmUp]))
      this.#quota = this.#newQuota()
  }

  /**
   * Leases the budget for one message.
   * @param spare whether slots are free to prepare a message before its time
   * @returns the lease; or the milliseconds after which to ask again; or `'domain'` if only messages to other domains may
   *   be sent now
   */
  acquire(domains: readonly string[], spare: boolean): BudgetLease | number | 'domain' {
    const { domainConcurrency = Infinity } = this.#budget
    if (domains.some((domain) => (this.#domains.get(domain) ?? 0) >= domainConcurrency)) return 'domain'
    const allowance = this.#allowance
    // A message that only waits must not use up the limit of its domain.
    const ahead = spare && domainConcurrency === Infinity ? PREPARE_AHEAD : 0
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
        for (const domain of counted) this.#uncount(domain)
      },
    }
  }

  /** Whether messages may be held for its quota, for the rate of a domain, or because its server is slow. */
  get restricted(): boolean {
    return this.#quota !== undefined || this.#domainRates.active || this.#stalls.active
  }

  /** Messages that are held for its limits and may find room now, as far as is known; `Infinity` without such a limit. */
  get room(): number {
    return this.#domainRates.active ? 0 : Math.min(this.#stalls.room, this.#quota?.room ?? Infinity)
  }

  /** Whether it can't send anything at the moment because of its quota. */
  get usedUp(): boolean {
    return this.#quota?.room === 0
  }

  /**
   * Delivers a message if its quota has a place for it, its domains take it at the moment, and no other message waits for its server.
   * @returns the settlement; or when the message is due again, in ms since the epoch
   */
  async within(
    line: QuotaLine,
    domains: readonly string[],
    deliver: () => Promise<Settlement>,
  ): Promise<Settlement | number> {
    if (this.#stalls.active) return this.#stalls.nextDue()
    const quota = this.#quota
    const send = (): Promise<Settlement | number> =>
      quota === undefined ? deliver() : quota.within(line, deliver, wasPassedOn)
    return this.#domainRates.within(domains, send, transactionOf)
  }

  /** Watches a delivery over a resolved transport; see {@link Stalls.watch}. Transports of the application may be slow. */
  watch(onStalled: () => void): (() => boolean) | undefined {
    return this.stale === undefined ? undefined : this.#stalls.watch(onStalled)
  }

  /** Counts a delivery that begins, unless the breaker holds it. @param now milliseconds since the epoch */
  begin(now: number): BreakerAdmission {
    this.#throughput.count(now)
    return this.breaker.admit()
  }

  /** Records the outcome of a delivery. @param probe whether it was admitted as a probe */
  record(outcome: Outcome, probe: boolean): void {
    this.breaker.record(outcome, probe)
    // A domain that asks for less doesn't slow the others down.
    if (!this.#domainRates.record(outcome) && isThrottling(outcome)) this.#slow()
  }

  /** Removes the limit of a transport that has no configured rate, once it has recovered completely. */
  #dropRecovered(): void {
    if (this.#budget.rate === undefined && this.#allowance?.slowed === false) this.#allowance = undefined
  }

  /** Without a configured rate, limits the transport to half of its throughput, until it has recovered to twice that. */
  #slow(): void {
    this.#dropRecovered()
    if (this.#allowance === undefined)
      this.#allowance = new RateLimiter(2 * this.#throughput.perSecond(this.#clock.now()), 1 / 4)
    else if (!this.#allowance.slow()) return
    this.#listener.slowed(this.name, this.#allowance.rate)
  }

  #newAllowance(): Allowance | undefined {
    const { rate } = this.#budget
    return rate === undefined ? undefined : this.#allowances(this.name, rate)
  }

  #newQuota(): TransportQuota | undefined {
    const { quota, warmUp } = this.#budget
    return quota === undefined && warmUp === undefined ? undefined : this.#quotas?.(this.name, this.#budget)
  }

  #uncount(domain: string): void {
    const remaining = (this.#domains.get(domain) ?? 1) - 1
    if (remaining > 0) this.#domains.set(domain, remaining)
    else this.#domains.delete(domain)
  }
}

/**
 * Milliseconds by which a message is handed to a thread before it may be sent. At its time it is rendered and waits at the
 * connection, so neither rendering nor a busy machine reduces the rate.
 */
const PREPARE_AHEAD = 50

/** Returns the milliseconds of the transaction with the server; undefined if no server took part. */
function serverTime(outcome: Outcome): number | undefined {
  return reachedServer(outcome) ? (outcome.timings.transaction ?? 0) : undefined
}

function transactionOf(result: Settlement | number): number | undefined {
  const outcome = typeof result === 'number' ? undefined : result.attempt?.outcome
  return outcome && serverTime(outcome)
}

/** Whether a message was sent to some of its recipients in an attempt, or may have been. */
function wasPassedOn({ attempt }: Settlement): boolean {
  if (attempt === undefined) return false
  const { result, recipients } = attempt.outcome
  return result === 'sent' || result === 'uncertain' || recipients.some((each) => each.result === 'accepted')
}
