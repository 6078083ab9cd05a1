import type { PhaseBoard } from './phases.js'

interface Limits {
  /** Milliseconds in phase `rendering`. */
  render: number
  /** Milliseconds for a task as a whole: a thread that is past it is stuck. */
  task: number
  end(thread: number): void
}

interface Watched {
  since: number
  renderingSince: number | undefined
}

/** Looks at the board while something runs, and ends a thread that renders for too long or is stuck. */
export class Watchdog {
  readonly #board: PhaseBoard
  readonly #limits: Limits
  readonly #watched = new Map<number, Watched>()
  readonly #reasons = new Map<number, string>()
  #timer: NodeJS.Timeout | undefined

  constructor(board: PhaseBoard, limits: Limits) {
    this.#board = board
    this.#limits = limits
  }

  watch(slot: number): void {
    this.#watched.set(slot, { since: performance.now(), renderingSince: undefined })
    this.#timer ??= setInterval(
      () => this.#look(),
      Math.min(250, Math.max(10, this.#limits.render / 4)),
    ).unref()
  }

  release(slot: number): void {
    this.#watched.delete(slot)
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
    if (this.#watched.size === 0) {
      this.stop()
      return
    }
    const now = performance.now()
    for (const [slot, watched] of this.#watched) {
      if (this.#board.phase(slot) === 'rendering') watched.renderingSince ??= now
      else watched.renderingSince = undefined
      if (watched.renderingSince !== undefined && now - watched.renderingSince > this.#limits.render)
        this.#end(slot, `a template rendered for more than ${this.#limits.render} ms`)
      else if (now - watched.since > this.#limits.task) this.#end(slot, 'an attempt did not end in its time')
    }
  }

  #end(slot: number, reason: string): void {
    const thread = this.#board.thread(slot)
    if (thread === 0 || this.#reasons.has(thread)) return
    this.#reasons.set(thread, reason)
    this.#limits.end(thread)
  }
}
