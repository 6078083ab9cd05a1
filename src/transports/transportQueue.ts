import type { BudgetLease, TransportState } from './transportState.js'

/** A message that waits for its turn. Exactly one of `go` and `sendAway` is called, once. */
export interface WaitingMessage {
  readonly id: string
  readonly priority: number
  /** Those of its open recipients, each once. */
  readonly domains: readonly string[]
  /** Whether it waits for a budget, and not only for a slot. */
  readonly forBudget: boolean
  /** It has a slot, and leave where its transport is limited; it begins before this returns. */
  start(slot: number, leave: BudgetLease | undefined): void
  /** @param again after how many ms it should come back */
  postpone(again: number): void
}

/** Seconds' worth of messages that wait here, and how many at least and at most. */
const SECONDS = 2
const FEWEST = 4
const MOST = 1_000
/** Where only domains are limited. */
const BY_DOMAIN = 200
/** A message isn't sent away for longer than this, in ms. */
const LONGEST = 15 * 60_000
/** Messages asked back from the queue at a time, at most. */
const LOT = 500
/** Milliseconds that messages which were woken are given to come. */
const ON_THEIR_WAY = 1_000

/**
 * The messages that wait for one transport, in the order in which they go. A few are here; all others are in the queue, due
 * when they are expected to find a place, and asked back earlier if places are free before.
 */
export class TransportQueue {
  readonly transport: TransportState | undefined
  timer: NodeJS.Timeout | undefined
  readonly #waiting: WaitingMessage[] = []
  /** Milliseconds from one that went to the next, while there were any. */
  #pace = 1
  #lastLeft: number | undefined
  /** When the last who was sent away is to come back, on `performance.now()`'s clock. */
  #horizon = 0
  /** Whether the queue may hold messages for this transport: those of an earlier process as well. */
  #away = true
  /** Messages that came, and how many will have when all that were woken are here; those are waited for until then. */
  #came = 0
  #toCome = 0
  #awaitedUntil = 0

  /** @param route undefined for a transport that does not exist */
  constructor(route: TransportState | undefined) {
    this.transport = route
  }

  get size(): number {
    return this.#waiting.length
  }

  get limited(): boolean {
    return this.transport?.limited === true
  }

  /** Whether more wait than there are places; without a limit they wait for a slot only, and for that they stay. */
  get full(): boolean {
    return this.limited && this.#waiting.length > this.#places
  }

  get #places(): number {
    const rate = this.transport?.rate ?? Infinity
    return rate === Infinity ? BY_DOMAIN : Math.min(MOST, Math.max(FEWEST, Math.ceil(rate * SECONDS)))
  }

  at(index: number): WaitingMessage | undefined {
    return this.#waiting[index]
  }

  add(visitor: WaitingMessage): void {
    this.#came++
    let at = this.#waiting.length
    while (at > 0 && this.#waiting[at - 1]!.priority < visitor.priority) at--
    this.#waiting.splice(at, 0, visitor)
  }

  /** Takes one out whose turn it is. */
  removeAt(index: number): void {
    this.#waiting.splice(index, 1)
    const now = performance.now()
    if (this.#lastLeft !== undefined)
      this.#pace = Math.min(1_000, 0.9 * this.#pace + 0.1 * (now - this.#lastLeft))
    this.#lastLeft = this.#waiting.length === 0 ? undefined : now
  }

  remove(id: string): WaitingMessage | undefined {
    const at = this.#waiting.findIndex((visitor) => visitor.id === id)
    return at < 0 ? undefined : this.#waiting.splice(at, 1)[0]
  }

  clear(): WaitingMessage[] {
    return this.#waiting.splice(0)
  }

  /** Takes out the last one, which has no place. */
  evictLast(): { visitor: WaitingMessage; again: number } | undefined {
    const visitor = this.#waiting.pop()
    if (visitor === undefined) return undefined
    this.#away = true
    return { visitor, again: this.#placeLater() }
  }

  /** Whether the queue may hold messages for this transport. */
  get mayHoldMore(): boolean {
    return this.#away
  }

  /**
   * How many messages should be asked back from the queue, because there are places for them: once three quarters are
   * free, as many as fill one half. Without a limit there is a place for everyone.
   */
  vacancies(): number {
    if (!this.#away) return 0
    if (!this.limited) return LOT
    const expected = this.#waiting.length + this.#onTheirWay
    const places = this.#places
    return expected > places / 4 ? 0 : Math.min(LOT, Math.max(1, Math.ceil(places / 2) - expected))
  }

  /** The queue is about to be asked; `woken()` says what it answered. */
  requested(): void {
    this.#away = false
    this.#toCome = this.#came + this.#onTheirWay
  }

  /** @param woken messages that will come, of so many that were asked for; fewer: the queue had no more */
  woken(woken: number, asked: number): void {
    if (woken >= asked) this.#away = true
    this.#toCome += woken
    this.#awaitedUntil = performance.now() + ON_THEIR_WAY
    this.#horizon -= woken * this.#each
  }

  get #onTheirWay(): number {
    return performance.now() < this.#awaitedUntil ? Math.max(0, this.#toCome - this.#came) : 0
  }

  /**
   * Milliseconds until there will be a place: each who is sent away is told to come as much later as one takes to go,
   * the first when half of those who wait have gone.
   */
  #placeLater(): number {
    const now = performance.now()
    const each = this.#each
    this.#horizon = Math.max(this.#horizon, now + (this.#waiting.length * each) / 2) + each
    const wait = this.#horizon - now
    if (wait <= LONGEST) return wait
    this.#horizon -= each
    return LONGEST * (0.5 + Math.random() / 2)
  }

  /** Milliseconds from one that goes to the next. */
  get #each(): number {
    return Math.max(this.#pace, 1_000 / (this.transport?.rate ?? Infinity))
  }
}
