import type { Outcome } from '../protocol/outcome.js'
import type { PhaseBoard } from '../protocol/phaseBoard.js'
import type { DeliveryOrder } from './runner.js'

/** Deliveries that can still be taken back, and those that were. */
export class CancellationRegistry {
  readonly #board: PhaseBoard
  readonly #withdrawn = new WeakSet<DeliveryOrder>()

  constructor(board: PhaseBoard) {
    this.#board = board
  }

  register(order: DeliveryOrder, slot: number, generation: number): void {
    order.claim = { slot, generation }
  }

  release(order: DeliveryOrder): void {
    order.claim = undefined
  }

  /** See {@link Runner.withdraw}. While it waits for a slot nobody can be quicker. */
  withdraw(order: DeliveryOrder): boolean {
    if (this.#withdrawn.has(order)) return false
    const { claim } = order
    if (claim !== undefined && !this.#board.withdraw(claim.slot, claim.generation)) return false
    this.#withdrawn.add(order)
    return true
  }

  /** What to answer in place of handing the order to a thread, again or at all. */
  outcomeIfWithdrawn(order: DeliveryOrder): Outcome | undefined {
    if (!this.#withdrawn.has(order)) return undefined
    return {
      result: 'withdrawn',
      code: 'CANCELLED',
      message: 'The message was cancelled before it was sent.',
      phase: 'waiting',
      recipients: [],
      timings: {},
      thread: 0,
    }
  }
}
