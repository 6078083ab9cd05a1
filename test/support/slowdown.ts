/** Milliseconds of CPU below which the time says more about the machine than about the input. */
const NOISE = 60
/** How much longer a byte of a large input may take than one of a small input. With a quadratic step, it is the ratio of the sizes. */
const MAX_FACTOR = 3

/**
 * Whether work on an input takes more than linear time. Ratios are judged, never times, and a suspicion is measured again:
 * other programs share the caches.
 * @param run works on an input of this size
 * @param sizes rising
 * @returns how much longer each byte takes in an input of the size than in a smaller one, if that is too much
 */
export async function slowdownOf(
  run: (size: number) => unknown,
  sizes: readonly number[],
): Promise<{ size: number; factor: number } | undefined> {
  let base: { size: number; time: number } | undefined
  for (const size of sizes) {
    const time = await cpuTime(run, size)
    if (time <= NOISE) base = { size, time: NOISE }
    else base ??= { size, time }
    if (time / size < (MAX_FACTOR * base.time) / base.size) continue
    const baseTime = Math.max(NOISE, await cpuTime(run, base.size, 3))
    const factor = (await cpuTime(run, size, 3)) / size / (baseTime / base.size)
    if (factor >= MAX_FACTOR) return { size, factor }
  }
  return undefined
}

/** Returns the milliseconds of CPU that the work takes; the best of several attempts. */
async function cpuTime(run: (size: number) => unknown, size: number, attempts = 1): Promise<number> {
  let best = Infinity
  for (let attempt = 0; attempt < attempts && best > NOISE; attempt++) {
    const before = process.cpuUsage()
    await run(size)
    const { user } = process.cpuUsage(before)
    best = Math.min(best, user / 1_000)
  }
  return best
}
