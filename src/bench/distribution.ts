import type { Histogram } from 'node:perf_hooks'

/** Distribution of a measured quantity, in milliseconds. */
export interface Distribution {
  count: number
  p50: number
  p90: number
  p99: number
  max: number
  /** Values at the {@link PERCENTILES}, for charts. */
  curve: number[]
}

export const PERCENTILES = [0, 5, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 100] as const

/** Returns the distribution of samples in milliseconds; undefined without samples. */
export function distributionOf(samples: readonly number[]): Distribution | undefined {
  const sorted = Float64Array.from(samples).sort()
  const last = sorted.length - 1
  return distribution(sorted.length, (percent) => sorted[Math.ceil((percent / 100) * last)] ?? 0)
}

/**
 * Returns the distribution of a histogram from node:perf_hooks; undefined if it is empty.
 * @param scale units of the histogram per millisecond
 * @param offset milliseconds to subtract from each value
 */
export function fromHistogram(histogram: Histogram, scale: number, offset = 0): Distribution | undefined {
  const value = (percent: number): number =>
    percent === 0 ? histogram.min : percent === 100 ? histogram.max : histogram.percentile(percent)
  return distribution(histogram.count, (percent) => Math.max(0, value(percent) / scale - offset))
}

function distribution(count: number, value: (percent: number) => number): Distribution | undefined {
  if (count === 0) return undefined
  const round = (percent: number): number => Number(value(percent).toPrecision(5))
  return {
    count,
    p50: round(50),
    p90: round(90),
    p99: round(99),
    max: round(100),
    curve: PERCENTILES.map(round),
  }
}

/** Returns the middle value; for an even number of values, the upper of the two middle ones. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
