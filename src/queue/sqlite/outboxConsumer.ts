import { waitAtMost } from '../../clock.js'
import { enter, type MailJob, type MessageState, newState, settle } from '../../message/messageState.js'
import { evidenceOn } from '../../protocol/evidence.js'
import type { GenerationalCache } from '../../structures/generationalCache.js'
import { IndexedBag, type Member } from '../../structures/indexedBag.js'
import { dropsContent } from '../actions.js'
import type { Consumer, DriverOptions, QueuedMessage } from '../driver.js'
import type { RowCipher } from '../encryption/rowCipher.js'
import { packState, sealerFor, unpackHead, unpackState, unpackClaimed } from '../rowCodec.js'
import type { Withdrawal } from '../storedMutations.js'
import { type StateRow, STATUS_NUMBERS, type ClaimedRow } from '../storedRow.js'
import type { OutboxClient } from './outboxClient.js'
import { type CachedRow, lengthOf, type OrphanedRow } from './outboxProtocol.js'
import { PrefetchEstimator, SlotAllocator } from './prefetch.js'

/** A message that this process has claimed: its status in the file is `sending`. */
export interface ClaimedMessage extends QueuedMessage, Member {
  readonly seq: number
  readonly rev: number
  readonly job: MailJob
  readonly state: MessageState
  readonly bytes: number
  journalSlot?: number
}

/** Maximum number of outcomes per slot that wait to be stored; beyond it no delivery starts. */
const UNSTORED_PER_SLOT = 20
/** Slots of the delivery journal, whose space on the disk is allocated at the start. */
const MIN_JOURNAL_SLOTS = 128
const MAX_JOURNAL_SLOTS = 2_000
/** Bytes of prefetched messages, beyond which no more are claimed. */
const MAX_PREFETCHED_BYTES = 16 * 1024 * 1024
/** Milliseconds before storing an outcome is tried again. */
const RETRY = 250
/** Milliseconds that `close()` waits for outcomes to be stored. The journal has the evidence on any that are left. */
const CLOSE_TIMEOUT = 5_000

/**
 * The messages that this process has claimed. Prefetched messages bridge the time of a commit, so that a free slot never
 * waits for the disk. After a crash the delivery journal distinguishes them from messages whose delivery had started.
 *
 * A claimed message is in exactly one of these places:
 *
 *     receive() ──► prefetched ── #deliver() ──► being delivered ── #store() ──► outcome being stored ──► released
 *                    │      │                        │
 *                    │      └─ removePrefetched()    └─ cancelDelivery()
 *                    │              └───► being changed by an operator ◄┘ ── finish() ──► released, or being requeued
 *                    └─ pause, drain ──► being requeued ──► released
 */
export class OutboxConsumer {
  readonly #client: OutboxClient
  readonly #consumer: Consumer
  readonly #options: Pick<DriverOptions, 'onChange' | 'recordsOf' | 'retain'>
  readonly #cachedJobs: GenerationalCache<string, MailJob>
  readonly #cipher: RowCipher | undefined
  readonly #prefetched: ClaimedMessage[] = []
  readonly #claimed = new Set<number>()
  readonly #delivering = new IndexedBag<ClaimedMessage>()
  readonly #estimator = new PrefetchEstimator()
  readonly #journalSlots = new SlotAllocator()
  #openDeliveries = 0
  #unstored = 0
  #requested = 0
  #prefetchedBytes = 0
  #started = false
  #paused = false
  #closing = false
  #onProgress: (() => void) | undefined

  /** @param cachedJobs jobs that this process accepted a moment ago */
  constructor(
    client: OutboxClient,
    consumer: Consumer,
    options: Pick<DriverOptions, 'onChange' | 'recordsOf' | 'retain'>,
    cachedJobs: GenerationalCache<string, MailJob>,
    cipher: RowCipher | undefined,
  ) {
    this.#cipher = cipher
    this.#cachedJobs = cachedJobs
    this.#client = client
    this.#consumer = consumer
    this.#options = options
    consumer.onMoreSlots?.(() => this.#pump())
  }

  /** Starts claiming, or resumes it with a new outbox thread. */
  start(): void {
    this.#started = true
    this.#requested = 0
    // A delivery keeps its slot from its start until its outcome is stored.
    const most = this.#consumer.slots * (UNSTORED_PER_SLOT + 1)
    const journalSlots = Math.min(Math.max(most, MIN_JOURNAL_SLOTS), MAX_JOURNAL_SLOTS)
    this.#client.send('deliver', { claimed: [...this.#claimed], journalSlots })
    this.#requestMore()
  }

  get prefetched(): number {
    return this.#prefetched.length
  }

  isPrefetched(seq: number): boolean {
    return this.#prefetched.some((message) => message.seq === seq)
  }

  receive(rows: readonly (ClaimedRow | CachedRow)[]): void {
    this.#requested = Math.max(0, this.#requested - rows.length)
    for (const row of rows) {
      const message = 'id' in row ? this.#fromCache(row) : toClaimed(row)
      this.#claimed.add(row.seq)
      if (message === undefined) {
        this.#requeue([row])
        continue
      }
      this.#prefetched.push(message)
      this.#prefetchedBytes += message.bytes
    }
    if (this.#paused || this.#closing) this.#returnPrefetched()
    else this.#pump()
  }

  /** The message is unchanged since its acceptance. If it isn't cached after all, it is requeued and claimed again from the file. */
  #fromCache({ seq, rev, id }: CachedRow): ClaimedMessage | undefined {
    const job = this.#cachedJobs.take(id)
    if (job === undefined) return undefined
    const bytes = 'data' in job.content ? job.content.data.length : 0
    return { seq, rev, job, state: { ...newState(job), status: 'sending' }, bytes, bagIndex: -1 }
  }

  /** Settles or requeues messages whose process died while delivering them. */
  recover(rows: readonly OrphanedRow[]): void {
    for (const row of rows) {
      const job = unpackHead(row)
      const state = unpackState(row, job)
      // A process that has the key decides about a message that can't be decrypted.
      if (state.sealed !== undefined) continue
      const { seq, rev, restored } = row
      const evidence = restored ? 'restored' : evidenceOn(row.journaled, state.attempts.length + 1)
      const settlement = this.#consumer.recover({ job, state }, evidence, row.losses + (restored ? 0 : 1))
      if (settlement === undefined) {
        void this.#retry(() => this.#client.request('release', { rows: [{ seq, rev, lost: !restored }] }))
      } else {
        settle(state, settlement, Date.now())
        void this.#store({ seq, rev, job, state, bytes: 0, bagIndex: -1 })
      }
    }
  }

  pause(paused: boolean): void {
    if (paused === this.#paused) return
    this.#paused = paused
    if (paused) this.#returnPrefetched()
    else this.#pump()
  }

  /** Withdraws a message from its delivery. @returns undefined if the message may be sent; otherwise its outcome is ignored */
  cancelDelivery(id: string): Withdrawal | undefined {
    const [message] = this.#delivering.filter(({ job }) => job.id === id)
    if (message === undefined || !this.#consumer.cancel(id)) return undefined
    this.#delivering.remove(message)
    return this.#withdrawal(message)
  }

  /** Withdraws a prefetched message, so that an operator can change it before its delivery. */
  withdrawPrefetched(seq: number): Withdrawal | undefined {
    const at = this.#prefetched.findIndex((message) => message.seq === seq)
    const [message] = at < 0 ? [] : this.#prefetched.splice(at, 1)
    if (message === undefined) return undefined
    this.#prefetchedBytes -= message.bytes
    return this.#withdrawal(message)
  }

  /** When the change ends, releases the claim if the change is stored, and requeues the message otherwise. */
  #withdrawal(message: ClaimedMessage): Withdrawal {
    return {
      finish: (changed) => (changed ? void this.#claimed.delete(message.seq) : this.#requeue([message])),
    }
  }

  /** Starts no more deliveries, requeues prefetched messages, and waits up to `deadline` ms for the deliveries in progress. */
  async drain(deadline: number): Promise<void> {
    this.#closing = true
    this.#returnPrefetched()
    await this.#client.request('stop', {}).catch(() => undefined)
    await this.#until(() => this.#openDeliveries + this.#unstored === 0, deadline)
  }

  /** Waits until all outcomes are stored, for a limited time. */
  async close(): Promise<void> {
    await this.#until(() => this.#unstored === 0, CLOSE_TIMEOUT)
  }

  async #until(done: () => boolean, deadline: number): Promise<void> {
    if (done()) return
    const finished = new Promise<void>((resolve) => {
      this.#onProgress = () => {
        if (done()) resolve()
      }
    })
    await waitAtMost(finished, deadline)
  }

  #pump(): void {
    const mostUnstored = this.#consumer.slots * UNSTORED_PER_SLOT
    while (!this.#closing && this.#openDeliveries < this.#consumer.slots && this.#unstored < mostUnstored) {
      const message = this.#prefetched.shift()
      if (message === undefined) break
      this.#prefetchedBytes -= message.bytes
      void this.#deliver(message)
    }
    this.#requestMore()
  }

  /** Lets the outbox thread claim enough messages to fill the free slots and the prefetched ones, half of the latter at a time. */
  #requestMore(): void {
    if (!this.#started || this.#paused || this.#closing || this.#prefetchedBytes > MAX_PREFETCHED_BYTES)
      return
    const { slots } = this.#consumer
    const target = this.#estimator.target(slots)
    const wanted = slots - this.#openDeliveries + target - this.#prefetched.length - this.#requested
    if (wanted < Math.ceil(target / 2)) return
    this.#requested += wanted
    this.#client.send('credit', { slots: wanted })
  }

  async #deliver(message: ClaimedMessage): Promise<void> {
    this.#openDeliveries++
    message.journalSlot = this.#journalSlots.acquire()
    enter(message.state, 'sending', Date.now())
    this.#delivering.add(message)
    this.#options.onChange(message)
    const settlement = await this.#consumer.deliver(message)
    this.#openDeliveries--
    this.#estimator.recordCompletion()
    // A message cancelled meanwhile is settled already, and a retry may have started another delivery.
    if (message.bagIndex >= 0) {
      this.#delivering.remove(message)
      settle(message.state, settlement, Date.now())
      void this.#store(message)
    } else {
      this.#journalSlots.release(message.journalSlot)
    }
    this.#onProgress?.()
    this.#pump()
  }

  /** Stores the outcome of a delivery, however long that takes, and then notifies the change listener. */
  async #store(message: ClaimedMessage): Promise<void> {
    const { seq, rev, state } = message
    const { onChange, recordsOf, retain } = this.#options
    const packed: StateRow = packState(state, sealerFor(message.job.id, this.#cipher))
    const drop = dropsContent(state.status, retain.data)
    const from = STATUS_NUMBERS.sending
    const reindex = state.subject !== undefined
    const records = recordsOf?.(message)
    const answer = await this.#retry(() =>
      this.#client.request('write', { seq, rev, from, state: packed, drop, reindex, records }),
    )
    if (answer === undefined) return
    this.#claimed.delete(seq)
    if (message.journalSlot !== undefined) this.#journalSlots.release(message.journalSlot)
    if (answer === 'written') onChange(message)
    this.#pump()
  }

  #returnPrefetched(): void {
    const messages = this.#prefetched.splice(0)
    this.#prefetchedBytes = 0
    if (messages.length > 0) this.#requeue(messages)
  }

  #requeue(messages: readonly Pick<ClaimedMessage, 'seq' | 'rev'>[]): void {
    const rows = messages.map(({ seq, rev }) => ({ seq, rev, lost: false }))
    void this.#retry(() => this.#client.request('release', { rows })).then(() => {
      for (const { seq } of rows) this.#claimed.delete(seq)
    })
  }

  /** Repeats a request until it succeeds, since what it stores is only in memory. @returns undefined once the client is closed */
  async #retry<T>(request: () => Promise<T>): Promise<T | undefined> {
    this.#unstored++
    try {
      for (;;) {
        try {
          return await request()
        } catch {
          if (this.#client.closed) return undefined
          await new Promise((resolve) => setTimeout(resolve, RETRY))
        }
      }
    } finally {
      this.#unstored--
      this.#onProgress?.()
    }
  }
}

function toClaimed(row: ClaimedRow): ClaimedMessage {
  const job = unpackClaimed(row)
  return { seq: row.seq, rev: row.rev, job, state: unpackState(row, job), bytes: lengthOf(row), bagIndex: -1 }
}
