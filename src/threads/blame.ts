import type { PhaseBoard } from '../wire/phases.js'

/**
 * Who brought a thread down. All it was asked is rejected with one and the same error, so the board decides: the
 * delivery that was rendering did it, since rendering is synchronous and no two of a thread are ever in it. If
 * none was, each of them may have.
 */
export class Blame {
  readonly #board: PhaseBoard
  /** By slot. */
  readonly #running: boolean[] = []
  /** Slots that were rendering when a thread died. Kept until all its deliveries have asked. */
  readonly #guilty = new Map<number, ReadonlySet<number>>()

  constructor(board: PhaseBoard) {
    this.#board = board
  }

  enter(slot: number): void {
    this.#running[slot] = true
  }

  leave(slot: number): void {
    this.#running[slot] = false
  }

  /** To be asked when the slot's task was rejected, before `leave`. */
  of(slot: number): 'guilty' | 'suspect' | 'innocent' {
    const thread = this.#board.thread(slot)
    // It never reached a thread.
    if (thread === 0) return 'innocent'
    const guilty = this.#guilty.get(thread) ?? this.#judge(thread)
    if (guilty.has(slot)) return 'guilty'
    return guilty.size > 0 ? 'innocent' : 'suspect'
  }

  /** All deliveries of the thread are still running as far as we know: their rejections come one after another. */
  #judge(thread: number): ReadonlySet<number> {
    const guilty = new Set<number>()
    for (const [slot, running] of this.#running.entries()) {
      if (!running || this.#board.thread(slot) !== thread) continue
      if (this.#board.phase(slot) === 'rendering') guilty.add(slot)
    }
    this.#guilty.set(thread, guilty)
    setImmediate(() => this.#guilty.delete(thread))
    return guilty
  }
}
