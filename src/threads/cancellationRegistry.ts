import { type Outcome } from '../protocol/outcome.js'
import type { PhaseBoard } from '../protocol/phaseBoard.js'
import { emptyFacts } from '../protocol/unsentOutcome.js'
import type { DeliveryOrder } from './runner.js'

/** Tracks the deliveries that can still be cancelled, and those that were. */
export class CancellationRegistry {
  readonly #board: PhaseBoard
  readonly #withdrawn = new WeakSet<DeliveryOrder>()

  constructor(board: PhaseBoard) {
    this.#board = board
  }

  /** The delivery has a slot on the board: from now on, thread and canceller compete for its claim word. */
  register(order: DeliveryOrder, slot: number, generation: number): void {
    order.claim = { slot, generation }
  }

  release(order: DeliveryOrder): void {
    order.claim = undefined
  }

  /** See {@link Runner.withdraw}. A delivery that isn't registered has no competitor: withdrawing it always succeeds. */
  withdraw(order: DeliveryOrder): boolean {
    if (this.#withdrawn.has(order)) return false
    const { claim } = order
    if (claim !== undefined && !this.#board.withdraw(claim.slot, claim.generation)) return false
    this.#withdrawn.add(order)
    return true
  }

  /** Returns the outcome of a withdrawn delivery, instead of handing it to a thread (again). */
  outcomeIfWithdrawn(order: DeliveryOrder): Outcome | undefined {
    if (!this.#withdrawn.has(order)) return undefined
    return {
      result: 'withdrawn',
      code: 'CANCELLED',
      message: 'The message was cancelled before it was sent.',
      ...emptyFacts(),
    }
  }
}
