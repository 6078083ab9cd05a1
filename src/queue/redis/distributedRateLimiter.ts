import { type Allowance, RateAllowance } from '../../transports/budgets.js'

/** Asks Redis for the times of the next `count` messages, evenly apart. @returns ms until the first, and whether they are taken */
export type Reserve = (
  transport: string,
  interval: number,
  count: number,
) => Promise<{ taken: boolean; after: number }>

/** Seconds' worth of messages that are reserved at a time. */
const AHEAD = 0.1
/** A time that was not used is over after so many ms: used late, it would crowd the next second. */
const STALE = 50
/** Milliseconds until a reservation is looked for again. */
const SOON = 5
/** Milliseconds until Redis is asked again after it failed. */
const AGAIN = 250
/** Milliseconds until it is asked again at the latest: the rate may have risen since. */
const LATEST = 1_000

/**
 * The rate of one transport, shared by all processes on one queue: Redis hands out the times at which messages may
 * go, one interval apart whoever asks. Whoever is slowed by the server also asks for fewer.
 */
export class DistributedRateLimiter implements Allowance {
  readonly #transport: string
  readonly #own: RateAllowance
  readonly #reserve: Reserve
  /** Times that are ours, on `performance.now()`'s clock. */
  readonly #times: number[] = []
  #asking = false
  #notBefore = 0

  constructor(transport: string, rate: number, reserve: Reserve) {
    this.#transport = transport
    this.#own = new RateAllowance(rate)
    this.#reserve = reserve
  }

  get rate(): number {
    return this.#own.rate
  }

  get slowed(): boolean {
    return this.#own.slowed
  }

  acquire(ahead = 0): number {
    const now = performance.now()
    while ((this.#times[0] ?? Infinity) < now - STALE) this.#times.shift()
    const [first] = this.#times
    if (first === undefined || this.#times.length === 1) this.#ask(now)
    if (first === undefined) return Math.max(SOON, this.#notBefore - now) + ahead
    if (first > now + ahead) return first - now
    const wait = this.#own.acquire(ahead)
    if (wait > ahead) return wait
    this.#times.shift()
    return Math.max(wait, first - now)
  }

  release(transaction: number | undefined, ago?: number): void {
    this.#own.release(transaction, ago)
  }

  slow(): boolean {
    return this.#own.slow()
  }

  #ask(now: number): void {
    if (this.#asking || now < this.#notBefore) return
    this.#asking = true
    const interval = 1_000 / this.rate
    const count = Math.max(1, Math.floor(this.rate * AHEAD))
    this.#reserve(this.#transport, interval, count)
      .then(({ taken, after }) => {
        const first = performance.now() + after
        if (!taken) this.#notBefore = Math.min(first, performance.now() + LATEST)
        else for (let nth = 0; nth < count; nth++) this.#times.push(first + nth * interval)
      })
      .catch(() => {
        this.#notBefore = performance.now() + AGAIN
      })
      .finally(() => {
        this.#asking = false
      })
  }
}
