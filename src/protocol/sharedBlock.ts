/** Octets in front of the content: whether the block is in use. A multiple of 8. */
const HEADER = 8
const FREE = 0
const IN_USE = 1

/**
 * Memory of a worker thread for the bytes that a `load` function returned. The main thread has the same memory, so the bytes
 * cross to it and back without a copy, and outlive their thread. A block is used again: V8 doesn't count shared memory
 * towards its next collection, so blocks that are left to it would pile up.
 *
 *              take()                       the reply of the thread, and the next task
 *     ┌──────┐ ──────────────► ┌────────┐ ────────────────────────────────────────────┐
 *     │ free │  worker thread  │ in use │ ◄────────────────────────────────────────────┘
 *     └──────┘ ◄────────────── └────────┘
 *              releaseBlock(), main thread: the delivery has ended
 *
 * Invariants: only the thread that allocated a block takes it. A thread copies the content at the start of a task and then leaves
 * the block alone, because a transport may read an attachment after the end of its delivery: see `withOwnOctets`.
 */
export class SharedBlock {
  readonly capacity: number
  readonly #memory: SharedArrayBuffer
  readonly #state: Int32Array

  /** @param capacity octets */
  constructor(capacity: number) {
    this.capacity = capacity
    this.#memory = new SharedArrayBuffer(HEADER + capacity)
    this.#state = new Int32Array(this.#memory, 0, 1)
  }

  /** Returns a part of the block to be written; undefined if the block is in use. @param length at most its capacity */
  take(length: number): Uint8Array | undefined {
    if (Atomics.compareExchange(this.#state, 0, FREE, IN_USE) !== FREE) return undefined
    return new Uint8Array(this.#memory, HEADER, length)
  }
}

/** Whether the octets are in memory that other threads have, too. */
export function isShared(octets: Uint8Array): boolean {
  return octets.buffer instanceof SharedArrayBuffer
}

/** Ends the use of a block. @param octets from {@link SharedBlock.take}; nothing may read them any more */
export function releaseBlock({ buffer }: Uint8Array): void {
  Atomics.store(new Int32Array(buffer, 0, 1), 0, FREE)
}
