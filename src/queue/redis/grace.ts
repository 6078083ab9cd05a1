import { inTime } from '../inTime.js'

/** A time in which things are waited for, one after another; what has not come by its end is left alone. */
export class Grace {
  readonly #end: number

  /** @param length in ms, from now on */
  constructor(length: number) {
    this.#end = performance.now() + length
  }

  /** Resolves with the work, or when the time is over. What the work fails with is nobody's concern any more. */
  async until(work: Promise<unknown>): Promise<void> {
    await inTime(work, this.#end - performance.now())
  }
}
