import type { PhaseBoard } from '../protocol/phaseBoard.js'
import type { PulseBoard } from '../protocol/pulseBoard.js'

/** The facts about a thread that the watchdog needs. */
export interface WatchedThread {
  thread: number
  place: number
  /** Whether it has started. */
  ready: boolean
}

/** Why the watchdog, or an operator, terminated a thread. */
export interface Termination {
  /** `requested`: nothing was wrong with the thread. */
  cause: 'rendering' | 'overdue' | 'stalled' | 'requested'
  /** The delivery that caused it, if that is certain. */
  slot?: number
  reason: string
}

export interface WatchdogOptions {
  /** Milliseconds that a delivery may be in phase `rendering`. */
  render: number
  /** Milliseconds that compiling a template may take. Only one step of it, which can't be interrupted, may take longer. */
  compile: number
  /** Milliseconds that a task may take in all: a thread that exceeds it is stuck. */
  task: number
  /** Milliseconds that a thread may take to start, or to load modules. */
  start: number
  threadsToWatch(): WatchedThread[]
  terminate(thread: number): void
}

/** Milliseconds that threadpost's own work may block a thread, in addition to the limit for rendering. */
const OWN_WORK = 2_000

/** Terminations that are remembered. */
const MAX_TERMINATIONS = 100

interface Seen {
  /** When it was first seen, on the watchdog's clock. */
  first: number
  /** Beats and steps together: they only grow. */
  progress: number
  /** When that last grew. */
  since: number
  loading: boolean
  compiling: boolean
}

/**
 * Reads the boards while work is in progress, and terminates a thread whose event loop is blocked: by a template that renders
 * forever, or by code that a helper left behind.
 *
 * The watchdog measures only time in which it runs itself. After the machine was suspended, or the main thread was blocked,
 * no thread is to blame for the gap; it counts as two intervals at most.
 */
export class Watchdog {
  readonly #board: PhaseBoard
  readonly #pulses: PulseBoard
  readonly #limits: WatchdogOptions
  readonly #interval: number
  /** By slot: since when it is watched, and since when it has been rendering; 0 if it isn't. */
  readonly #since: number[] = []
  readonly #renderingSince: number[] = []
  /** By thread. */
  #seen = new Map<number, Seen>()
  readonly #terminations = new Map<number, Termination>()
  #watched = 0
  #timer: NodeJS.Timeout | undefined
  /** Milliseconds that the watchdog has watched; never 0. */
  #clock = 1
  #checkedAt = 0

  constructor(board: PhaseBoard, pulses: PulseBoard, limits: WatchdogOptions) {
    this.#board = board
    this.#pulses = pulses
    this.#limits = limits
    this.#interval = Watchdog.interval(limits.render)
  }

  /** Milliseconds between two checks, and between two beats of a thread. */
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

  /** Watches the threads during work that has no slot. */
  async during<T>(work: Promise<T>): Promise<T> {
    this.#begin()
    try {
      return await work
    } finally {
      this.#watched--
    }
  }

  /** Terminates a thread on request; no delivery is the cause. */
  terminate(thread: number): void {
    this.#terminate(thread, { cause: 'requested', reason: 'it was terminated on request' })
  }

  /** Returns why the watchdog terminated a thread, if it did. */
  terminationOf(thread: number): Termination | undefined {
    return this.#terminations.get(thread)
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #begin(): void {
    this.#watched++
    if (this.#timer !== undefined) return
    this.#checkedAt = performance.now()
    this.#seen.clear()
    this.#timer = setInterval(() => this.#check(), this.#interval).unref()
  }

  #check(): void {
    if (this.#watched === 0) {
      this.stop()
      return
    }
    const now = performance.now()
    this.#clock += Math.min(now - this.#checkedAt, 2 * this.#interval)
    this.#checkedAt = now
    const threads = this.#limits.threadsToWatch()
    const seen = this.#seen
    this.#seen = new Map()
    for (const watched of threads) this.#seen.set(watched.thread, this.#look(watched, seen))
    this.#checkSlots()
    for (const watched of threads) this.#checkThread(watched)
  }

  #look({ thread, place }: WatchedThread, seen: ReadonlyMap<number, Seen>): Seen {
    // Before the progress, which grows when they end.
    const loading = this.#pulses.loading(place)
    const compiling = this.#pulses.compiling(place)
    const progress = this.#pulses.beats(place) + this.#pulses.steps(place)
    const before = seen.get(thread)
    const since = before?.progress === progress ? before.since : this.#clock
    return { first: before?.first ?? this.#clock, progress, since, loading, compiling }
  }

  /** The limit for one step of rendering in a thread. */
  #stepLimit(seen: Seen | undefined): number {
    const { render, compile } = this.#limits
    return seen?.compiling === true ? Math.max(render, compile) + OWN_WORK : render
  }

  #checkSlots(): void {
    for (const [slot, since] of this.#since.entries()) {
      // A slot that was never used is a hole in the array.
      if (!since) continue
      const thread = this.#board.thread(slot)
      const seen = this.#seen.get(thread)
      const isRendering = this.#board.phase(slot) === 'rendering'
      const progressedAt = seen?.since ?? this.#clock
      const rendering = isRendering ? Math.max(progressedAt, this.#renderingSince[slot] || this.#clock) : 0
      this.#renderingSince[slot] = rendering
      const limit = this.#stepLimit(seen)
      if (rendering > 0 && this.#clock - rendering > limit)
        this.#terminate(thread, {
          cause: 'rendering',
          slot,
          reason: `a template rendered for more than ${limit} ms`,
        })
      else if (this.#clock - since > this.#limits.task)
        this.#terminate(thread, { cause: 'overdue', slot, reason: 'an attempt exceeded its time limit' })
    }
  }

  #checkThread({ thread, ready }: WatchedThread): void {
    const seen = this.#seen.get(thread)
    if (seen === undefined) return
    const { render, start } = this.#limits
    const limit = seen.loading ? Math.max(start, render) : this.#stepLimit(seen) + OWN_WORK
    if (this.#clock - seen.since > limit)
      this.#terminate(thread, {
        cause: 'stalled',
        reason: `its event loop was blocked for more than ${limit} ms${seen.loading ? ' (limits.start)' : ''}`,
      })
    else if (!ready && this.#clock - seen.first > start)
      this.#terminate(thread, {
        cause: 'stalled',
        reason: `it did not start within ${start} ms (limits.start)`,
      })
  }

  #terminate(thread: number, termination: Termination): void {
    if (thread === 0 || this.#terminations.has(thread)) return
    for (const oldest of this.#terminations.keys()) {
      if (this.#terminations.size < MAX_TERMINATIONS) break
      this.#terminations.delete(oldest)
    }
    this.#terminations.set(thread, termination)
    this.#limits.terminate(thread)
  }
}
