/** The time for the messages of a mailer. Only tests advance it. */
export class Clock {
  #ahead = 0

  /** Milliseconds since the epoch. */
  now(): number {
    return Date.now() + this.#ahead
  }

  /** Like `performance.now()`: never set back with the wall clock. */
  steady(): number {
    return performance.now() + this.#ahead
  }

  advance(ms: number): void {
    this.#ahead += ms
  }
}

/** Resolves when the work settles, or after `ms`. An error of the work is ignored. */
export async function waitAtMost(work: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, Math.max(0, ms))
  })
  await Promise.race([work.catch(() => undefined), timeout])
  clearTimeout(timer)
}

/** Milliseconds. A smaller difference is drift, or the time between two readings. */
const TOLERANCE = 1_000

/**
 * Notices when the wall clock is set back. Messages wait until a time of the wall clock, which other processes can read
 * as well: when it is set back, each wait becomes longer by that amount.
 */
export class ClockWatch {
  #offset = Date.now() - performance.now()

  /** Returns by how many milliseconds the wall clock was set back since the last call; 0 if it was not. */
  setBack(): number {
    const offset = Date.now() - performance.now()
    const back = Math.round(this.#offset - offset)
    this.#offset = offset
    return back > TOLERANCE ? back : 0
  }
}

/** A time limit shared by several waits, one after another. Work that is unfinished at its end is left alone. */
export class Deadline {
  readonly #end: number

  /** @param length in ms, from now on */
  constructor(length: number) {
    this.#end = performance.now() + length
  }

  /** Resolves when the work settles, or at the deadline. An error of the work is ignored. */
  async until(work: Promise<unknown>): Promise<void> {
    await waitAtMost(work, this.#end - performance.now())
  }
}
