import type { BudgetLease, TransportState } from './transportState.js'

/** A message that waits for its turn. Either `start` or `postpone` is called, once. */
export interface WaitingMessage {
  readonly id: string
  readonly priority: number
  /** The domains of its open recipients, each once. */
  readonly domains: readonly string[]
  /** Whether it waits for a budget, and not only for a slot. */
  readonly forBudget: boolean
  /** Begins its delivery, before it returns. @param lease undefined if its transport is not limited */
  start(slot: number, lease: BudgetLease | undefined): void
  /** @param delay milliseconds until it should be due again */
  postpone(delay: number): void
}

/** Seconds of mail, at the transport's rate, that wait here; and the bounds of that number of messages. */
const SECONDS = 2
const MIN_PLACES = 4
const MAX_PLACES = 1_000
/** Places when only the domains are limited. */
const PLACES_WITHOUT_RATE = 200
/** The longest delay of a postponed message, in ms. */
const MAX_DELAY = 15 * 60_000
/** The most messages that the queue is asked to wake at a time. */
const WAKE_BATCH = 500
/** Milliseconds within which woken messages are expected to arrive. */
const ARRIVAL_TIME = 1_000

/**
 * The messages that wait for one transport, in the order in which they start. Only a few are here. The queue holds the
 * others until they are expected to find a place here, and wakes them earlier when places become free before that.
 */
export class TransportQueue {
  readonly transport: TransportState | undefined
  timer: NodeJS.Timeout | undefined
  readonly #waiting: WaitingMessage[] = []
  /** Milliseconds between two starts while messages wait, as a moving average. */
  #interval = 1
  #lastStart: number | undefined
  /** When the message that was postponed last is due again, on `performance.now()`'s clock. */
  #lastDue = 0
  /** Whether the queue may hold messages for this transport, including those of an earlier process. */
  #mayHoldMore = true
  /** Messages that arrived, and that number once every woken message has arrived; it counts until then. */
  #arrived = 0
  #expected = 0
  #expectedUntil = 0

  /** @param transport undefined for the messages of a transport that does not exist */
  constructor(transport: TransportState | undefined) {
    this.transport = transport
  }

  get size(): number {
    return this.#waiting.length
  }

  get limited(): boolean {
    return this.transport?.limited === true
  }

  /** Whether more messages wait than there are places. Without a limit they wait for a slot only, and all of them stay. */
  get full(): boolean {
    return this.limited && this.#waiting.length > this.#places
  }

  get #places(): number {
    const rate = this.transport?.rate ?? Infinity
    if (rate === Infinity) return PLACES_WITHOUT_RATE
    return Math.min(MAX_PLACES, Math.max(MIN_PLACES, Math.ceil(rate * SECONDS)))
  }

  at(index: number): WaitingMessage | undefined {
    return this.#waiting[index]
  }

  add(message: WaitingMessage): void {
    this.#arrived++
    let at = this.#waiting.length
    while (at > 0 && this.#waiting[at - 1]!.priority < message.priority) at--
    this.#waiting.splice(at, 0, message)
  }

  /** Removes a message that starts now. */
  removeAt(index: number): void {
    this.#waiting.splice(index, 1)
    const now = performance.now()
    if (this.#lastStart !== undefined)
      this.#interval = Math.min(1_000, 0.9 * this.#interval + 0.1 * (now - this.#lastStart))
    this.#lastStart = this.#waiting.length === 0 ? undefined : now
  }

  remove(id: string): WaitingMessage | undefined {
    const at = this.#waiting.findIndex((message) => message.id === id)
    return at < 0 ? undefined : this.#waiting.splice(at, 1)[0]
  }

  clear(): WaitingMessage[] {
    return this.#waiting.splice(0)
  }

  /** Removes the last message, which has no place, and returns the milliseconds to postpone it by. */
  evictLast(): { message: WaitingMessage; delay: number } | undefined {
    const message = this.#waiting.pop()
    if (message === undefined) return undefined
    this.#mayHoldMore = true
    return { message, delay: this.#delayOfNext() }
  }

  /** Whether the queue may hold messages for this transport. */
  get mayHoldMore(): boolean {
    return this.#mayHoldMore
  }

  /** Records that the queue may hold messages again, such as those of a transport that was paused. */
  assumeHeld(): void {
    this.#mayHoldMore = true
  }

  /**
   * Returns how many messages the queue should wake: once three quarters of the places are free, as many as fill half of
   * them. Without a limit there is a place for each message.
   */
  vacancies(): number {
    const room = this.transport?.room ?? Infinity
    if (!this.#mayHoldMore || room <= 0) return 0
    if (!this.limited) return Math.min(WAKE_BATCH, room)
    const expected = this.#waiting.length + this.#arriving
    const places = this.#places
    return expected > places / 4
      ? 0
      : Math.min(WAKE_BATCH, room, Math.max(1, Math.ceil(places / 2) - expected))
  }

  /** Records that the queue is about to be asked; `woken()` records its answer. */
  requested(): void {
    this.#mayHoldMore = false
    this.#expected = this.#arrived + this.#arriving
  }

  /** @param woken messages that will arrive, out of `asked`; if there are fewer, the queue holds no more */
  woken(woken: number, asked: number): void {
    if (woken >= asked) this.#mayHoldMore = true
    this.#expected += woken
    this.#expectedUntil = performance.now() + ARRIVAL_TIME
    this.#lastDue -= woken * this.#timeOfEach
  }

  /** Woken messages that have not arrived yet. */
  get #arriving(): number {
    return performance.now() < this.#expectedUntil ? Math.max(0, this.#expected - this.#arrived) : 0
  }

  /**
   * Returns the milliseconds until there will be a place. Each postponed message is due one message's time after the one
   * before it, and the first when half of the waiting messages have started.
   */
  #delayOfNext(): number {
    const now = performance.now()
    const each = this.#timeOfEach
    this.#lastDue = Math.max(this.#lastDue, now + (this.#waiting.length * each) / 2) + each
    const delay = this.#lastDue - now
    if (delay <= MAX_DELAY) return delay
    this.#lastDue -= each
    return MAX_DELAY * (0.5 + Math.random() / 2)
  }

  /** Milliseconds between the starts of two messages. */
  get #timeOfEach(): number {
    return Math.max(this.#interval, 1_000 / (this.transport?.rate ?? Infinity))
  }
}
