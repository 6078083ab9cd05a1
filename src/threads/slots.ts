import { PHASES } from '../wire/outcome.js'
import type { PhaseBoard } from '../wire/phases.js'
import type { PhaseCounts } from './runner.js'

/** The free slots of the phase board: some for deliveries, counted by the dispatcher, and a few for renders, which queue. */
export class Slots {
  readonly #free: number[]
  readonly #renderFree: number[]
  readonly #count: number
  readonly #waiting: ((slot: number) => void)[] = []

  constructor(deliveries: number, renders: number) {
    this.#free = Array.from({ length: deliveries }, (_, slot) => slot)
    this.#count = deliveries + renders
    this.#renderFree = Array.from({ length: renders }, (_, index) => deliveries + index)
  }

  /** The slots in use at present, found out when asked. */
  used(): number[] {
    const free = new Set([...this.#free, ...this.#renderFree])
    return Array.from({ length: this.#count }, (_, slot) => slot).filter((slot) => !free.has(slot))
  }

  /** The dispatcher never has more deliveries open than there are slots. */
  take(): number {
    const slot = this.#free.pop()
    if (slot === undefined) throw new Error('more deliveries than slots')
    return slot
  }

  give(slot: number): void {
    this.#free.push(slot)
  }

  takeForRender(): Promise<number> {
    const slot = this.#renderFree.pop()
    return slot === undefined ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve(slot)
  }

  giveForRender(slot: number): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#renderFree.push(slot)
    else next(slot)
  }
}

/** How many of the slots are in each phase; with a thread, of those that it has taken up. */
export function census(board: PhaseBoard, slots: readonly number[], thread?: number): PhaseCounts {
  const counts = Object.fromEntries(PHASES.map((phase) => [phase, 0])) as PhaseCounts
  for (const slot of slots)
    if (thread === undefined || board.thread(slot) === thread) counts[board.phase(slot)]++
  return counts
}
