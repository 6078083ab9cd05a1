import { type Clock, ClockWatch } from '../../clock.js'
import { type Due, DueHeap } from '../../structures/dueHeap.js'

/** The wall clock may jump: it is looked at again after this many milliseconds at most. */
const LONGEST_NAP = 1_000

export interface DelayedQueueHooks<T> {
  /** The time of the first has come: what is due is there to be taken. */
  onDue(): void
  /** The wall clock was set back by so many milliseconds. @returns the time the entry is due by the new clock */
  onClockSetBack(entry: T, by: number): number
}

/** When something is to happen to what waits: one timer, for the first of all. */
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

  /** When the first is due, in ms since the epoch. */
  get next(): number | undefined {
    return this.#heap.peek()?.dueAt
  }

  /** Gives an entry a time, in place of the one it had. */
  schedule(entry: T, at: number, now: number): void {
    this.#heap.remove(entry)
    this.#followClock()
    entry.dueAt = at
    this.#heap.add(entry)
    this.#nap(now)
  }

  remove(entry: T): void {
    this.#heap.remove(entry)
  }

  /** Takes out one whose time has come, the first first. */
  takeDue(now: number): T | undefined {
    const entry = this.#heap.peek()
    if (entry === undefined || entry.dueAt > now) return undefined
    this.#heap.remove(entry)
    return entry
  }

  /** What the timer does when its time has come. */
  wake(): void {
    this.#timerAt = Infinity
    this.#followClock()
    this.#hooks.onDue()
    this.#nap(this.#clock.now())
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  #nap(now: number): void {
    const next = this.next ?? Infinity
    if (next >= this.#timerAt || this.#stopped) return
    clearTimeout(this.#timer)
    this.#timerAt = next
    this.#timer = setTimeout(() => this.wake(), Math.min(Math.max(0, next - now), LONGEST_NAP))
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
