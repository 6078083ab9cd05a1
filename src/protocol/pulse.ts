/** Words of a thread, each an Int32. */
const BEATS = 0
const STEPS = 1
const LOADING = 2
const ACTOR_SLOT = 3
const ACTOR_GENERATION = 4
const WORDS = 5

/** A delivery on the phase board. */
export interface BoardSlot {
  slot: number
  generation: number
}

/**
 * The signs of life of the threads, in memory that outlives them. Each thread has a place: that of its lane.
 *
 * - `beats` is advanced by a timer of the thread, so that it stands still while the event loop does.
 * - `steps` counts changes of phase: a turn of the event loop that renders many messages takes long, and still goes on.
 * - `loading` is above 0 while modules are loaded, which blocks a thread for as long as the machine is busy.
 * - the actor is the delivery whose code ran last. Only an isolated thread finds that out: see `workers/lineage.ts`.
 *
 * Invariant: the main thread writes only before it opens the lane of a new thread.
 */
export class PulseBoard {
  readonly #words: Int32Array

  constructor(buffer: SharedArrayBuffer) {
    this.#words = new Int32Array(buffer)
  }

  static allocate(places: number): SharedArrayBuffer {
    return new SharedArrayBuffer(places * WORDS * Int32Array.BYTES_PER_ELEMENT)
  }

  /** A thread starts there: until it is ready it loads. */
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

  load(place: number, change: 1 | -1): void {
    Atomics.add(this.#words, place * WORDS + LOADING, change)
  }

  loading(place: number): boolean {
    return Atomics.load(this.#words, place * WORDS + LOADING) > 0
  }

  /** Code of this delivery runs now, or of none. */
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
