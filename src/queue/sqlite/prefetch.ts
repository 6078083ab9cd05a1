/** Milliseconds over which finished deliveries are counted: a few commits. */
const WINDOW = 25
const MAX_PREFETCH = 256

/** Estimates how many messages to prefetch: as many as deliveries finish during a few commits, so that no slot waits for the disk. */
export class PrefetchEstimator {
  #windowStart = 0
  #completed = 0
  #target = 0

  /** Counts a finished delivery. */
  recordCompletion(): void {
    this.#completed++
  }

  /** Returns the number of messages to keep prefetched, at least the number of slots. */
  target(slots: number): number {
    const now = performance.now()
    if (now - this.#windowStart > WINDOW) {
      this.#target = Math.min(MAX_PREFETCH, this.#completed)
      this.#completed = 0
      this.#windowStart = now
    }
    return Math.max(slots, this.#target)
  }
}

/** Allocates slots of the delivery journal. A delivery keeps its slot from its start until its outcome is stored. */
export class SlotAllocator {
  readonly #free: number[] = []
  #allocated = 0

  acquire(): number {
    return this.#free.pop() ?? this.#allocated++
  }

  release(slot: number): void {
    this.#free.push(slot)
  }
}
