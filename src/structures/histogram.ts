/** A {@link Histogram} at one moment: plain JSON. */
export interface HistogramSnapshot {
  /** Upper bounds of the buckets, inclusive, ascending. */
  bounds: readonly number[]
  /** Values in each bucket; one more than there are bounds: the last holds what is above them all. */
  counts: number[]
  sum: number
  count: number
}

/** Counts values in fixed buckets: to observe one allocates nothing, and two snapshots can be subtracted. */
export class Histogram {
  readonly #bounds: readonly number[]
  readonly #counts: number[]
  #sum = 0
  #count = 0

  /** @param bounds ascending */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = new Array<number>(bounds.length + 1).fill(0)
  }

  observe(value: number): void {
    const bounds = this.#bounds
    let bucket = 0
    while (bucket < bounds.length && value > bounds[bucket]!) bucket++
    this.#counts[bucket]!++
    this.#sum += value
    this.#count++
  }

  snapshot(): HistogramSnapshot {
    return { bounds: this.#bounds, counts: [...this.#counts], sum: this.#sum, count: this.#count }
  }
}
