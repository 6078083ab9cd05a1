/** The words of a thread, each an Int32. */
const BEATS = 0
const STEPS = 1
const LOADING = 2
const ACTOR_SLOT = 3
const ACTOR_GENERATION = 4
const COMPILING = 5
const WORDS = 6

/** A delivery on the phase board. */
export interface BoardSlot {
  slot: number
  generation: number
}

/**
 * The heartbeats of the threads, in shared memory that outlives them. Each channel has a place, which its threads use one
 * after another.
 *
 * - `beats`: a timer of the thread increments it, so it stops while the event loop is blocked.
 * - `steps`: the number of phase changes, and of ends of loading and compiling. A turn of the event loop that renders many messages is long, but makes progress.
 * - `loading`: above 0 while modules are loaded, which may block a thread for a long time on a busy machine.
 * - `compiling`: above 0 while a step of compiling a template runs, which has a limit of its own.
 * - `actor`: the delivery whose code ran last. Only an isolated thread tracks it: see `workers/codeOwner.ts`.
 *
 * Invariant: the main thread writes only before it opens the channel for a new thread.
 */
export class PulseBoard {
  readonly #words: Int32Array

  constructor(buffer: SharedArrayBuffer) {
    this.#words = new Int32Array(buffer)
  }

  static allocate(places: number): SharedArrayBuffer {
    return new SharedArrayBuffer(places * WORDS * Int32Array.BYTES_PER_ELEMENT)
  }

  /** Clears a place for a thread that starts. The thread counts as loading until it is ready. */
  begin(place: number): void {
    const at = place * WORDS
    for (let word = 0; word < WORDS; word++) Atomics.store(this.#words, at + word, 0)
    Atomics.store(this.#words, at + LOADING, 1)
  }

  beat(place: number): void {
    Atomics.add(this.#words, place * WORDS + BEATS, 1)
  }

  beats(place: number): number {
    return Atomics.load(this.#words, place * WORDS + BEATS)
  }

  step(place: number): void {
    Atomics.add(this.#words, place * WORDS + STEPS, 1)
  }

  steps(place: number): number {
    return Atomics.load(this.#words, place * WORDS + STEPS)
  }

  /** The end is a step first: otherwise the time that it took would be held against the thread until the next beat. */
  load(place: number, change: 1 | -1): void {
    if (change === -1) this.step(place)
    Atomics.add(this.#words, place * WORDS + LOADING, change)
  }

  loading(place: number): boolean {
    return Atomics.load(this.#words, place * WORDS + LOADING) > 0
  }

  /** See {@link load}. */
  compile(place: number, change: 1 | -1): void {
    if (change === -1) this.step(place)
    Atomics.add(this.#words, place * WORDS + COMPILING, change)
  }

  compiling(place: number): boolean {
    return Atomics.load(this.#words, place * WORDS + COMPILING) > 0
  }

  /** Records the delivery whose code runs now; undefined: none. */
  act(place: number, actor: BoardSlot | undefined): void {
    const at = place * WORDS
    Atomics.store(this.#words, at + ACTOR_GENERATION, actor?.generation ?? 0)
    Atomics.store(this.#words, at + ACTOR_SLOT, actor === undefined ? 0 : actor.slot + 1)
  }

  actor(place: number): BoardSlot | undefined {
    const at = place * WORDS
    const slot = Atomics.load(this.#words, at + ACTOR_SLOT)
    if (slot === 0) return undefined
    return { slot: slot - 1, generation: Atomics.load(this.#words, at + ACTOR_GENERATION) }
  }
}
