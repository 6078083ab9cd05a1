import type { PhaseBoard } from '../protocol/phaseBoard.js'
import type { PulseBoard } from '../protocol/pulse.js'

/** A thread as the watchdog needs to know it. */
export interface WatchedThread {
  thread: number
  place: number
  /** Whether it has started. */
  ready: boolean
}

/** Why a thread was ended. */
export interface Termination {
  /** `asked`: somebody wanted it to end, and nothing was wrong. */
  cause: 'rendering' | 'overdue' | 'stalled' | 'asked'
  /** The delivery that did it, where that is certain. */
  slot?: number
  reason: string
}

export interface WatchdogOptions {
  /** Milliseconds in phase `rendering`. */
  render: number
  /** Milliseconds for a task as a whole: a thread that is past it is stuck. */
  task: number
  /** Milliseconds in which a thread starts, or loads modules. */
  start: number
  threadsToWatch(): WatchedThread[]
  terminate(thread: number): void
}

/** Milliseconds for which the work of threadpost itself may block a thread, beyond what rendering may. */
const OWN_WORK = 2_000

/** Endings that are remembered. */
const MOST_ENDINGS = 100

interface Seen {
  first: number
  /** Beats and steps together: they only grow. */
  progress: number
  since: number
}

/**
 * Looks at the boards while something runs, and ends a thread whose event loop stands still: a template that renders
 * without end, or something that a helper left behind.
 *
 * Time is what the watchdog itself lives through. A machine that was suspended, or a main thread that was blocked, is
 * late by its own fault; such a gap counts as one interval.
 */
export class Watchdog {
  readonly #board: PhaseBoard
  readonly #pulses: PulseBoard
  readonly #limits: WatchdogOptions
  readonly #interval: number
  /** By slot: since when it is watched, and since when it was seen rendering; 0 where it isn't. */
  readonly #since: number[] = []
  readonly #renderingSince: number[] = []
  /** By thread. */
  #seen = new Map<number, Seen>()
  readonly #endings = new Map<number, Termination>()
  #watched = 0
  #timer: NodeJS.Timeout | undefined
  /** Milliseconds the watchdog has watched for; never 0. */
  #clock = 1
  #lookedAt = 0

  constructor(board: PhaseBoard, pulses: PulseBoard, limits: WatchdogOptions) {
    this.#board = board
    this.#pulses = pulses
    this.#limits = limits
    this.#interval = Watchdog.interval(limits.render)
  }

  /** Milliseconds between two looks, and between two beats of a thread. */
  static interval(render: number): number {
    return Math.min(250, Math.max(10, render / 4))
  }

  watch(slot: number): void {
    this.#since[slot] = this.#clock
    this.#renderingSince[slot] = 0
    this.#begin()
  }

  release(slot: number): void {
    this.#watched--
    this.#since[slot] = 0
  }

  /** Watches the threads while something is done that has no slot. */
  async during<T>(work: Promise<T>): Promise<T> {
    this.#begin()
    try {
      return await work
    } finally {
      this.#watched--
    }
  }

  /** Ends a thread because somebody wants that; no delivery is to blame. */
  terminate(thread: number): void {
    this.#end(thread, { cause: 'asked', reason: 'it was ended on request' })
  }

  /** Why a thread was ended, if it was ended here. */
  terminationOf(thread: number): Termination | undefined {
    return this.#endings.get(thread)
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #begin(): void {
    this.#watched++
    if (this.#timer !== undefined) return
    this.#lookedAt = performance.now()
    this.#seen.clear()
    this.#timer = setInterval(() => this.#look(), this.#interval).unref()
  }

  #look(): void {
    if (this.#watched === 0) {
      this.stop()
      return
    }
    const now = performance.now()
    this.#clock += Math.min(now - this.#lookedAt, 2 * this.#interval)
    this.#lookedAt = now
    const threads = this.#limits.threadsToWatch()
    const seen = this.#seen
    this.#seen = new Map()
    for (const watched of threads) this.#seen.set(watched.thread, this.#progress(watched, seen))
    this.#lookAtSlots()
    for (const watched of threads) this.#lookAt(watched)
  }

  #progress({ thread, place }: WatchedThread, seen: ReadonlyMap<number, Seen>): Seen {
    const progress = this.#pulses.beats(place) + this.#pulses.steps(place)
    const before = seen.get(thread)
    if (before?.progress === progress) return before
    return { first: before?.first ?? this.#clock, progress, since: this.#clock }
  }

  #lookAtSlots(): void {
    for (const [slot, since] of this.#since.entries()) {
      // A slot that was never used is a hole in the array.
      if (!since) continue
      const thread = this.#board.thread(slot)
      const renders = this.#board.phase(slot) === 'rendering'
      const still = this.#seen.get(thread)?.since ?? this.#clock
      const rendering = renders ? Math.max(still, this.#renderingSince[slot] || this.#clock) : 0
      this.#renderingSince[slot] = rendering
      if (rendering > 0 && this.#clock - rendering > this.#limits.render)
        this.#end(thread, {
          cause: 'rendering',
          slot,
          reason: `a template rendered for more than ${this.#limits.render} ms`,
        })
      else if (this.#clock - since > this.#limits.task)
        this.#end(thread, { cause: 'overdue', slot, reason: 'an attempt did not end in its time' })
    }
  }

  #lookAt({ thread, place, ready }: WatchedThread): void {
    const seen = this.#seen.get(thread)
    if (seen === undefined) return
    const { render, start } = this.#limits
    const limit = this.#pulses.loading(place) ? Math.max(start, render) : render + OWN_WORK
    if (this.#clock - seen.since > limit)
      this.#end(thread, {
        cause: 'stalled',
        reason: `its event loop stood still for more than ${limit} ms`,
      })
    else if (!ready && this.#clock - seen.first > start)
      this.#end(thread, { cause: 'stalled', reason: `it did not start within ${start} ms` })
  }

  #end(thread: number, ending: Termination): void {
    if (thread === 0 || this.#endings.has(thread)) return
    for (const oldest of this.#endings.keys()) {
      if (this.#endings.size < MOST_ENDINGS) break
      this.#endings.delete(oldest)
    }
    this.#endings.set(thread, ending)
    this.#limits.terminate(thread)
  }
}
