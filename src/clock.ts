/** What time it is for the messages of a mailer. Tests move it ahead, and nothing else does. */
export class Clock {
  #ahead = 0

  /** Milliseconds since the epoch. */
  now(): number {
    return Date.now() + this.#ahead
  }

  /** As `performance.now()`: it isn't set back with the wall clock. */
  steady(): number {
    return performance.now() + this.#ahead
  }

  advance(ms: number): void {
    this.#ahead += ms
  }
}

/** Resolves with the work, or when `ms` are over. What the work fails with is nobody's concern any more. */
export async function waitAtMost(work: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, Math.max(0, ms))
  })
  await Promise.race([work.catch(() => undefined), over])
  clearTimeout(timer)
}

/** Milliseconds: less is drift, or the time between two readings. */
const TOLERANCE = 1_000

/**
 * Notices when the wall clock is set back. Messages wait until a time of the wall clock, which another process
 * can read as well: where it is set back, their waits would be longer by as much.
 */
export class ClockWatch {
  #offset = Date.now() - performance.now()

  /** By how many milliseconds the wall clock was set back since the last look; 0 where it was not. */
  setBack(): number {
    const offset = Date.now() - performance.now()
    const back = Math.round(this.#offset - offset)
    this.#offset = offset
    return back > TOLERANCE ? back : 0
  }
}

/** A time in which things are waited for, one after another; what has not come by its end is left alone. */
export class Deadline {
  readonly #end: number

  /** @param length in ms, from now on */
  constructor(length: number) {
    this.#end = performance.now() + length
  }

  /** Resolves with the work, or when the time is over. What the work fails with is nobody's concern any more. */
  async until(work: Promise<unknown>): Promise<void> {
    await waitAtMost(work, this.#end - performance.now())
  }
}
