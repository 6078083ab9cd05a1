import { type Allowance, RateAllowance } from '../../transports/budgets.js'

/**
 * Reserves the times of the next `count` messages, `interval` ms apart.
 * @returns whether the times are reserved, and the ms until the first one, or until the next attempt
 */
export type Reserve = (
  transport: string,
  interval: number,
  count: number,
) => Promise<{ taken: boolean; after: number }>

/** Seconds for which messages are reserved at a time. */
const RESERVED_SECONDS = 0.1
/** Milliseconds after which an unused time expires: used later, it would crowd the next second. */
const MAX_LATENESS = 50
/** Milliseconds until a message asks again while a reservation is pending. */
const PENDING_DELAY = 5
/** Milliseconds between a failed reservation and the next one. */
const FAILURE_DELAY = 250
/** Milliseconds between a refused reservation and the next one at most: the rate may have risen. */
const MAX_DELAY = 1_000

/**
 * The rate limit of one transport, shared by all processes on one queue: Redis hands out the times at which messages may go, one
 * interval apart across all processes. A process that its server has slowed down also reserves fewer.
 */
export class DistributedRateLimiter implements Allowance {
  readonly #transport: string
  readonly #local: RateAllowance
  readonly #reserve: Reserve
  /** Reserved times, on `performance.now()`'s clock. */
  readonly #times: number[] = []
  #reserving = false
  #notBefore = 0

  constructor(transport: string, rate: number, reserve: Reserve) {
    this.#transport = transport
    this.#local = new RateAllowance(rate)
    this.#reserve = reserve
  }

  get rate(): number {
    return this.#local.rate
  }

  get slowed(): boolean {
    return this.#local.slowed
  }

  acquire(ahead = 0): number {
    const now = performance.now()
    while ((this.#times[0] ?? Infinity) < now - MAX_LATENESS) this.#times.shift()
    const [first] = this.#times
    if (first === undefined || this.#times.length === 1) this.#reserveNext(now)
    if (first === undefined) return Math.max(PENDING_DELAY, this.#notBefore - now) + ahead
    if (first > now + ahead) return first - now
    const wait = this.#local.acquire(ahead)
    if (wait > ahead) return wait
    this.#times.shift()
    return Math.max(wait, first - now)
  }

  release(transaction: number | undefined, ago?: number): void {
    this.#local.release(transaction, ago)
  }

  slow(): boolean {
    return this.#local.slow()
  }

  #reserveNext(now: number): void {
    if (this.#reserving || now < this.#notBefore) return
    this.#reserving = true
    const interval = 1_000 / this.rate
    const count = Math.max(1, Math.floor(this.rate * RESERVED_SECONDS))
    this.#reserve(this.#transport, interval, count)
      .then(({ taken, after }) => {
        const first = performance.now() + after
        if (!taken) this.#notBefore = Math.min(first, performance.now() + MAX_DELAY)
        else for (let nth = 0; nth < count; nth++) this.#times.push(first + nth * interval)
      })
      .catch(() => {
        this.#notBefore = performance.now() + FAILURE_DELAY
      })
      .finally(() => {
        this.#reserving = false
      })
  }
}
