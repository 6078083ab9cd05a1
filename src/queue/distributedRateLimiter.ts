import { type Allowance, RateLimiter } from '../transports/rateLimiter.js'

/** A permit that is over, and the ms until another message may have it. */
export interface ReturnedPermit {
  id: string
  after: number
}

export interface PermitRequest {
  transport: string
  /** Permits that there are for all processes together. */
  most: number
  wanted: number
  /** The same name again means the same request. */
  name: string
  /** Milliseconds for which a permit is in use unless it is returned. */
  lease: number
  returned: readonly ReturnedPermit[]
}

/**
 * Asks the server for permits, and returns others.
 * @returns their number, and ms until the next one is free; undefined if that is unknown
 */
export type RequestPermits = (
  request: PermitRequest,
) => Promise<{ granted: number; next: number | undefined }>

/** Milliseconds that an attempt can take, and some more. */
const LEASE = 150_000
/** Seconds for which permits are fetched at a time. */
const BATCH_SECONDS = 0.02
/** Milliseconds after which a permit that no message has taken is returned. */
const MAX_STOCK_AGE = 50
/** Milliseconds between two requests at least and at most, and until a message asks again while a request is pending. */
const MIN_DELAY = 5
const MAX_DELAY = 100
/** Milliseconds between a failed request and the next one. */
const FAILURE_DELAY = 250

/**
 * The rate limit of one transport, shared by all processes on one queue. The queue's server has a permit for each message that may be sent
 * in one window. A permit is in use from the moment a process gets it until a window after the server's answer (see
 * {@link RateLimiter}), so no window has more messages than permits, however late a message goes.
 *
 *     server: free ── request ──► stock ── acquire() ──► in use ── release() ──► returned: free again after the window
 *                                   └── not taken for a while ────────────────► returned: free at once
 */
export class DistributedRateLimiter implements Allowance {
  readonly #transport: string
  readonly #local: RateLimiter
  readonly #request: RequestPermits
  readonly #newName: () => string
  /** Permits that no message has taken, oldest first; the time is when they were requested, on `performance.now()`'s clock. */
  #stock: { id: string; since: number }[] = []
  /** Permits of messages in progress. Any of them stands for any message. */
  readonly #inUse: string[] = []
  /** Permits that the server doesn't know to be over, with the time at which they are free. */
  #returned: { id: string; at: number }[] = []
  #requesting = false
  #notBefore = 0
  #timer: NodeJS.Timeout | undefined
  /** A request without an answer; it is repeated under its name, since the server may have granted it. */
  #unanswered: { name: string; wanted: number } | undefined

  /** @param newName returns a name that no request had before */
  constructor(transport: string, rate: number, request: RequestPermits, newName: () => string) {
    this.#transport = transport
    this.#local = new RateLimiter(rate)
    this.#request = request
    this.#newName = newName
  }

  get rate(): number {
    return this.#local.rate
  }

  get slowed(): boolean {
    return this.#local.slowed
  }

  acquire(ahead = 0): number {
    const now = performance.now()
    this.#discardOld(now)
    const permit = this.#stock[0]
    if (permit === undefined) {
      this.#fetch(now, Math.max(1, Math.ceil(this.rate * BATCH_SECONDS)))
      return Math.max(MIN_DELAY, this.#notBefore - now) + ahead
    }
    const wait = this.#local.acquire(ahead)
    if (wait > ahead) return wait
    this.#stock.shift()
    this.#inUse.push(permit.id)
    this.#scheduleReturn()
    return wait
  }

  release(transaction: number | undefined, ago = 0): void {
    const now = performance.now()
    this.#local.release(transaction, ago)
    const id = this.#inUse.shift()
    if (id === undefined) return
    const after = transaction === undefined ? 0 : this.#local.freeIn(ago)
    this.#returned.push({ id, at: now + after })
    this.#scheduleReturn()
  }

  slow(): boolean {
    return this.#local.slow()
  }

  /** Permits that no message has taken go back. Beyond its lease, a permit is someone else's. */
  #discardOld(now: number): void {
    const old = this.#stock.filter(({ since }) => since < now - MAX_STOCK_AGE)
    if (old.length === 0) return
    this.#stock = this.#stock.slice(old.length)
    for (const { id } of old) this.#returned.push({ id, at: now })
    this.#scheduleReturn()
  }

  /** Returns permits soon, even if no message asks for others. */
  #scheduleReturn(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      const now = performance.now()
      this.#discardOld(now)
      if (this.#returned.length > 0) this.#fetch(now, 0)
      if (this.#stock.length + this.#returned.length > 0) this.#scheduleReturn()
    }, MIN_DELAY).unref()
  }

  #fetch(now: number, wanted: number): void {
    if (this.#requesting || (wanted > 0 && now < this.#notBefore)) return
    this.#requesting = true
    void this.#ask(wanted).finally(() => {
      this.#requesting = false
    })
  }

  async #ask(wanted: number): Promise<void> {
    const since = performance.now()
    const returned = this.#returned
    this.#returned = []
    const request = this.#unanswered ?? { name: this.#newName(), wanted }
    this.#unanswered = request.wanted > 0 ? request : undefined
    try {
      const { granted, next } = await this.#request({
        ...request,
        transport: this.#transport,
        most: this.#local.perWindow,
        lease: LEASE,
        returned: returned.map(({ id, at }) => ({ id, after: Math.max(0, at - since) })),
      })
      this.#unanswered = undefined
      for (let nth = 1; nth <= granted; nth++) this.#stock.push({ id: `${request.name}:${nth}`, since })
      if (granted > 0) this.#scheduleReturn()
      else if (request.wanted > 0)
        this.#notBefore = performance.now() + Math.min(Math.max(MIN_DELAY, next ?? MAX_DELAY), MAX_DELAY)
    } catch {
      // Returning a permit twice does no harm.
      this.#returned.unshift(...returned)
      this.#notBefore = performance.now() + FAILURE_DELAY
    }
  }
}
