import type { PhaseBoard } from '../protocol/phaseBoard.js'
import type { PulseBoard } from '../protocol/pulseBoard.js'
import type { Termination } from './watchdog.js'
import type { ThreadDied } from './workerChannel.js'

/** The role of a delivery in the death of its thread: see {@link CrashAttribution}. */
export type CrashRole = 'culprit' | 'suspect' | 'bystander'

/** The facts about a thread's death that the boards don't have. */
export interface CrashContext {
  place: number
  isolated: boolean
  /** Why the thread was terminated, if this process did so. */
  termination: Termination | undefined
}

interface Running {
  /** Id of the message, or the kind of render. */
  id: string
}

/** Errors remembered together with the message that threw each last. */
const MAX_ERRORS = 100

/**
 * Finds the delivery that killed a thread. All requests of the thread are rejected with the same error, so only the
 * boards show which one it was.
 *
 *                            the thread died
 *                                   │
 *            ┌──────────────────────┼──────────────────────────────┐
 *      one was rendering,     none was, in a                 none was, in
 *      or is overdue          shared thread                  an isolated thread
 *            │                      │                              │
 *      it: CULPRIT            blocked: those that            its own code ran last: CULPRIT
 *      others: BYSTANDER      rendered since the last        setup code ran last: BYSTANDER
 *                             beat, or else at all, and
 *                             those that are loading:
 *                             SUSPECT; otherwise those
 *                             that rendered: SUSPECT
 *                             others: BYSTANDER
 *
 * - A culprit is certain, and its crash is counted: after three crashes the message is `POISON`. Rendering is synchronous,
 *   so no two deliveries of a thread ever render at the same time. So is a `load` function up to its first `await`.
 * - Behind its first `await`, several `load` functions of a thread are in progress, and none of them is certain: each is a suspect.
 * - A suspect may have left behind a timer or a tick that killed the thread. Nothing is counted; it is delivered again in an
 *   isolated thread, which tracks whose code runs (`workers/codeOwner.ts`).
 * - A bystander is delivered again as if nothing had happened.
 * - A death without a culprit is counted by `CrashLoop`, against no message.
 *
 * When the code of several messages throws the same error asynchronously in an isolated thread, a service that all of
 * them use is down. None of them is a culprit then.
 */
export class CrashAttribution {
  readonly #board: PhaseBoard
  readonly #pulses: PulseBoard
  /** By slot. */
  readonly #running: (Running | undefined)[] = []
  readonly #roles = new WeakMap<ThreadDied, ReadonlyMap<number, CrashRole>>()
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
   * Assigns the roles of a death. Call it while all deliveries of the thread still have their slots.
   * @returns whether there is a culprit
   */
  attribute(death: ThreadDied, circumstances: CrashContext): boolean {
    const slots = this.#slotsOf(death.thread)
    const culprit = this.#culprit(death, circumstances, slots)
    const suspects = culprit === undefined ? this.#suspects(circumstances, slots) : []
    const roles = new Map<number, CrashRole>(suspects.map((slot) => [slot, 'suspect']))
    if (culprit !== undefined) roles.set(culprit, 'culprit')
    this.#roles.set(death, roles)
    return culprit !== undefined
  }

  /** Returns the role of a delivery in a death that was attributed. */
  roleOf(slot: number, death: ThreadDied): CrashRole {
    return this.#roles.get(death)?.get(slot) ?? 'bystander'
  }

  /** The slots that the thread works on. */
  #slotsOf(thread: number): number[] {
    if (thread === 0) return []
    return [...this.#running.keys()].filter(
      (slot) => this.#running[slot] !== undefined && this.#board.thread(slot) === thread,
    )
  }

  #culprit(
    death: ThreadDied,
    { place, isolated, termination }: CrashContext,
    slots: readonly number[],
  ): number | undefined {
    if (termination?.cause === 'requested') return undefined
    if (termination?.slot !== undefined) return slots.find((slot) => slot === termination.slot)
    const rendering = slots.find((slot) => this.#board.phase(slot) === 'rendering')
    if (rendering !== undefined || !isolated) return rendering
    const actor = this.#pulses.actor(place)
    const own = slots.find(
      (slot) => slot === actor?.slot && this.#board.generation(slot) === actor.generation,
    )
    // Code that blocks the thread is the message's own; an error may have its cause elsewhere.
    if (own === undefined || termination !== undefined) return own
    return this.#isShared(death.reason, this.#running[own]?.id ?? '') ? undefined : own
  }

  #suspects({ isolated, termination, place }: CrashContext, slots: readonly number[]): number[] {
    if (isolated || termination?.cause === 'requested') return []
    const rendered = slots.filter((slot) => this.#board.renderedAt(slot) !== undefined)
    if (termination?.cause !== 'stalled') return rendered
    const beats = this.#pulses.beats(place)
    const since = rendered.filter(
      (slot) => this.#board.renderedAt(slot) === beats || this.#board.phase(slot) === 'loading',
    )
    return since.length > 0 ? since : rendered
  }

  /** Whether the code of another message threw the same error. */
  #isShared(reason: string, id: string): boolean {
    const other = this.#errors.get(reason)
    if (this.#errors.size >= MAX_ERRORS) this.#errors.clear()
    this.#errors.set(reason, id)
    return other !== undefined && other !== id
  }
}
