import type { Outcome } from '../protocol/outcome.js'
import type { Validator } from '../validation.js'
import { type QuotaOptions, resolveQuota, resolveWarmUp, type WarmUpOptions } from './quotaOptions.js'

/** The limits of a transport: for all threads of a process together, and `rate`, `quota`, and `warmUp` for all processes on a queue on a server. */
export interface BudgetOptions {
  /**
   * The maximum number of messages within any one second, no matter at which point of the delivery the server counts
   * them. A value below 1 means one message in several seconds.
   * @default unlimited
   */
  rate?: number
  /**
   * The maximum number of open connections. The threads share them evenly; with fewer connections than threads, only that
   * many threads send.
   * @default `threads` × `concurrency`
   */
  connections?: number
  /** The maximum number of messages in progress to each recipient domain. @default unlimited */
  domainConcurrency?: number
  /**
   * The maximum number of messages in each hour and each day, counted in the queue: for all processes together, and, with a durable
   * queue, across restarts. Messages beyond it are held with the reason `budget` until the next hour or day.
   * @default unlimited
   */
  quota?: QuotaOptions
  /**
   * Daily volumes that rise by the same factor each day, from `from` on the day of the first message to `to`, for an IP address or a
   * domain that receivers don't know yet. Counted as `quota` is; the lower of both limits applies.
   * @default none
   */
  warmUp?: WarmUpOptions
}

export const BUDGET_KEYS = [
  'rate',
  'connections',
  'domainConcurrency',
  'quota',
  'warmUp',
] as const satisfies readonly (keyof BudgetOptions)[]

const SLOWEST = 0.001
const FASTEST = 1_000_000

/** Checks a number of messages per second. */
export function resolveRate(check: Validator, value: unknown, path: string): number {
  return check.number(value, path, SLOWEST, FASTEST)
}

export function resolveBudget(check: Validator, given: Record<string, unknown>, path: string): BudgetOptions {
  const budget: BudgetOptions = {}
  const { rate, connections, domainConcurrency, quota, warmUp } = given
  if (rate !== undefined) budget.rate = resolveRate(check, rate, `${path}.rate`)
  if (connections !== undefined)
    budget.connections = check.integer(connections, `${path}.connections`, 1, 10_000)
  if (domainConcurrency !== undefined)
    budget.domainConcurrency = check.integer(domainConcurrency, `${path}.domainConcurrency`, 1, 10_000)
  if (quota !== undefined) budget.quota = resolveQuota(check, quota, `${path}.quota`)
  if (warmUp !== undefined) budget.warmUp = resolveWarmUp(check, warmUp, `${path}.warmUp`)
  return budget
}

/**
 * The rate limiter of one transport. It answers at once: one that several processes share keeps a few permits in stock, and
 * returns the time until there are more.
 */
export interface Allowance {
  /** Messages per second at the moment. */
  readonly rate: number
  /**
   * Takes a permit for one message.
   * @param ahead milliseconds before its time at which a message may be prepared
   * @returns milliseconds until the message may be sent. The permit is taken if that is at most `ahead`; `Infinity`: not before a `release()`
   */
  acquire(ahead?: number): number
  /**
   * Returns the permit of a message that was delivered, or was not sent after all.
   * @param transaction milliseconds that its transaction took; undefined if the server never heard of the message
   * @param ago milliseconds since the delivery ended
   */
  release(transaction: number | undefined, ago?: number): void
  /** Reduces the rate: the server asked for fewer messages. @returns false if it was reduced a moment ago */
  slow(): boolean
  /** Whether the rate is below the configured one at the moment. */
  readonly slowed: boolean
}

/** Creates the allowance of a transport that has a rate. */
export type Allowances = (transport: string, rate: number) => Allowance

/** The share of the full rate that a slowed transport regains each second, and the lowest share. */
const RECOVERY_STEP = 0.05
const MIN_SHARE = 1 / 64
/** Milliseconds of the past, at least, in which the fastest transaction is looked for: while this machine is busy, all of them are slow. */
const FASTEST_SPAN = 30_000
/** How much faster than the rate messages may follow each other while the window has room. */
const BURST_FACTOR = 2
/** Milliseconds by which a message may miss its regular time and still be sent at once. */
const CATCH_UP = 50
/** Milliseconds by which transactions differ for reasons unrelated to the server. */
const JITTER = 10

/**
 * A rate that is not exceeded within any second: a permit is in use until one second after the server's reply. The server
 * counted the message at some time in between. Half of the time that each transaction of the last half minute took at least is
 * deducted from that second, because the next transaction takes as long.
 *
 * Messages start at intervals. Otherwise the later ones would wait at the server, and their transactions would take longer.
 *
 * A throttling reply halves the rate; each second without one adds a twentieth of the full rate (AIMD: Chiu and Jain,
 * "Analysis of the increase and decrease algorithms", 1989).
 */
export class RateLimiter implements Allowance {
  readonly #full: number
  #share: number
  #slowedAt = -Infinity
  /** The time up to which the recovery has been applied. */
  #recoveredAt = performance.now()
  /** Permits in use by messages in progress. */
  #inProgress = 0
  /** When the permits of ended deliveries become free, in order, on `performance.now()`'s clock. */
  readonly #returns: number[] = []
  /** The regular time of the next message. */
  #next = 0
  /** The latest time for which a permit was given. */
  #latest = 0
  /** The duration of the fastest transaction in the current span and the one before, in ms. */
  #fastestNow = Infinity
  #fastestBefore = 0
  #spanBegan = performance.now()

  /** @param share of the full rate to start with, as if the rate had been reduced */
  constructor(rate: number, share = 1) {
    this.#full = rate
    this.#share = share
    if (share < 1) this.#slowedAt = performance.now()
  }

  get slowed(): boolean {
    this.#recover(performance.now())
    return this.#share < 1
  }

  get rate(): number {
    this.#recover(performance.now())
    return this.#full * this.#share
  }

  acquire(ahead = 0): number {
    const now = performance.now()
    this.#recover(now)
    while ((this.#returns[0] ?? Infinity) <= now) this.#returns.shift()
    const over = this.#inProgress + this.#returns.length - this.perWindow
    const free = over < 0 ? now : (this.#returns[over] ?? Infinity)
    const at = Math.max(now, free, this.#next - CATCH_UP)
    if (at > now + ahead) return at - now
    // The permit that the message waits for is free by then, and in use again.
    if (over >= 0) this.#returns.shift()
    this.#latest = Math.max(this.#latest, at)
    this.#next = Math.max(this.#next, at) + 1_000 / (this.rate * BURST_FACTOR)
    this.#inProgress++
    return at - now
  }

  release(transaction: number | undefined, ago = 0): void {
    this.#inProgress--
    const now = performance.now()
    if (transaction === undefined) {
      this.#next -= 1_000 / (this.rate * BURST_FACTOR)
      // A permit for later is not a permit for now.
      if (this.#latest > now) this.#freeAt(this.#latest)
      return
    }
    this.#noteTransaction(transaction, now)
    this.#freeAt(now + this.freeIn(ago))
  }

  #noteTransaction(duration: number, now: number): void {
    const age = now - this.#spanBegan
    if (age >= FASTEST_SPAN) {
      // Transactions of long ago say nothing about the next ones.
      this.#fastestBefore = age < 2 * FASTEST_SPAN ? this.#fastestNow : 0
      this.#fastestNow = Infinity
      this.#spanBegan = now
    }
    this.#fastestNow = Math.min(this.#fastestNow, duration)
  }

  /** Returns the milliseconds until the permit of a message becomes free whose transaction ended `ago` ms ago. */
  freeIn(ago: number): number {
    const window = (1_000 * this.perWindow) / this.rate
    const fastest = Math.min(this.#fastestBefore, this.#fastestNow)
    const certain = Math.max(0, fastest - Math.max(JITTER, fastest / 2))
    return window - Math.min(certain, window / 2) - ago
  }

  #freeAt(time: number): void {
    let at = this.#returns.length
    while (at > 0 && this.#returns[at - 1]! > time) at--
    this.#returns.splice(at, 0, time)
  }

  slow(): boolean {
    const now = performance.now()
    this.#recover(now)
    // The replies to the other messages in progress report the same condition again.
    if (now - this.#slowedAt < 1_000) return false
    this.#share = Math.max(MIN_SHARE, this.#share / 2)
    this.#slowedAt = this.#recoveredAt = now
    return true
  }

  /** Returns the messages in one window: a second, or longer if the rate is not a whole number of messages. */
  get perWindow(): number {
    return Math.max(1, Math.floor(this.rate))
  }

  #recover(now: number): void {
    if (this.#share === 1) return
    const seconds = Math.floor((now - this.#recoveredAt) / 1_000)
    if (seconds === 0) return
    this.#share = Math.min(1, this.#share + RECOVERY_STEP * seconds)
    this.#recoveredAt += seconds * 1_000
  }
}

/** Rate limits that hold for this process. */
export const inThisProcess: Allowances = (_, rate) => new RateLimiter(rate)

/** Replies of a server that accepts no more mail at the moment, for any reason (RFC 5321 section 4.2.3). */
const BUSY = new Set([421, 450, 451, 452, 454])
/** RFC 3463 section 3.8: security or policy. With 454 it means a temporary failure of TLS or of authentication. */
const POLICY = /^4\.7\./
/** RFC 3463 sections 3.2, 3.3, and 3.7: about a recipient or the message. */
const ABOUT_MESSAGE = /^4\.[126]\./
/** Greylisting asks for the same message later, not for fewer messages. */
const GREYLISTING = /gr[ae]y-?list/i
/** The words with which servers ask for fewer messages. Too many recipients or hops concern the message alone. */
const ASKS_FOR_FEWER =
  /too many (?!recipients|rcpt|hops)|too (?:much mail|fast|quickly|frequent)|\brates?\b|rate-?limit|throttl|slow(?:ing)? down|(?:connections?|messages?|send|sending|hourly|daily) (?:limit|quota)/i

/**
 * Whether the server asks for fewer messages: HTTP 429; or a 4xx whose enhanced code (4.7.x) or text says so. A bare 421
 * only says that this connection closes, for any reason (RFC 5321 section 3.8); the next one may be welcome.
 */
export function isThrottling({ result, reply }: Outcome): boolean {
  if (result !== 'deferred' || reply === undefined) return false
  const { code, enhanced = '', text } = reply
  if (code === 429) return true
  if (!BUSY.has(code) || ABOUT_MESSAGE.test(enhanced) || GREYLISTING.test(text)) return false
  return (code !== 454 && POLICY.test(enhanced)) || ASKS_FOR_FEWER.test(text)
}
