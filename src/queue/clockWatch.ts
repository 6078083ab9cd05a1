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
