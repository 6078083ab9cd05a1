import { Clock, waitAtMost } from '../../clock.js'
import {
  enter,
  isSettled,
  type MailJob,
  type MessageState,
  settle,
  type Status,
} from '../../message/messageState.js'
import { type Message, toMessage } from '../../message/messageView.js'
import { cancelManually, markSentManually, notFound, retryManually } from '../actions.js'
import type {
  Consumer,
  EnqueueResult,
  ListQuery,
  MessagePage,
  DriverOptions,
  QueueDriver,
  QueueStats,
} from '../driver.js'
import { fingerprintsDiffer, IdempotencyKeys } from '../idempotencyKeys.js'
import { matches, paginate, withShownStatus, shownCounts, shownStatus } from '../listing.js'
import { DelayedQueue } from './delayedQueue.js'
import { type Entry, NONE, MessageStore } from './messageStore.js'
import { PriorityQueue } from './priorityQueue.js'

interface MemoryQueueOptions extends DriverOptions {
  clock?: Clock
}

/**
 * Everything in this process's memory: fast, and gone with the process. A message that waits is in the timetable, due
 * at its next attempt or its expiry, whichever is first; one that may be handed out is in the line as well.
 */
export class MemoryQueue implements QueueDriver {
  readonly durable = false
  readonly #options: MemoryQueueOptions
  readonly #clock: Clock
  readonly #shelf: MessageStore
  readonly #keys: IdempotencyKeys
  readonly #line = new PriorityQueue<Entry>()
  readonly #timetable: DelayedQueue<Entry>
  #consumer: Consumer | undefined
  #delivering = 0
  #deliveries = 0
  #paused = false
  #closed = false
  /** Who waits until nothing is under way. */
  readonly #idle = new Set<() => void>()

  constructor(options: MemoryQueueOptions) {
    this.#options = options
    this.#clock = options.clock ?? new Clock()
    this.#shelf = new MessageStore(options.retain)
    this.#keys = new IdempotencyKeys(options.retain.keys)
    this.#timetable = new DelayedQueue(this.#clock, {
      onDue: () => this.#wake(),
      onClockSetBack: retryEarlier,
    })
  }

  enqueue(jobs: readonly MailJob[]): Promise<EnqueueResult[]> {
    const answers = jobs.map((job) => this.#accept(job))
    this.#pump()
    return Promise.resolve(answers)
  }

  start(consumer: Consumer): Promise<void> {
    this.#consumer = consumer
    this.#pump()
    return Promise.resolve()
  }

  find(id: string): Promise<Message | undefined> {
    const entry = this.#shelf.get(id)
    return Promise.resolve(entry && this.#show(entry))
  }

  load(id: string): Promise<MailJob | 'dropped' | undefined> {
    const entry = this.#shelf.get(id)
    return Promise.resolve(entry?.dropped === true ? 'dropped' : entry?.job)
  }

  list(query: ListQuery): Promise<MessagePage> {
    return Promise.resolve(
      paginate(this.#shelf.newestFirst(), query, {
        position: (entry) => entry.position,
        matchesQuery: (entry) => matches(entry.job, this.#shownStatus(entry), query),
        show: (entry) => this.#show(entry),
      }),
    )
  }

  cancel(id: string): Promise<Message> {
    return this.#act(id, (entry, now) => {
      const takeBack = (): boolean => this.#consumer?.cancel(id) === true
      this.#change(entry, (state) => cancelManually(id, state, takeBack, now), now)
    })
  }

  retry(id: string): Promise<Message> {
    return this.#act(id, (entry, now) => {
      this.#change(entry, (state) => retryManually(id, state, now, this.#options.maxAge), now)
    })
  }

  markSent(id: string): Promise<Message> {
    return this.#act(id, (entry, now) => {
      this.#change(entry, (state) => markSentManually(id, state, now), now)
    })
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
    const { counts, accepted } = this.#shelf
    return Promise.resolve({
      ...shownCounts(counts, this.#paused),
      accepted,
      oldest: this.#longestWait(),
      paused: this.#paused,
    })
  }

  wakeHeld(transports: readonly string[], most: number): Promise<number> {
    const now = this.#clock.now()
    const woken = this.#shelf.wakeHeld(transports, most, now)
    for (const entry of woken) this.#schedule(entry, now)
    this.#pump()
    return Promise.resolve(woken.length)
  }

  /** Nobody else changes anything here: the change listener hears of it all. */
  subscribe(): () => void {
    return () => undefined
  }

  /** What is due goes on being handed out, since nothing of it outlives the process. */
  async drain(deadline: number): Promise<void> {
    // While something is due there is a delivery, unless the queue is paused.
    if (deadline > 0) await waitAtMost(this.#nothingUnderWay(), deadline)
    this.#closed = true
    this.#timetable.stop()
  }

  close(): Promise<void> {
    return this.drain(0)
  }

  /** What deliveries take by the real clock is not counted, so that waits that follow each other add up to `ms`. */
  async advance(ms: number): Promise<void> {
    let left = ms
    for (;;) {
      await this.#nothingUnderWay()
      const wait = (this.#timetable.next ?? Infinity) - this.#clock.now()
      const step = Math.min(left, Math.max(0, wait))
      this.#clock.advance(step)
      // What is due again at once, for ever, comes to an end as well.
      left = Math.max(0, left - Math.max(1, step))
      this.#timetable.wake()
      if (this.#closed || (left === 0 && this.#delivering === 0)) return
    }
  }

  #nothingUnderWay(): Promise<void> {
    return this.#delivering === 0 ? Promise.resolve() : new Promise((resolve) => void this.#idle.add(resolve))
  }

  #accept(job: MailJob): EnqueueResult {
    const known = this.#shelf.get(job.id)?.job ?? this.#keys.find(job.idempotencyKey, this.#clock.now())
    if (known !== undefined) {
      const { id, messageId } = known
      return fingerprintsDiffer(known, job) ? { result: 'conflict' } : { result: 'duplicate', id, messageId }
    }
    if (this.#shelf.open >= this.#options.limit) return { result: 'full' }

    const entry = this.#shelf.add(job)
    this.#keys.remember(job)
    this.#schedule(entry, this.#clock.now())
    this.#options.onChange(entry)
    return { result: 'queued' }
  }

  /** Finds a message that waits its place: in line if it is due, and in the timetable for what comes next. */
  #schedule(entry: Entry, now: number): void {
    const { state, job } = entry
    if (state.nextAttemptAt !== undefined && state.nextAttemptAt > now) {
      this.#timetable.schedule(entry, Math.min(state.nextAttemptAt, state.expiresAt), now)
      return
    }
    this.#timetable.schedule(entry, state.expiresAt, now)
    if (entry.ticket !== NONE || (state.status === 'held' && state.heldReason === 'uncertain')) return
    entry.ticket = this.#line.push(entry, job.priority)
  }

  /** Takes from the line as many as there are free slots. */
  #pump(): void {
    const consumer = this.#consumer
    if (consumer === undefined) return
    while (!this.#paused && !this.#closed && this.#delivering < consumer.slots) {
      const entry = this.#line.shift(isInLine)
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
    this.#delivering++
    this.#timetable.remove(entry)
    this.#shelf.change(entry, (state) => enter(state, 'sending', now), now)
    this.#options.onChange(entry)
    const delivery = (entry.delivery = ++this.#deliveries)
    const settlement = await consumer.deliver(entry)
    this.#delivering--
    // A message that was cancelled meanwhile is settled, and may be on its way again.
    if (entry.delivery === delivery) {
      entry.delivery = NONE
      const end = this.#clock.now()
      this.#change(entry, (state) => settle(state, settlement, end), end)
      this.#options.onChange(entry)
    }
    this.#pump()
    if (this.#delivering > 0) return
    for (const resolve of this.#idle) resolve()
    this.#idle.clear()
  }

  /** What the action throws rejects. */
  #act(id: string, action: (entry: Entry, now: number) => void): Promise<Message> {
    return new Promise((resolve) => {
      const entry = this.#shelf.get(id)
      if (entry === undefined) throw notFound(id)
      action(entry, this.#clock.now())
      this.#options.onChange(entry)
      this.#pump()
      resolve(this.#show(entry))
    })
  }

  #expire(entry: Entry, now: number): void {
    this.#change(entry, (state) => enter(state, 'expired', now), now)
    this.#options.onChange(entry)
  }

  /** A change after which the message waits or is settled. What it throws leaves everything as it was. */
  #change(entry: Entry, change: (state: MessageState) => void, now: number): void {
    this.#shelf.change(entry, change, now)
    if (isSettled(entry.state.status)) this.#timetable.remove(entry)
    else this.#schedule(entry, now)
  }

  #wake(): void {
    const now = this.#clock.now()
    for (
      let entry = this.#timetable.takeDue(now);
      entry !== undefined;
      entry = this.#timetable.takeDue(now)
    ) {
      if (entry.state.expiresAt <= now) this.#expire(entry, now)
      else {
        this.#shelf.markDue(entry)
        this.#schedule(entry, now)
      }
    }
    this.#shelf.prune(now)
    this.#keys.prune(now)
    this.#pump()
  }

  /** Milliseconds that the longest-waiting of what is in line has waited; each lane is in the order in which that became due. */
  #longestWait(): number {
    const now = this.#clock.now()
    return Math.max(0, ...this.#line.first(isInLine).map(({ state }) => now - state.dueAt))
  }

  #shownStatus({ state }: Entry): Status {
    return shownStatus(state.status, this.#paused)
  }

  #show(entry: Entry): Message {
    return withShownStatus(toMessage(entry.job, entry.state), this.#shownStatus(entry))
  }
}

/** Whoever left the line by hand, and came back, has another ticket. */
function isInLine(entry: Entry, ticket: number): boolean {
  return entry.ticket === ticket
}

/** Retries are due earlier by as much as the clock was set back; the time a message is meant for stays. */
function retryEarlier({ state, dueAt }: Entry, by: number): number {
  if (state.nextAttemptAt === undefined || state.status === 'queued') return dueAt
  state.nextAttemptAt -= by
  return Math.min(state.nextAttemptAt, state.expiresAt)
}
