import { PHASES } from '../protocol/outcome.js'
import type { PhaseBoard } from '../protocol/phaseBoard.js'
import { WindowCounter } from '../structures/windowCounter.js'
import type { DeliverySlots, PhaseCounts } from './runner.js'

/**
 * The slots of the phase board: some for deliveries, and a few for renders, which queue. A delivery reserves its slot
 * before it begins and keeps it until it ends, so that there are never more deliveries than slots, whatever they wait for.
 */
export class SlotPool implements DeliverySlots {
  readonly #free: number[]
  readonly #renderFree: number[]
  readonly #inUse: boolean[]
  readonly #waiting: ((slot: number) => void)[] = []
  readonly #capacity: () => number
  #reserved = 0

  /** @param capacity deliveries that may be under way at present */
  constructor(deliveries: number, renders: number, capacity = () => deliveries) {
    this.#capacity = capacity
    this.#free = Array.from({ length: deliveries }, (_, slot) => slot)
    this.#renderFree = Array.from({ length: renders }, (_, index) => deliveries + index)
    this.#inUse = Array.from({ length: deliveries + renders }, () => false)
  }

  get capacity(): number {
    return this.#capacity()
  }

  get free(): number {
    return Math.max(0, this.#capacity() - this.#reserved)
  }

  /** The slots in use at present, found out when asked. */
  used(): number[] {
    return this.#inUse.flatMap((inUse, slot) => (inUse ? [slot] : []))
  }

  reserve(): number | undefined {
    if (this.free === 0) return undefined
    const slot = this.#free.pop()
    if (slot === undefined) return undefined
    this.#inUse[slot] = true
    this.#reserved++
    return slot
  }

  release(slot: number): void {
    if (this.#inUse[slot] !== true) return
    this.#inUse[slot] = false
    this.#reserved--
    this.#free.push(slot)
  }

  acquireForRender(): Promise<number> {
    const slot = this.#renderFree.pop()
    if (slot === undefined) return new Promise((resolve) => this.#waiting.push(resolve))
    this.#inUse[slot] = true
    return Promise.resolve(slot)
  }

  releaseForRender(slot: number): void {
    const next = this.#waiting.shift()
    if (next !== undefined) {
      next(slot)
      return
    }
    this.#inUse[slot] = false
    this.#renderFree.push(slot)
  }
}

/** How many of the slots are in each phase; with a thread, of those that it has taken up. */
export function countPhases(board: PhaseBoard, slots: readonly number[], thread?: number): PhaseCounts {
  const counts = Object.fromEntries(PHASES.map((phase) => [phase, 0])) as PhaseCounts
  for (const slot of slots)
    if (thread === undefined || board.thread(slot) === thread) counts[board.phase(slot)]++
  return counts
}

/** Deliveries at hand for each that may be under way, at most. */
const MOST_AHEAD = 3
/** Milliseconds that a message of high priority may be made to wait by one that is at hand before it, on each connection. */
const BEHIND = 500

/**
 * How many deliveries the threads may have at hand: those that can be under way, and more, so that neither a thread nor a
 * connection waits for its next message. As many more as ended within the last moment; and one for each connection, as
 * long as so many end within half a second: over a long line an envelope rides behind the message before it, which takes
 * one round trip in place of two. Behind a slow server there are none of those, and a message of high priority waits for
 * nobody.
 */
export class InFlightWindow {
  readonly #underWay: number
  readonly #lately = new WindowCounter()
  readonly #awhile = new WindowCounter(BEHIND)

  constructor(underWay: number) {
    this.#underWay = underWay
  }

  static maxSize(underWay: number): number {
    return underWay * (1 + MOST_AHEAD)
  }

  get size(): number {
    const many = Math.min(this.#lately.ended, this.#underWay * MOST_AHEAD)
    const one = Math.min(this.#awhile.ended, this.#underWay)
    return this.#underWay + Math.max(many, one)
  }

  /** A delivery ended. @param now on `performance.now()`'s clock */
  recordEnd(now: number): void {
    this.#lately.count(now)
    this.#awhile.count(now)
  }
}
