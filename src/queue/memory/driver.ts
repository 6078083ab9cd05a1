import { Clock, waitAtMost } from '../../clock.js'
import type { Reported } from '../../feedback/deliveryStates.js'
import {
  enter,
  isSettled,
  type MailJob,
  type MessageState,
  settle,
  type Status,
} from '../../message/messageState.js'
import { type Message, toMessage } from '../../message/messageView.js'
import { type ActionTarget, type ManualAction, notFound } from '../actions.js'
import type {
  Consumer,
  EnqueueResult,
  ListQuery,
  MessagePage,
  DriverOptions,
  QueueDriver,
  QueueStats,
} from '../driver.js'
import { matches, paginate, withShownStatus, shownCounts, shownStatus } from '../listing.js'
import { DelayedQueue } from './delayedQueue.js'
import { fingerprintsDiffer, IdempotencyKeys } from './idempotencyKeys.js'
import { type Entry, isReady, MessageStore, NONE, retryEarlier } from './messageStore.js'
import { PriorityQueue } from './priorityQueue.js'
import { listenerWithRecords, RecordStore } from './recordStore.js'

interface MemoryQueueOptions extends DriverOptions {
  clock?: Clock
}

/**
 * Keeps everything in the memory of this process: fast, and gone with the process. A waiting message is in `#delayed`, due
 * at its next attempt or its expiry, whichever is first; a message ready for delivery is in `#ready` as well.
 */
export class MemoryQueue implements QueueDriver {
  readonly durable = false
  readonly search = 'index'
  readonly records = new RecordStore()
  readonly #options: MemoryQueueOptions
  readonly #clock: Clock
  readonly #store: MessageStore
  readonly #keys: IdempotencyKeys
  readonly #ready = new PriorityQueue<Entry>()
  readonly #delayed: DelayedQueue<Entry>
  #consumer: Consumer | undefined
  #inProgress = 0
  #deliveryCount = 0
  #paused = false
  #closed = false
  /** Callbacks for the moment when no delivery is in progress. */
  readonly #idleCallbacks = new Set<() => void>()

  constructor(options: MemoryQueueOptions) {
    this.#options = { ...options, onChange: listenerWithRecords(options, this.records) }
    this.#clock = options.clock ?? new Clock()
    this.#store = new MessageStore(options.retain)
    this.#keys = new IdempotencyKeys(options.retain.keys)
    this.#delayed = new DelayedQueue(this.#clock, {
      onDue: () => this.#wake(),
      onClockSetBack: retryEarlier,
    })
  }

  enqueue(jobs: readonly MailJob[]): Promise<EnqueueResult[]> {
    const results = jobs.map((job) => this.#accept(job))
    this.#pump()
    return Promise.resolve(results)
  }

  start(consumer: Consumer): Promise<void> {
    this.#consumer = consumer
    consumer.onMoreSlots?.(() => this.#pump())
    this.#pump()
    return Promise.resolve()
  }

  find(id: string): Promise<Message | undefined> {
    const entry = this.#store.get(id)
    return Promise.resolve(entry && this.#show(entry))
  }

  load(id: string): Promise<MailJob | 'dropped' | undefined> {
    const entry = this.#store.get(id)
    return Promise.resolve(entry?.dropped === true ? 'dropped' : entry?.job)
  }

  list(query: ListQuery): Promise<MessagePage> {
    return Promise.resolve(
      paginate(this.#store.newestFirst(), query, {
        position: (entry) => entry.position,
        matches: (entry) => matches(entry.job, entry.state.subject, this.#shownStatus(entry), query),
        show: (entry) => this.#show(entry),
      }),
    )
  }

  pause(): Promise<void> {
    this.#paused = true
    return Promise.resolve()
  }

  resume(): Promise<void> {
    this.#paused = false
    this.#pump()
    return Promise.resolve()
  }

  stats(): Promise<QueueStats> {
    const { counts, accepted } = this.#store
    return Promise.resolve({
      ...shownCounts(counts, this.#paused),
      accepted,
      oldest: this.#longestWait(),
      paused: this.#paused,
    })
  }

  wakeHeld(transports: readonly string[], most: number): Promise<number> {
    const now = this.#clock.now()
    const woken = this.#store.wakeHeld(transports, most, now)
    for (const entry of woken) this.#schedule(entry, now)
    this.#pump()
    return Promise.resolve(woken.length)
  }

  /** No other process changes these messages, so the change listener is called for every settlement anyway. */
  subscribe(): () => void {
    return () => undefined
  }

  /** Continues to hand out due messages, since none of them outlives the process. */
  async drain(deadline: number): Promise<void> {
    // As long as a message is due, a delivery is in progress, unless the queue is paused.
    if (deadline > 0) await waitAtMost(this.#untilIdle(), deadline)
    this.#closed = true
    this.#delayed.stop()
  }

  close(): Promise<void> {
    return this.drain(0)
  }

  /** Doesn't count the real time that deliveries take, so that consecutive waits add up to `ms`. */
  async advance(ms: number): Promise<void> {
    let left = ms
    for (;;) {
      await this.#untilIdle()
      const wait = (this.#delayed.next ?? Infinity) - this.#clock.now()
      const step = Math.min(left, Math.max(0, wait))
      this.#clock.advance(step)
      // Each step counts at least 1 ms, so that a message that is due again immediately, forever, can't keep this running.
      left = Math.max(0, left - Math.max(1, step))
      this.#delayed.wake()
      if (this.#closed || (left === 0 && this.#inProgress === 0)) return
    }
  }

  #untilIdle(): Promise<void> {
    return this.#inProgress === 0
      ? Promise.resolve()
      : new Promise((resolve) => void this.#idleCallbacks.add(resolve))
  }

  #accept(job: MailJob): EnqueueResult {
    const earlier = this.#store.get(job.id)?.job ?? this.#keys.find(job.idempotencyKey, this.#clock.now())
    if (earlier !== undefined) {
      const { id, messageId } = earlier
      return fingerprintsDiffer(earlier, job)
        ? { result: 'conflict' }
        : { result: 'duplicate', id, messageId }
    }
    if (this.#store.open >= this.#options.limit) return { result: 'full' }

    const entry = this.#store.add(job)
    this.#keys.remember(job)
    this.#schedule(entry, this.#clock.now())
    this.#options.onChange(entry)
    return { result: 'queued' }
  }

  /** Puts a waiting message into the delayed queue, and into the ready queue if it is due. */
  #schedule(entry: Entry, now: number): void {
    const { state, job } = entry
    if (state.nextAttemptAt !== undefined && state.nextAttemptAt > now) {
      this.#delayed.schedule(entry, Math.min(state.nextAttemptAt, state.expiresAt), now)
      return
    }
    this.#delayed.schedule(entry, state.expiresAt, now)
    if (entry.ticket !== NONE || (state.status === 'held' && state.heldReason === 'uncertain')) return
    entry.ticket = this.#ready.push(entry, job.priority, job.group ?? '')
  }

  /** Starts as many deliveries as there are free slots. */
  #pump(): void {
    const consumer = this.#consumer
    if (consumer === undefined) return
    while (!this.#paused && !this.#closed && this.#inProgress < consumer.slots) {
      const entry = this.#ready.shift(isReady)
      if (entry === undefined) return
      entry.ticket = NONE
      void this.#deliver(entry, consumer)
    }
  }

  async #deliver(entry: Entry, consumer: Consumer): Promise<void> {
    const now = this.#clock.now()
    if (entry.state.expiresAt <= now) {
      this.#expire(entry, now)
      return
    }
    this.#inProgress++
    this.#delayed.remove(entry)
    this.#store.change(entry, (state) => enter(state, 'sending', now), now)
    this.#options.onChange(entry)
    const delivery = (entry.delivery = ++this.#deliveryCount)
    const settlement = await consumer.deliver(entry)
    this.#inProgress--
    // A message cancelled meanwhile is settled already, and a retry may have started another delivery.
    if (entry.delivery === delivery) {
      entry.delivery = NONE
      const end = this.#clock.now()
      this.#change(entry, (state) => settle(state, settlement, end), end)
      this.#options.onChange(entry)
    }
    this.#pump()
    if (this.#inProgress > 0) return
    for (const resolve of this.#idleCallbacks) resolve()
    this.#idleCallbacks.clear()
  }

  async act(id: string, action: ManualAction): Promise<Message> {
    return this.#show(await this.change(id, action))
  }

  /** Rejects with whatever the action throws. */
  change(id: string, action: ManualAction): Promise<Entry> {
    return new Promise((resolve) => {
      const entry = this.#store.get(id)
      if (entry === undefined) throw notFound(id)
      const now = this.#clock.now()
      const { maxAge } = this.#options
      let reported: Reported | undefined
      const { job, state } = entry
      const cancelDelivery = (): boolean => this.#consumer?.cancel(id) === true
      const target: ActionTarget = { id, job, state, now, maxAge, cancelDelivery }
      this.#change(entry, () => void (reported = action(target)), now)
      if (target.replacement !== undefined) {
        this.#store.replace(entry, target.replacement)
        if (job.idempotencyKey !== target.replacement.idempotencyKey) this.#keys.forget(job)
      }
      if (reported?.changes.length !== 0 && target.keepsStatus !== true)
        this.#options.onChange({ ...entry, reported })
      this.#pump()
      resolve(entry)
    })
  }

  #expire(entry: Entry, now: number): void {
    this.#change(entry, (state) => enter(state, 'expired', now), now)
    this.#options.onChange(entry)
  }

  /** Makes a change after which the message waits or is settled. If `change` throws, nothing has changed. */
  #change(entry: Entry, change: (state: MessageState) => void, now: number): void {
    this.#store.change(entry, change, now)
    if (isSettled(entry.state.status)) this.#delayed.remove(entry)
    else this.#schedule(entry, now)
  }

  #wake(): void {
    const now = this.#clock.now()
    for (let entry = this.#delayed.takeDue(now); entry !== undefined; entry = this.#delayed.takeDue(now)) {
      if (entry.state.expiresAt <= now) this.#expire(entry, now)
      else {
        this.#store.markDue(entry)
        this.#schedule(entry, now)
      }
    }
    this.#store.prune(now)
    this.#keys.prune(now)
    this.#pump()
  }

  /** Returns for how many ms the longest-waiting ready message has waited. Each priority is ordered by the time of becoming due. */
  #longestWait(): number {
    const now = this.#clock.now()
    return Math.max(0, ...this.#ready.first(isReady).map(({ state }) => now - state.dueAt))
  }

  #shownStatus({ state }: Entry): Status {
    return shownStatus(state.status, this.#paused)
  }

  #show(entry: Entry): Message {
    return withShownStatus(toMessage(entry.job, entry.state), this.#shownStatus(entry))
  }
}
