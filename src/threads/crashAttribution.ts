import type { PhaseBoard } from '../protocol/phaseBoard.js'
import type { PulseBoard } from '../protocol/pulse.js'
import type { Termination } from './watchdog.js'
import type { ThreadDied } from './workerChannel.js'

/** What the death of its thread says of a delivery: see {@link CrashAttribution}. */
export type CrashRole = 'culprit' | 'suspect' | 'bystander'

/** What is known of a thread's death besides the boards. */
export interface CrashContext {
  place: number
  isolated: boolean
  /** Why the thread was ended, if this process ended it. */
  ending: Termination | undefined
}

interface Running {
  /** Of the message, or the render. */
  id: string
}

/** Errors that are remembered with the message they were last laid to. */
const MOST_ERRORS = 100

/**
 * Which delivery brought a thread down. Everything the thread was asked is rejected with one and the same error, so only the
 * boards can tell.
 *
 *                            the thread died
 *                                   │
 *            ┌──────────────────────┼──────────────────────────────┐
 *      one was rendering,     nobody was, in a                nobody was, in
 *      or is overdue          shared thread                   an isolated thread
 *            │                      │                              │
 *      it: CULPRIT            stood still: those that        its own code ran last: CULPRIT
 *      others: BYSTANDER      rendered since the last        code of the setup did: BYSTANDER
 *                             beat, or else at all:
 *                             SUSPECT; otherwise those
 *                             that rendered: SUSPECT
 *                             others: BYSTANDER
 *
 * - A culprit is certain, and its crash is counted: after three it is `POISON`. Rendering is synchronous, so no two
 *   deliveries of a thread are ever in it.
 * - A suspect may have left behind a timer or a tick that did it. Nothing is counted; it goes again in an isolated
 *   thread, where it is known whose code runs (`workers/lineage.ts`).
 * - A bystander goes again as if nothing had happened.
 * - A death without a culprit is counted by `CrashLoop`, against no message.
 *
 * An error that was thrown later, in an isolated thread, by the code of several messages says nothing of any of them: a
 * service is away that all of them use. None of them is a culprit then.
 */
export class CrashAttribution {
  readonly #board: PhaseBoard
  readonly #pulses: PulseBoard
  /** By slot. */
  readonly #running: (Running | undefined)[] = []
  readonly #judged = new WeakMap<ThreadDied, ReadonlyMap<number, CrashRole>>()
  readonly #errors = new Map<string, string>()

  constructor(board: PhaseBoard, pulses: PulseBoard) {
    this.#board = board
    this.#pulses = pulses
  }

  begin(slot: number, id: string): void {
    this.#running[slot] = { id }
  }

  end(slot: number): void {
    this.#running[slot] = undefined
  }

  /**
   * Judges a death, while all deliveries of the thread still have their slots.
   * @returns whether there is a culprit
   */
  attribute(death: ThreadDied, circumstances: CrashContext): boolean {
    const slots = this.#slotsOf(death.thread)
    const culprit = this.#culprit(death, circumstances, slots)
    const suspects = culprit === undefined ? this.#suspects(circumstances, slots) : []
    const verdicts = new Map<number, CrashRole>(suspects.map((slot) => [slot, 'suspect']))
    if (culprit !== undefined) verdicts.set(culprit, 'culprit')
    this.#judged.set(death, verdicts)
    return culprit !== undefined
  }

  roleOf(slot: number, death: ThreadDied): CrashRole {
    return this.#judged.get(death)?.get(slot) ?? 'bystander'
  }

  /** What the thread had taken up. */
  #slotsOf(thread: number): number[] {
    if (thread === 0) return []
    return [...this.#running.keys()].filter(
      (slot) => this.#running[slot] !== undefined && this.#board.thread(slot) === thread,
    )
  }

  #culprit(
    death: ThreadDied,
    { place, isolated, ending }: CrashContext,
    slots: readonly number[],
  ): number | undefined {
    if (ending?.cause === 'asked') return undefined
    if (ending?.slot !== undefined) return slots.find((slot) => slot === ending.slot)
    const rendering = slots.find((slot) => this.#board.phase(slot) === 'rendering')
    if (rendering !== undefined || !isolated) return rendering
    const actor = this.#pulses.actor(place)
    const own = slots.find(
      (slot) => slot === actor?.slot && this.#board.generation(slot) === actor.generation,
    )
    // Code that stands still, or ends the thread, is the message's own; an error may come from elsewhere.
    if (own === undefined || ending !== undefined) return own
    return this.#isShared(death.reason, this.#running[own]?.id ?? '') ? undefined : own
  }

  #suspects({ isolated, ending, place }: CrashContext, slots: readonly number[]): number[] {
    if (isolated || ending?.cause === 'asked') return []
    const rendered = slots.filter((slot) => this.#board.renderedAt(slot) !== undefined)
    if (ending?.cause !== 'stalled') return rendered
    const beats = this.#pulses.beats(place)
    const since = rendered.filter((slot) => this.#board.renderedAt(slot) === beats)
    return since.length > 0 ? since : rendered
  }

  /** Whether the code of another message threw the same. */
  #isShared(reason: string, id: string): boolean {
    const other = this.#errors.get(reason)
    if (this.#errors.size >= MOST_ERRORS) this.#errors.clear()
    this.#errors.set(reason, id)
    return other !== undefined && other !== id
  }
}
