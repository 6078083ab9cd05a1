import { type EventLoopUtilization, type EventLoopUtilityFunction, performance } from 'node:perf_hooks'

/** A share is taken over this time at least, in ms: shorter ones jump about. */
const SPAN = 1_000

/** How busy an event loop was lately: read by whoever asks, however often. */
export class LoadMeter {
  readonly #utilization: EventLoopUtilityFunction
  #from: EventLoopUtilization
  #to: EventLoopUtilization
  #at = performance.now()

  /** @param utilization of a thread's `performance`, or one's own */
  constructor(utilization: EventLoopUtilityFunction) {
    this.#utilization = utilization
    this.#from = this.#to = utilization()
  }

  /** 0 to 1, over the last second or since it was last asked, whichever is longer. */
  share(): number {
    const now = performance.now()
    if (now - this.#at >= SPAN) {
      this.#from = this.#to
      this.#to = this.#utilization()
      this.#at = now
    }
    // Until a span is over: since the beginning.
    const to = this.#from === this.#to ? this.#utilization() : this.#to
    return this.#utilization(to, this.#from).utilization
  }
}
