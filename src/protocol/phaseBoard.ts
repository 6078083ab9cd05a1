import { type Evidence, resultBits, resultFromBits } from './evidence.js'
import { PHASES, type Phase, type RecipientOutcome } from './outcome.js'

/** Header words of a slot, each an Int32. The recipients' words follow. */
const PHASE = 0
const THREAD = 1
const GENERATION = 2
const REPLY = 3
const CLAIM = 4
const RENDERED = 5
const HEADER_WORDS = 6

/** Values of the claim word. The first change from `OPEN` decides whether the message is sent. */
const OPEN = 0
const COMMITTED = 1
const WITHDRAWN = 2

const RECIPIENTS_PER_WORD = 16

/** The heartbeat of the thread that writes to the board: see `PulseBoard`. */
export interface Pulse {
  readonly beats: number
  step(): void
  compile(change: 1 | -1): void
}

/**
 * The phase board: shared memory with one slot for each delivery in progress, which outlives the thread that writes it.
 * When a thread dies, only the board shows which messages it had handed to a server.
 *
 * Each slot has a claim word, for which the thread and a caller of `cancel()` compete:
 *
 *                 commit(): the envelope is written
 *     ┌──────┐ ─────────────────────────────────────► ┌───────────┐
 *     │ open │                                        │ committed │
 *     └──────┘ ◄───────────────────────────────────── └───────────┘
 *        │        release(): it was not sent, and waits
 *        │ withdraw(): it is never sent by this delivery
 *        ▼
 *     withdrawn
 *
 * Invariants: only the main thread assigns slots and increments generations. A thread writes only while the slot has the
 * generation that it was given. `phase` is stored after everything that belongs to it.
 */
export class PhaseBoard {
  readonly #words: Int32Array
  readonly #stride: number
  readonly recipientsPerSlot: number
  readonly #pulse: Pulse | undefined

  /** @param pulse the heartbeat of the thread that writes; the main thread has none */
  constructor(buffer: SharedArrayBuffer, recipientsPerSlot: number, pulse?: Pulse) {
    this.#words = new Int32Array(buffer)
    this.#stride = strideOf(recipientsPerSlot)
    this.recipientsPerSlot = recipientsPerSlot
    this.#pulse = pulse
  }

  static allocate(slots: number, recipientsPerSlot: number): SharedArrayBuffer {
    return new SharedArrayBuffer(slots * strideOf(recipientsPerSlot) * Int32Array.BYTES_PER_ELEMENT)
  }

  /** Clears a slot for a new delivery. @returns the generation that the thread must pass with each write */
  assign(slot: number): number {
    const at = slot * this.#stride
    const generation = (Atomics.load(this.#words, at + GENERATION) + 1) | 0
    for (let word = 0; word < this.#stride; word++) Atomics.store(this.#words, at + word, 0)
    Atomics.store(this.#words, at + GENERATION, generation)
    return generation
  }

  /** Records the thread that works on the slot. */
  occupy(slot: number, generation: number, thread: number): void {
    const at = slot * this.#stride
    if (Atomics.load(this.#words, at + GENERATION) === generation)
      Atomics.store(this.#words, at + THREAD, thread)
  }

  /** Records that a step of compiling a template begins (1) or ends (-1). */
  compiling(change: 1 | -1): void {
    this.#pulse?.compile(change)
  }

  /** Records the phase that the delivery enters. */
  enter(slot: number, generation: number, phase: Phase): void {
    const at = slot * this.#stride
    if (Atomics.load(this.#words, at + GENERATION) !== generation) return
    this.#pulse?.step()
    if (phase === 'rendering') Atomics.store(this.#words, at + RENDERED, (this.#pulse?.beats ?? 0) + 1)
    Atomics.store(this.#words, at + PHASE, PHASES.indexOf(phase))
  }

  /**
   * Claims the message for its thread, immediately before its envelope joins a write.
   * @returns whether it may be sent; false if it was withdrawn first
   */
  commit(slot: number, generation: number): boolean {
    const at = slot * this.#stride
    if (Atomics.load(this.#words, at + GENERATION) !== generation) return false
    return Atomics.compareExchange(this.#words, at + CLAIM, OPEN, COMMITTED) !== WITHDRAWN
  }

  /** Gives up the thread's claim: the message was not sent, and waits. */
  release(slot: number, generation: number): void {
    const at = slot * this.#stride
    if (Atomics.load(this.#words, at + GENERATION) !== generation) return
    Atomics.compareExchange(this.#words, at + CLAIM, COMMITTED, OPEN)
  }

  /**
   * Withdraws the message; both the main thread and the worker thread may call it.
   * @returns whether this delivery will certainly not send it; false if it is claimed, or was withdrawn before
   */
  withdraw(slot: number, generation: number): boolean {
    const at = slot * this.#stride
    if (Atomics.load(this.#words, at + GENERATION) !== generation) return false
    return Atomics.compareExchange(this.#words, at + CLAIM, OPEN, WITHDRAWN) === OPEN
  }

  /**
   * Records the final reply, then the phase that makes it count. A message that takes several transactions is recorded
   * after each of them; the last record counts.
   */
  reply(slot: number, generation: number, code: number, results: RecipientOutcome['result'][]): void {
    const at = slot * this.#stride
    if (Atomics.load(this.#words, at + GENERATION) !== generation) return
    for (let first = 0; first < results.length; first += RECIPIENTS_PER_WORD) {
      let bits = 0
      const end = Math.min(first + RECIPIENTS_PER_WORD, results.length)
      for (let index = first; index < end; index++)
        bits |= resultBits(results[index]!, index, RECIPIENTS_PER_WORD)
      Atomics.store(this.#words, at + HEADER_WORDS + first / RECIPIENTS_PER_WORD, bits)
    }
    Atomics.store(this.#words, at + REPLY, code)
    Atomics.store(this.#words, at + PHASE, PHASES.indexOf('replied'))
  }

  phase(slot: number): Phase {
    return PHASES[Atomics.load(this.#words, slot * this.#stride + PHASE)] ?? 'waiting'
  }

  /** Counts the slots in each phase; with `thread`, only those that it works on. */
  countPhases(slots: readonly number[], thread?: number): Record<Phase, number> {
    const counts = Object.fromEntries(PHASES.map((phase) => [phase, 0])) as Record<Phase, number>
    for (const slot of slots)
      if (thread === undefined || this.thread(slot) === thread) counts[this.phase(slot)]++
    return counts
  }

  thread(slot: number): number {
    return Atomics.load(this.#words, slot * this.#stride + THREAD)
  }

  generation(slot: number): number {
    return Atomics.load(this.#words, slot * this.#stride + GENERATION)
  }

  /** Returns the thread's beats at the time when the slot last rendered; undefined if it never did. */
  renderedAt(slot: number): number | undefined {
    const rendered = Atomics.load(this.#words, slot * this.#stride + RENDERED)
    return rendered === 0 ? undefined : rendered - 1
  }

  /** Returns the evidence about a delivery. @param recipients the number of recipients of the attempt */
  read(slot: number, recipients: number): Evidence {
    const at = slot * this.#stride
    return {
      phase: this.phase(slot),
      thread: this.thread(slot),
      reply: Atomics.load(this.#words, at + REPLY),
      recipients: Array.from({ length: recipients }, (_, index) => {
        const word = at + HEADER_WORDS + Math.floor(index / RECIPIENTS_PER_WORD)
        return resultFromBits(Atomics.load(this.#words, word), index, RECIPIENTS_PER_WORD)
      }),
    }
  }
}

function strideOf(recipientsPerSlot: number): number {
  return HEADER_WORDS + Math.ceil(recipientsPerSlot / RECIPIENTS_PER_WORD)
}
