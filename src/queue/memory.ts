import {
  enter,
  isSettled,
  type MailJob,
  type MessageState,
  newState,
  settle,
  STATUSES,
  type Status,
  withoutContent,
} from '../record.js'
import { type Message, toMessage } from '../messageView.js'
import { Clock } from '../clock.js'
import type { Retention } from '../retention.js'
import { cancelByHand, losesContent, markSentByHand, notFound, retryByHand } from './byHand.js'
import { ClockWatch } from './clockWatch.js'
import type {
  ChangeListener,
  Consumer,
  Enqueued,
  ListQuery,
  MessagePage,
  QueueDriver,
  QueueStats,
  StatusCounts,
} from './driver.js'
import { type Due, DueHeap } from './dueHeap.js'
import { Keys } from './keys.js'
import { Line } from './line.js'
import { matches, pageOf } from './listing.js'
import { Retained, type Settled } from './retained.js'

/**
 * A message and its place. While it waits it is in the heap, due at its next attempt or its expiry, whichever is
 * first; `inLine` holds while it may be handed out at once. Settled messages are in neither.
 */
interface Entry extends Due, Settled {
  /** Grows with each acceptance; the place in a listing. */
  readonly position: number
  job: MailJob
  /** Whether the job has lost its content. */
  dropped?: true
  readonly state: MessageState
  inLine: boolean
  /** The delivery whose settlement counts, by its number. */
  delivery: number
}

interface MemoryQueueOptions {
  /** Messages not yet settled, at most. */
  limit: number
  maxAge: number
  retain: Retention
  changed: ChangeListener
  clock?: Clock
}

/** The wall clock may jump: it is looked at again after this many milliseconds at most. */
const LONGEST_NAP = 1_000
/** No delivery. */
const NONE = 0

/** Everything in this process's memory: fast, and gone with the process. */
export class MemoryQueue implements QueueDriver {
  readonly durable = false
  readonly #options: MemoryQueueOptions
  readonly #entries = new Map<string, Entry>()
  readonly #settled = new Retained<Entry>()
  readonly #keys: Keys
  readonly #line = new Line<Entry>()
  readonly #due = new DueHeap<Entry>()
  readonly #clock: Clock
  readonly #clockWatch = new ClockWatch()
  readonly #counts: StatusCounts = Object.fromEntries(STATUSES.map((status) => [status, 0])) as StatusCounts
  #accepted = 0
  #consumer: Consumer | undefined
  #delivering = 0
  #deliveries = 0
  #paused = false
  #closed = false
  #timer: NodeJS.Timeout | undefined
  #timerAt = Infinity
  /** Who waits until nothing is under way. */
  readonly #idle = new Set<() => void>()

  constructor(options: MemoryQueueOptions) {
    this.#options = options
    this.#clock = options.clock ?? new Clock()
    this.#keys = new Keys(options.retain.keys)
  }

  enqueue(jobs: readonly MailJob[]): Promise<Enqueued[]> {
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
    const entry = this.#entries.get(id)
    return Promise.resolve(entry && this.#show(entry))
  }

  load(id: string): Promise<MailJob | 'dropped' | undefined> {
    const entry = this.#entries.get(id)
    return Promise.resolve(entry?.dropped === true ? 'dropped' : entry?.job)
  }

  list(query: ListQuery): Promise<MessagePage> {
    const newestFirst = [...this.#entries.values()].reverse()
    return Promise.resolve(
      pageOf(newestFirst, query, {
        position: (entry) => entry.position,
        matches: (entry) => matches(entry.job, this.#shownStatus(entry), query),
        show: (entry) => this.#show(entry),
      }),
    )
  }

  cancel(id: string): Promise<Message> {
    return this.#act(id, (entry, now) => {
      const takenBack = entry.state.status === 'sending' && this.#consumer?.cancel(id) === true
      this.#count(entry, () => cancelByHand(id, entry.state, takenBack, now))
      entry.delivery = NONE
      this.#leave(entry)
    })
  }

  retry(id: string): Promise<Message> {
    return this.#act(id, (entry, now) => {
      this.#count(entry, () => retryByHand(id, entry.state, now, this.#options.maxAge))
      this.#schedule(entry, now)
    })
  }

  markSent(id: string): Promise<Message> {
    return this.#act(id, (entry, now) => {
      this.#count(entry, () => markSentByHand(id, entry.state, now))
      this.#leave(entry)
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
    const now = this.#clock.now()
    const counts = { ...this.#counts }
    if (this.#paused) {
      counts.held += counts.queued
      counts.queued = 0
    }
    return Promise.resolve({
      ...counts,
      accepted: this.#accepted,
      oldest: this.#oldest(now),
      paused: this.#paused,
    })
  }

  /** Nobody else changes anything here: the change listener hears of it all. */
  follow(): () => void {
    return () => undefined
  }

  /** What is due goes on being handed out, since nothing of it outlives the process. */
  async drain(deadline: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    // While something is due there is a delivery, unless the queue is paused.
    if (deadline > 0) {
      const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, deadline)))
      await Promise.race([this.#nothingUnderWay(), late])
    }
    clearTimeout(timer)
    this.#closed = true
    clearTimeout(this.#timer)
  }

  close(): Promise<void> {
    return this.drain(0)
  }

  /** What deliveries take by the real clock is not counted, so that waits that follow each other add up to `ms`. */
  async advance(ms: number): Promise<void> {
    let left = ms
    for (;;) {
      await this.#nothingUnderWay()
      const wait = (this.#due.peek()?.dueAt ?? Infinity) - this.#clock.now()
      const step = Math.min(left, Math.max(0, wait))
      this.#clock.advance(step)
      // What is due again at once, for ever, comes to an end as well.
      left = Math.max(0, left - Math.max(1, step))
      this.#wake()
      if (this.#closed || (left === 0 && this.#delivering === 0)) return
    }
  }

  #nothingUnderWay(): Promise<void> {
    return this.#delivering === 0 ? Promise.resolve() : new Promise((resolve) => void this.#idle.add(resolve))
  }

  #accept(job: MailJob): Enqueued {
    const known = this.#entries.get(job.id)?.job ?? this.#keys.find(job.idempotencyKey, this.#clock.now())
    if (known !== undefined) {
      const same = known.fingerprint === job.fingerprint
      return same ? { result: 'duplicate', id: known.id, messageId: known.messageId } : { result: 'conflict' }
    }
    if (this.#entries.size - this.#settled.size >= this.#options.limit) return { result: 'full' }

    const entry: Entry = {
      position: ++this.#accepted,
      job,
      state: newState(job),
      inLine: false,
      delivery: NONE,
      dueAt: 0,
      heapIndex: -1,
      place: -1,
    }
    this.#entries.set(job.id, entry)
    this.#keys.remember(job)
    this.#counts.queued++
    this.#options.changed(entry)
    this.#schedule(entry, this.#clock.now())
    return { result: 'queued' }
  }

  /** Finds the entry its place: in line if it is due, and in the heap for what comes next. */
  #schedule(entry: Entry, now: number): void {
    const { state, job } = entry
    this.#followClock()
    this.#due.remove(entry)
    const waits = state.nextAttemptAt !== undefined && state.nextAttemptAt > now
    if (waits) {
      entry.dueAt = Math.min(state.nextAttemptAt ?? Infinity, state.expiresAt)
    } else {
      entry.dueAt = state.expiresAt
      if (!entry.inLine && (state.status !== 'held' || state.heldReason !== 'uncertain')) {
        entry.inLine = true
        this.#line.push(entry, job.priority)
      }
    }
    this.#due.add(entry)
    this.#nap(now)
  }

  /** Takes from the line as many as there are free slots. */
  #pump(): void {
    const consumer = this.#consumer
    if (consumer === undefined) return
    while (!this.#paused && !this.#closed && this.#delivering < consumer.slots) {
      const entry = this.#line.shift(({ inLine }) => inLine)
      if (entry === undefined) return
      entry.inLine = false
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
    this.#due.remove(entry)
    this.#count(entry, () => enter(entry.state, 'sending', now))
    this.#options.changed(entry)
    const delivery = (entry.delivery = ++this.#deliveries)
    const settlement = await consumer.deliver(entry)
    this.#delivering--
    // A message that was cancelled meanwhile is settled, and may be on its way again.
    if (entry.delivery === delivery) {
      entry.delivery = NONE
      this.#count(entry, () => settle(entry.state, settlement, this.#clock.now()))
      if (isSettled(entry.state.status)) this.#leave(entry)
      else this.#schedule(entry, this.#clock.now())
      this.#options.changed(entry)
    }
    this.#pump()
    if (this.#delivering > 0) return
    for (const resolve of this.#idle) resolve()
    this.#idle.clear()
  }

  /** What the action throws rejects. */
  #act(id: string, action: (entry: Entry, now: number) => void): Promise<Message> {
    return new Promise((resolve) => {
      const entry = this.#entries.get(id)
      if (entry === undefined) throw notFound(id)
      action(entry, this.#clock.now())
      this.#options.changed(entry)
      this.#pump()
      resolve(this.#show(entry))
    })
  }

  #expire(entry: Entry, now: number): void {
    this.#end(entry, 'expired', now)
    this.#options.changed(entry)
  }

  /** A settlement without a delivery. */
  #end(entry: Entry, status: 'expired' | 'cancelled', now: number): void {
    entry.delivery = NONE
    this.#count(entry, () => enter(entry.state, status, now))
    this.#leave(entry)
  }

  /** What the change throws leaves everything as it was. */
  #count(entry: Entry, change: () => void): void {
    const before = entry.state.status
    change()
    this.#settled.remove(entry)
    this.#counts[before]--
    this.#counts[entry.state.status]++
  }

  /** The message is settled: it waits for nothing and is kept as long as the retention says. */
  #leave(entry: Entry): void {
    this.#due.remove(entry)
    entry.inLine = false
    if (losesContent(entry.state.status, this.#options.retain.data)) {
      entry.job = withoutContent(entry.job)
      entry.dropped = true
    }
    this.#settled.add(entry)
    this.#forget(this.#clock.now())
  }

  #forget(now: number): void {
    const { count, age } = this.#options.retain
    for (let entry = this.#settled.oldest; entry !== undefined; entry = this.#settled.oldest) {
      if (this.#settled.size <= count && now - (entry.state.settledAt ?? now) <= age) return
      this.#settled.remove(entry)
      this.#entries.delete(entry.job.id)
      this.#counts[entry.state.status]--
    }
  }

  #nap(now: number): void {
    const next = this.#due.peek()?.dueAt ?? Infinity
    if (next >= this.#timerAt || this.#closed) return
    clearTimeout(this.#timer)
    this.#timerAt = next
    this.#timer = setTimeout(() => this.#wake(), Math.min(Math.max(0, next - now), LONGEST_NAP))
  }

  #wake(): void {
    this.#timerAt = Infinity
    this.#followClock()
    const now = this.#clock.now()
    for (let entry = this.#due.peek(); entry !== undefined && entry.dueAt <= now; entry = this.#due.peek()) {
      if (entry.state.expiresAt <= now) this.#expire(entry, now)
      else {
        delete entry.state.nextAttemptAt
        this.#schedule(entry, now)
      }
    }
    this.#forget(now)
    this.#keys.forget(now)
    this.#nap(now)
    this.#pump()
  }

  /** Where the wall clock was set back, retries are due earlier by as much; the time a message is meant for stays. */
  #followClock(): void {
    const back = this.#clockWatch.setBack()
    if (back === 0) return
    for (const entry of this.#entries.values()) {
      const { state } = entry
      if (entry.heapIndex < 0 || state.nextAttemptAt === undefined || state.status === 'queued') continue
      this.#due.remove(entry)
      state.nextAttemptAt -= back
      entry.dueAt = Math.min(state.nextAttemptAt, state.expiresAt)
      this.#due.add(entry)
    }
  }

  #oldest(now: number): number {
    for (const { state } of this.#entries.values()) {
      if (state.status === 'queued' && state.dueAt <= now) return now - state.dueAt
    }
    return 0
  }

  /** A message in line is held for as long as the queue is paused. */
  #shownStatus({ state }: Entry): Status {
    return this.#paused && state.status === 'queued' ? 'held' : state.status
  }

  #show(entry: Entry): Message {
    const message = toMessage(entry.job, entry.state)
    const status = this.#shownStatus(entry)
    return status === message.status ? message : { ...message, status, heldReason: 'paused' }
  }
}
