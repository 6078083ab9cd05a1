/** A {@link Histogram} at one moment: plain JSON. */
export interface HistogramSnapshot {
  /** Upper bounds of the buckets, inclusive, ascending. */
  bounds: readonly number[]
  /** Values in each bucket. One more than there are bounds: the last bucket holds the values above all bounds. */
  counts: number[]
  /** Sum of all values. */
  sum: number
  /** Number of all values. */
  count: number
}

/**
 * Counts values in fixed buckets.
 *
 *     bounds        1     5     10
 *     counts   │ 2  │  7  │  1  │  4 │
 *               ≤ 1   ≤ 5   ≤ 10  > 10
 *
 * `observe()` is O(number of buckets) and allocates nothing. Two snapshots of one histogram can be subtracted.
 */
export class Histogram {
  readonly #bounds: readonly number[]
  readonly #counts: number[]
  #sum = 0
  #count = 0

  /** @param bounds upper bounds of the buckets, ascending */
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

/** Returns a quantile, interpolated linearly within its bucket; null without values. */
export function quantile({ bounds, counts, count: total }: HistogramSnapshot, q: number): number | null {
  if (total <= 0) return null
  let rank = q * total
  for (const [index, count] of counts.entries()) {
    if (count > 0 && rank <= count) {
      const low = bounds[index - 1] ?? 0
      const high = bounds[index] ?? low
      return low + ((high - low) * rank) / count
    }
    rank -= count
  }
  return bounds.at(-1) ?? null
}
