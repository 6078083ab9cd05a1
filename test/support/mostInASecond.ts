/** The most that fall into any window of a second. */
export function mostInASecond(times: number[]): number {
  const sorted = times.toSorted((a, b) => a - b)
  return Math.max(
    0,
    ...sorted.map((from) => sorted.filter((time) => time >= from && time < from + 1_000).length),
  )
}
