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

/** Values of the claim word. Whoever changes it from `OPEN` first decides whether the message is sent. */
const OPEN = 0
const COMMITTED = 1
const WITHDRAWN = 2

const RECIPIENTS_PER_WORD = 16

/** The signs of life of the thread that writes: see `PulseBoard`. */
export interface Pulse {
  readonly beats: number
  step(): void
}

/**
 * The phase board: a slot for each delivery in flight, in memory that outlives the thread which writes it.
 * When a thread dies it is the only witness of what had been handed to a server.
 *
 * Invariants: the main thread alone assigns slots and raises generations; a thread writes only while the
 * slot's generation is the one it was given; `phase` is stored after all that belongs to it.
 */
export class PhaseBoard {
  readonly #words: Int32Array
  readonly #stride: number
  readonly recipientsPerSlot: number
  readonly #pulse: Pulse | undefined

  /** @param pulse of the thread that writes; the main thread has none */
  constructor(buffer: SharedArrayBuffer, recipientsPerSlot: number, pulse?: Pulse) {
    this.#words = new Int32Array(buffer)
    this.#stride = strideOf(recipientsPerSlot)
    this.recipientsPerSlot = recipientsPerSlot
    this.#pulse = pulse
  }

  static allocate(slots: number, recipientsPerSlot: number): SharedArrayBuffer {
    return new SharedArrayBuffer(slots * strideOf(recipientsPerSlot) * Int32Array.BYTES_PER_ELEMENT)
  }

  /** Wipes the slot for a new delivery and returns the generation its thread must present. */
  assign(slot: number): number {
    const at = slot * this.#stride
    const generation = (Atomics.load(this.#words, at + GENERATION) + 1) | 0
    for (let word = 0; word < this.#stride; word++) Atomics.store(this.#words, at + word, 0)
    Atomics.store(this.#words, at + GENERATION, generation)
    return generation
  }

  /** The thread takes the slot as its own. */
  occupy(slot: number, generation: number, thread: number): void {
    const at = slot * this.#stride
    if (Atomics.load(this.#words, at + GENERATION) === generation)
      Atomics.store(this.#words, at + THREAD, thread)
  }

  enter(slot: number, generation: number, phase: Phase): void {
    const at = slot * this.#stride
    if (Atomics.load(this.#words, at + GENERATION) !== generation) return
    this.#pulse?.step()
    if (phase === 'rendering') Atomics.store(this.#words, at + RENDERED, (this.#pulse?.beats ?? 0) + 1)
    Atomics.store(this.#words, at + PHASE, PHASES.indexOf(phase))
  }

  /**
   * The thread claims the message, the moment before its envelope joins a write.
   * @returns whether it may be sent: nobody was quicker to withdraw it
   */
  commit(slot: number, generation: number): boolean {
    const at = slot * this.#stride
    if (Atomics.load(this.#words, at + GENERATION) !== generation) return false
    return Atomics.compareExchange(this.#words, at + CLAIM, OPEN, COMMITTED) !== WITHDRAWN
  }

  /** The thread gives its claim up: the message was not sent, and waits. */
  release(slot: number, generation: number): void {
    const at = slot * this.#stride
    if (Atomics.load(this.#words, at + GENERATION) !== generation) return
    Atomics.compareExchange(this.#words, at + CLAIM, COMMITTED, OPEN)
  }

  /**
   * Takes the message back, from either side.
   * @returns whether it certainly won't be sent by this delivery: false once it is claimed, or was withdrawn before
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

  thread(slot: number): number {
    return Atomics.load(this.#words, slot * this.#stride + THREAD)
  }

  generation(slot: number): number {
    return Atomics.load(this.#words, slot * this.#stride + GENERATION)
  }

  /** How often the thread's heart had beaten when the slot last rendered; undefined where it never did. */
  renderedAt(slot: number): number | undefined {
    const rendered = Atomics.load(this.#words, slot * this.#stride + RENDERED)
    return rendered === 0 ? undefined : rendered - 1
  }

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
