import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'

/** The delay of the main thread's event loop during the last seconds, in ms. */
export interface EventLoopDelay {
  p50: number
  p99: number
  max: number
}

/** Milliseconds between two samples. */
const RESOLUTION = 10
/** A reading covers the last one to two windows, in ms. */
const WINDOW = 5_000

/**
 * Samples the event loop from the first call of `read()` on, so that it costs nothing unless used. `read()` uses the older
 * of two native histograms, which is reset when it is two windows old.
 */
export class LoopDelay {
  #older: IntervalHistogram | undefined
  #newer: IntervalHistogram | undefined
  #timer: NodeJS.Timeout | undefined
  #closed = false

  read(): EventLoopDelay {
    if (this.#older === undefined && !this.#closed) this.#start()
    return this.peek() ?? { p50: 0, p99: 0, max: 0 }
  }

  /** Like `read()`, but measures nothing by itself. @returns undefined unless something was measured */
  peek(): EventLoopDelay | undefined {
    const older = this.#older
    if (older === undefined || older.count === 0) return undefined
    return {
      p50: lateness(older.percentile(50)),
      p99: lateness(older.percentile(99)),
      max: lateness(older.max),
    }
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#timer)
    this.#older?.disable()
    this.#newer?.disable()
    this.#older = this.#newer = undefined
  }

  #start(): void {
    this.#older = monitorEventLoopDelay({ resolution: RESOLUTION })
    this.#newer = monitorEventLoopDelay({ resolution: RESOLUTION })
    this.#older.enable()
    this.#newer.enable()
    this.#timer = setInterval(() => {
      this.#older?.reset()
      ;[this.#older, this.#newer] = [this.#newer, this.#older]
    }, WINDOW).unref()
  }
}

/** Converts a sample, the nanoseconds since the previous one, to the delay beyond the sampling interval. */
function lateness(nanoseconds: number): number {
  return Math.max(0, nanoseconds / 1e6 - RESOLUTION)
}
