import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'

/** How late the event loop of the main thread was in the last seconds, in ms. */
export interface EventLoopDelay {
  p50: number
  p99: number
  max: number
}

/** Milliseconds between two looks at the event loop. */
const RESOLUTION = 10
/** A reading covers the last one to two of these, in ms. */
const WINDOW = 5_000

/**
 * Watches the event loop from the first reading on: who never asks pays nothing. Of two native histograms the elder is
 * read, and emptied when it is two windows old.
 */
export class LoopDelay {
  #elder: IntervalHistogram | undefined
  #younger: IntervalHistogram | undefined
  #timer: NodeJS.Timeout | undefined
  #closed = false

  read(): EventLoopDelay {
    if (this.#elder === undefined && !this.#closed) this.#start()
    const elder = this.#elder
    if (elder === undefined || elder.count === 0) return { p50: 0, p99: 0, max: 0 }
    return {
      p50: lateness(elder.percentile(50)),
      p99: lateness(elder.percentile(99)),
      max: lateness(elder.max),
    }
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#timer)
    this.#elder?.disable()
    this.#younger?.disable()
    this.#elder = this.#younger = undefined
  }

  #start(): void {
    this.#elder = monitorEventLoopDelay({ resolution: RESOLUTION })
    this.#younger = monitorEventLoopDelay({ resolution: RESOLUTION })
    this.#elder.enable()
    this.#younger.enable()
    this.#timer = setInterval(() => {
      this.#elder?.reset()
      ;[this.#elder, this.#younger] = [this.#younger, this.#elder]
    }, WINDOW).unref()
  }
}

/** Node counts nanoseconds from one look to the next: what is above their distance is delay. */
function lateness(nanoseconds: number): number {
  return Math.max(0, nanoseconds / 1e6 - RESOLUTION)
}
