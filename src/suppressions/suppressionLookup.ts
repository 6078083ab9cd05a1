import { type Condition, ConditionLog } from '../logging/conditionLog.js'
import type { Logger } from '../logging/logger.js'
import { type MailJob, recipientsOf, type SuppressedRecipient } from '../message/messageState.js'
import type { QueueDriver } from '../queue/driver.js'
import { type RecordRange, rangeOf, type SharedRecord } from '../queue/records.js'
import {
  countsFor,
  DEFAULT_STREAM,
  fromRecord,
  PREFIX,
  rangeOfAddress,
  type Suppression,
  type SuppressionReason,
  suppressionKey,
} from './suppression.js'

/** Milliseconds after which a process that accepts mail looks again whether an empty list has got entries. */
const LOOK_AFTER = 1_000
/** Lookups that share a request to the queue, at most. */
const BATCH = 500

interface Lookup {
  addresses: readonly string[]
  stream: string
  resolve: (suppressed: Map<string, SuppressedRecipient>) => void
  reject: (error: unknown) => void
}

/** The entry to name if several count: complaints first, then bounces. */
function strongest(records: readonly SharedRecord[], stream: string): Suppression | undefined {
  const order: readonly SuppressionReason[] = ['complaint', 'bounce', 'unsubscribe', 'manual']
  return records
    .map(fromRecord)
    .filter((entry) => countsFor(entry, stream))
    .sort((a, b) => order.indexOf(a.reason) - order.indexOf(b.reason))[0]
}

const UNREADABLE: Condition = {
  begins: 'The list of suppressed addresses can’t be read; mail waits until it can',
  level: 'error',
  ends: 'The list of suppressed addresses is read again',
}

/** Finds the suppressed recipients of mails, before they are accepted and before they are delivered. */
export class SuppressionLookup {
  readonly #queue: QueueDriver
  readonly #unreadable: ConditionLog
  /** Whether the list may have entries; it stays true once it had one. */
  #used = false
  #lookups: Lookup[] = []
  #looking = false
  #lookedAt = -Infinity

  constructor(queue: QueueDriver, logger: Logger) {
    this.#queue = queue
    this.#unreadable = new ConditionLog(logger, UNREADABLE)
  }

  /** This process has added an entry. */
  added(): void {
    this.#used = true
  }

  /**
   * Marks the suppressed recipients of mails that are about to be accepted, as far as the list is known to have entries: the check
   * before the delivery finds the others.
   */
  async markAll(jobs: readonly MailJob[]): Promise<void> {
    // The queue reports its own failures, and the list is checked again before the delivery.
    try {
      if (!this.#used && performance.now() - this.#lookedAt > LOOK_AFTER) await this.find([])
      if (this.#used) await Promise.all(jobs.map((job) => this.#mark(job)))
    } catch {}
  }

  async #mark(job: MailJob): Promise<void> {
    const recipients = recipientsOf(job)
    const suppressed = await this.find(recipients, job.stream)
    if (suppressed.size === 0) return
    job.suppressed = [...suppressed.values()]
    // It has nobody to wait for.
    if (suppressed.size === recipients.length) delete job.notBefore
  }

  /**
   * Whether the list certainly has no entries, so that no message needs to be checked.
   */
  get empty(): boolean {
    return !this.#used && !this.#queue.durable
  }

  /**
   * Returns the suppressed ones among recipients, by address. Messages that are checked at the same time share a request to the
   * queue.
   */
  find(
    addresses: readonly string[],
    stream: string = DEFAULT_STREAM,
  ): Promise<Map<string, SuppressedRecipient>> {
    return new Promise((resolve, reject) => {
      this.#lookups.push({ addresses, stream, resolve, reject })
      if (!this.#looking) void this.#look()
    })
  }

  async #look(): Promise<void> {
    this.#looking = true
    while (this.#lookups.length > 0) {
      const lookups = this.#lookups.splice(0, BATCH)
      try {
        await this.#answer(lookups)
        this.#unreadable.end()
      } catch (error) {
        this.#unreadable.begin({ err: error })
        for (const { reject } of lookups) reject(error)
      }
    }
    this.#looking = false
  }

  async #answer(lookups: readonly Lookup[]): Promise<void> {
    if (!this.#used) {
      this.#lookedAt = performance.now()
      const [first = []] = await this.#queue.records.read([{ ...rangeOf(PREFIX), limit: 1 }])
      if (first.length > 0) this.#used = true
    }
    const ranges = new Map<string, RecordRange>()
    if (this.#used)
      for (const { addresses } of lookups)
        for (const address of addresses)
          ranges.set(suppressionKey(address), rangeOfAddress(suppressionKey(address)))
    const records = ranges.size === 0 ? [] : await this.#queue.records.read([...ranges.values()])
    const byAddress = new Map([...ranges.keys()].map((key, index) => [key, records[index] ?? []]))
    for (const { addresses, stream, resolve } of lookups) {
      const suppressed = new Map<string, SuppressedRecipient>()
      for (const address of addresses) {
        const entry = strongest(byAddress.get(suppressionKey(address)) ?? [], stream)
        if (entry === undefined) continue
        const { reason, since, stream: own } = entry
        suppressed.set(address, { address, reason, since, ...(own === undefined ? {} : { stream: own }) })
      }
      resolve(suppressed)
    }
  }

  close(): void {
    this.#unreadable.close()
  }
}
