import type { PhaseBoard } from '../wire/phases.js'

interface Limits {
  /** Milliseconds in phase `rendering`. */
  render: number
  /** Milliseconds for a task as a whole: a thread that is past it is stuck. */
  task: number
  end(thread: number): void
}

/** Looks at the board while something runs, and ends a thread that renders for too long or is stuck. */
export class Watchdog {
  readonly #board: PhaseBoard
  readonly #limits: Limits
  /** By slot: since when it is watched, and since when it was seen rendering; 0 where it isn't. */
  readonly #since: number[] = []
  readonly #renderingSince: number[] = []
  #watched = 0
  readonly #reasons = new Map<number, string>()
  #timer: NodeJS.Timeout | undefined

  constructor(board: PhaseBoard, limits: Limits) {
    this.#board = board
    this.#limits = limits
  }

  watch(slot: number): void {
    this.#watched++
    this.#since[slot] = performance.now()
    this.#renderingSince[slot] = 0
    this.#timer ??= setInterval(
      () => this.#look(),
      Math.min(250, Math.max(10, this.#limits.render / 4)),
    ).unref()
  }

  release(slot: number): void {
    this.#watched--
    this.#since[slot] = 0
  }

  /** Why a thread was ended, if it was ended here. */
  reasonFor(thread: number): string | undefined {
    const reason = this.#reasons.get(thread)
    this.#reasons.delete(thread)
    return reason
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #look(): void {
    if (this.#watched === 0) {
      this.stop()
      return
    }
    const now = performance.now()
    for (const [slot, since] of this.#since.entries()) {
      // A slot that was never used is a hole in the array.
      if (!since) continue
      const renders = this.#board.phase(slot) === 'rendering'
      const rendering = renders ? this.#renderingSince[slot] || now : 0
      this.#renderingSince[slot] = rendering
      if (rendering > 0 && now - rendering > this.#limits.render)
        this.#end(slot, `a template rendered for more than ${this.#limits.render} ms`)
      else if (now - since > this.#limits.task) this.#end(slot, 'an attempt did not end in its time')
    }
  }

  #end(slot: number, reason: string): void {
    const thread = this.#board.thread(slot)
    if (thread === 0 || this.#reasons.has(thread)) return
    this.#reasons.set(thread, reason)
    this.#limits.end(thread)
  }
}
