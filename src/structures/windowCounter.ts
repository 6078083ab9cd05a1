/** Milliseconds. Longer than a turn of a busy event loop, shorter than a person notices. */
const MOMENT = 10

/**
 * Counts events in windows of time and remembers the last window that is complete. As many events as happened then may
 * well happen in the next window, which is what prefetching needs to know.
 *
 *     events    × ×   ×  ×  │ ×    × │ ×         ...    │ ×
 *               └─ 4 + 1 ───┘└─ 1+1 ─┘└─ pause: 0 ──────┘
 *     recent                5        2                  0
 *
 * An event closes the window that has lasted `length` ms by then, and is counted in it. A window of twice that length or more
 * was a pause and counts as 0. Both operations are O(1) and allocate nothing.
 */
export class WindowCounter {
  readonly #length: number
  #start = 0
  #current = 0
  #recent = 0

  /** @param length of a window in ms @default 10 */
  constructor(length = MOMENT) {
    this.#length = length
  }

  /** Events in the last complete window. */
  get recent(): number {
    return this.#recent
  }

  /** @param now on `performance.now()`'s clock */
  count(now: number): void {
    this.#current++
    const elapsed = now - this.#start
    if (elapsed < this.#length) return
    this.#recent = elapsed < 2 * this.#length ? this.#current : 0
    this.#start = now
    this.#current = 0
  }
}
