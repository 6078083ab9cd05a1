import { PHASES } from '../wire/outcome.js'
import type { PhaseBoard } from '../wire/phases.js'
import type { PhaseCounts } from './runner.js'

/** How many of the slots are in each phase; with a thread, of those that it has taken up. */
export function census(board: PhaseBoard, slots: readonly number[], thread?: number): PhaseCounts {
  const counts = Object.fromEntries(PHASES.map((phase) => [phase, 0])) as PhaseCounts
  for (const slot of slots)
    if (thread === undefined || board.thread(slot) === thread) counts[board.phase(slot)]++
  return counts
}
