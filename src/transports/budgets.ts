import type { Outcome } from '../protocol/outcome.js'
import type { Validator } from '../validation.js'

/** What a transport may use, over all threads together. */
export interface BudgetOptions {
  /**
   * Messages in any one second at most, however they are counted: from the moment a message is begun until a second
   * after the server's answer. Below 1 for one in several seconds.
   * @default unlimited
   */
  rate?: number
  /**
   * Connections at a time. Over several threads they are shared out evenly; where there are fewer than threads, as many
   * threads send. @default `threads` × `concurrency`
   */
  connections?: number
  /** Messages under way at a time to each recipient domain. @default unlimited */
  domainConcurrency?: number
}

export const BUDGET_KEYS = [
  'rate',
  'connections',
  'domainConcurrency',
] as const satisfies readonly (keyof BudgetOptions)[]

const SLOWEST = 0.001
const FASTEST = 1_000_000

export function resolveBudget(check: Validator, given: Record<string, unknown>, path: string): BudgetOptions {
  const budget: BudgetOptions = {}
  const { rate, connections, domainConcurrency } = given
  if (rate !== undefined) budget.rate = check.number(rate, `${path}.rate`, SLOWEST, FASTEST)
  if (connections !== undefined)
    budget.connections = check.integer(connections, `${path}.connections`, 1, 10_000)
  if (domainConcurrency !== undefined)
    budget.domainConcurrency = check.integer(domainConcurrency, `${path}.domainConcurrency`, 1, 10_000)
  return budget
}

/**
 * Who says how many messages may go over one transport. Must answer at once: one that is shared by several processes
 * keeps a few in stock, and answers with the time until there are more.
 */
export interface Allowance {
  /** Messages a second, as things are. */
  readonly rate: number
  /**
   * Takes leave for one message, which may be made ready while its time is still to come.
   * @param ahead ms by which it may be
   * @returns after how many ms it may go: leave is taken if that is at most `ahead`; `Infinity` for not before a `give()`
   */
  acquire(ahead?: number): number
  /**
   * The message that leave was taken for is over.
   * @param transaction ms the server had to do with it; undefined when it never heard of it
   * @param ago ms since it was over
   */
  release(transaction: number | undefined, ago?: number): void
  /** The server asked for fewer messages. @returns whether that was news */
  slow(): boolean
  /** Whether it gives less than it may at present. */
  readonly slowed: boolean
}

/** Makes the allowance of a transport with a rate. */
export type Allowances = (transport: string, rate: number) => Allowance

/** By how much of the full rate a slowed transport comes back each second, and the least it is slowed to. */
const STEP = 0.05
const LEAST = 1 / 64
/** How many ms slower the fastest transaction may be thought with each further one. */
const FORGETTING = 0.5
/** How much faster than the rate messages may follow each other, as long as the window has room. */
const HASTE = 2
/** Milliseconds by which messages may be late for their regular times and still go at once. */
const CATCH_UP = 50
/** Transactions differ by so many ms for reasons that have nothing to do with the server. */
const JITTER = 10

/**
 * A rate that no window of a second exceeds: leave that was given is in use until a second after the server's answer.
 * Whenever the server counted the message, it was in between. Of that second is taken off half of what every
 * transaction takes at least, since the next one will take as long.
 *
 * Messages go apart from each other, or those behind would wait at the server and take the longer.
 *
 * Throttling replies halve it; with each second after that it grows by a twentieth of what it was (AIMD: Chiu and Jain,
 * "Analysis of the increase and decrease algorithms", 1989).
 */
export class RateAllowance implements Allowance {
  readonly #full: number
  #share: number
  #slowedAt = -Infinity
  /** Until when it has come back. */
  #recoveredAt = performance.now()
  /** Leave in use by messages under way. */
  #underWay = 0
  /** When leave that was used comes back, in order, on `performance.now()`'s clock. */
  readonly #returns: number[] = []
  /** When the next message goes if they go at regular times. */
  #next = 0
  /** The latest time that leave was given for. */
  #latest = 0
  #fastest = 0

  /** @param share of the rate that is given at first, as if it had been slowed */
  constructor(rate: number, share = 1) {
    this.#full = rate
    this.#share = share
    if (share < 1) this.#slowedAt = performance.now()
  }

  /** Whether it is slower than it may be. */
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
    const over = this.#underWay + this.#returns.length - this.#most()
    const free = over < 0 ? now : (this.#returns[over] ?? Infinity)
    const at = Math.max(now, free, this.#next - CATCH_UP)
    if (at > now + ahead) return at - now
    // What it waits for has come back by then, and is in use again.
    if (over >= 0) this.#returns.shift()
    this.#latest = Math.max(this.#latest, at)
    this.#next = Math.max(this.#next, at) + 1_000 / (this.rate * HASTE)
    this.#underWay++
    return at - now
  }

  release(transaction: number | undefined, ago = 0): void {
    this.#underWay--
    const now = performance.now()
    if (transaction === undefined) {
      this.#next -= 1_000 / (this.rate * HASTE)
      // Leave that was for later is no leave for now.
      if (this.#latest > now) this.#comesBack(this.#latest)
      return
    }
    this.#fastest = Math.min(transaction, this.#fastest + FORGETTING)
    const window = (1_000 * this.#most()) / this.rate
    const certain = Math.max(0, this.#fastest - Math.max(JITTER, this.#fastest / 2))
    this.#comesBack(now - ago + window - Math.min(certain, window / 2))
  }

  #comesBack(time: number): void {
    let at = this.#returns.length
    while (at > 0 && this.#returns[at - 1]! > time) at--
    this.#returns.splice(at, 0, time)
  }

  slow(): boolean {
    const now = performance.now()
    this.#recover(now)
    // The replies to what was under way at the time say the same once more.
    if (now - this.#slowedAt < 1_000) return false
    this.#share = Math.max(LEAST, this.#share / 2)
    this.#slowedAt = this.#recoveredAt = now
    return true
  }

  /** Messages in one window; a window is a second, or as long as it takes for a whole number of messages. */
  #most(): number {
    return Math.max(1, Math.floor(this.rate))
  }

  #recover(now: number): void {
    if (this.#share === 1) return
    const seconds = Math.floor((now - this.#recoveredAt) / 1_000)
    if (seconds === 0) return
    this.#share = Math.min(1, this.#share + STEP * seconds)
    this.#recoveredAt += seconds * 1_000
  }
}

/** Replies of a server that takes no more for the moment, for whatever reason (RFC 5321 section 4.2.3). */
const BUSY = new Set([421, 450, 451, 452, 454])
/** RFC 3463 section 3.8: security or policy. With 454 it is a temporary failure of TLS or of authentication instead. */
const POLICY = /^4\.7\./
/** RFC 3463 sections 3.2, 3.3 and 3.6: it says something of a recipient or of the message. */
const NOT_OURS = /^4\.[126]\./
/** Greylisting wants the same message later; it does not want fewer. */
const GREYLISTING = /gr[ae]y-?list/i
/** The words in which servers ask for fewer messages. Too many recipients or hops are the message's own. */
const FEWER =
  /too many (?!recipients|rcpt|hops)|too (?:much mail|fast|quickly|frequent)|\brates?\b|rate-?limit|throttl|slow(?:ing)? down|(?:connections?|messages?|send|sending|hourly|daily) (?:limit|quota)/i

/**
 * Whether the server asks for fewer messages: HTTP 429; or a 4xx whose enhanced code (4.7.x) or text says so. A bare 421
 * says no more than that this connection ends, for whatever reason (RFC 5321 section 3.8), and the next one may be welcome.
 */
export function isThrottling({ result, reply }: Outcome): boolean {
  if (result !== 'deferred' || reply === undefined) return false
  const { code, enhanced = '', text } = reply
  if (code === 429) return true
  if (!BUSY.has(code) || NOT_OURS.test(enhanced) || GREYLISTING.test(text)) return false
  return (code !== 454 && POLICY.test(enhanced)) || FEWER.test(text)
}
