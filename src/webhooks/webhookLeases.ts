import type { SharedRecord, SharedRecords } from '../queue/records.js'
import { leaseKey, removed } from './webhookStore.js'

/** Milliseconds between two renewals; for how long a renewal is good; and after how long without one another process takes over. */
const RENEW_AFTER = 3_000
const GOOD_FOR = 6_000
const OVER_AFTER = 10_000

/**
 * Decides which process sends to an endpoint. Each process that has the endpoint holds a lease in the queue; the earliest lease
 * that is renewed counts. A process whose renewal was late is the last in line again, since another one may have taken over.
 */
export class WebhookLeases {
  readonly #endpoints: readonly string[]
  readonly #process: string
  /** Time from which the leases are, in ms since the epoch; 0 before the first renewal. */
  #since = 0
  /** Time of the last renewal, on `performance.now()`'s clock. */
  #renewedAt = -Infinity

  /** @param endpoints ids; @param process names this process */
  constructor(endpoints: readonly string[], process: string) {
    this.#endpoints = endpoints
    this.#process = process
  }

  /** Whether this process may rely on what it read of the leases. */
  get good(): boolean {
    return performance.now() - this.#renewedAt < GOOD_FOR
  }

  /** Renews the leases if it is time to. */
  async renew(records: SharedRecords): Promise<void> {
    const now = performance.now()
    if (now - this.#renewedAt < RENEW_AFTER) return
    const late = !this.good
    const before = late ? this.#keys() : []
    if (late) this.#since = Date.now()
    const keepUntil = Date.now() + 2 * OVER_AFTER
    await records.write([...before.map(removed), ...this.#keys().map((key) => ({ key, keepUntil }))])
    this.#renewedAt = now
  }

  /** @param leases of an endpoint, the earliest first */
  isFirst(endpoint: string, leases: readonly SharedRecord[]): boolean {
    const holder = leases.find(({ age }) => age < OVER_AFTER)
    return holder?.key === leaseKey(endpoint, this.#since, this.#process)
  }

  /** Lets the next process take over at once. */
  async release(records: SharedRecords): Promise<void> {
    const keys = this.#keys()
    if (keys.length > 0) await records.write(keys.map(removed))
  }

  #keys(): string[] {
    if (this.#since === 0) return []
    return this.#endpoints.map((endpoint) => leaseKey(endpoint, this.#since, this.#process))
  }
}
