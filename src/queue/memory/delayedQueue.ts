import { type Clock, ClockWatch } from '../../clock.js'
import { type Due, DueHeap } from '../../structures/dueHeap.js'

/** Longest timer in ms. The wall clock may jump, so it is read again after this time. */
const MAX_TIMER = 1_000

export interface DelayedQueueHooks<T> {
  /** Called when the first entry is due; `takeDue()` returns the due ones. */
  onDue(): void
  /** Called for each entry when the wall clock was set back `by` ms. @returns when the entry is due by the new clock */
  onClockSetBack(entry: T, by: number): number
}

/** Entries ordered by the time they are due, with one timer for the first. */
export class DelayedQueue<T extends Due> {
  readonly #clock: Clock
  readonly #clockWatch = new ClockWatch()
  readonly #hooks: DelayedQueueHooks<T>
  readonly #heap = new DueHeap<T>()
  #timer: NodeJS.Timeout | undefined
  #timerAt = Infinity
  #stopped = false

  constructor(clock: Clock, hooks: DelayedQueueHooks<T>) {
    this.#clock = clock
    this.#hooks = hooks
  }

  /** The time at which the first entry is due, in ms since the epoch. */
  get next(): number | undefined {
    return this.#heap.peek()?.dueAt
  }

  /** Adds an entry, or moves it to another time. */
  schedule(entry: T, at: number, now: number): void {
    this.#heap.remove(entry)
    this.#followClock()
    entry.dueAt = at
    this.#heap.add(entry)
    this.#setTimer(now)
  }

  remove(entry: T): void {
    this.#heap.remove(entry)
  }

  /** Removes and returns the first entry if it is due. */
  takeDue(now: number): T | undefined {
    const entry = this.#heap.peek()
    if (entry === undefined || entry.dueAt > now) return undefined
    this.#heap.remove(entry)
    return entry
  }

  /** Handles due entries now, as the timer does. */
  wake(): void {
    this.#timerAt = Infinity
    this.#followClock()
    this.#hooks.onDue()
    this.#setTimer(this.#clock.now())
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  #setTimer(now: number): void {
    const next = this.next ?? Infinity
    if (next >= this.#timerAt || this.#stopped) return
    clearTimeout(this.#timer)
    this.#timerAt = next
    this.#timer = setTimeout(() => this.wake(), Math.min(Math.max(0, next - now), MAX_TIMER))
  }

  #followClock(): void {
    const back = this.#clockWatch.setBack()
    if (back === 0) return
    for (const entry of this.#heap.entries()) {
      this.#heap.remove(entry)
      entry.dueAt = this.#hooks.onClockSetBack(entry, back)
      this.#heap.add(entry)
    }
  }
}
