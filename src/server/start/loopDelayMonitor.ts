import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'

/** Milliseconds between two looks at the event loop; it is part of each measured delay and taken off. */
const RESOLUTION = 5

/**
 * By how much this process's event loop was late, in ms: in the last two windows, and over a whole run.
 *
 * After a reset a histogram passes over the delay it is in. So there are two, of which only one is reset at a look:
 * what falls between two windows is in the other.
 */
export class LoopDelayMonitor {
  readonly #windows = [monitor(), monitor()] as const
  #looks = 0
  #run: IntervalHistogram | undefined

  start(): void {
    for (const window of this.#windows) {
      window.reset()
      window.enable()
    }
  }

  stop(): void {
    for (const window of this.#windows) window.disable()
  }

  /** The longest delay since the look before the last. */
  sample(): number {
    const delay = Math.max(...this.#windows.map(longest))
    this.#windows[this.#looks++ % 2 === 0 ? 0 : 1].reset()
    return delay
  }

  startRun(): void {
    this.#run = monitor()
    this.#run.enable()
  }

  /** The longest delay, and what 99 of 100 looks stayed below. */
  endRun(): { max: number; p99: number } {
    const run = this.#run
    if (run === undefined) return { max: 0, p99: 0 }
    run.disable()
    this.#run = undefined
    return { max: longest(run), p99: late(run.percentile(99)) }
  }
}

function monitor(): IntervalHistogram {
  return monitorEventLoopDelay({ resolution: RESOLUTION })
}

function longest(histogram: IntervalHistogram): number {
  return histogram.count === 0 ? 0 : late(histogram.max)
}

function late(nanoseconds: number): number {
  return Math.max(0, Number((nanoseconds / 1e6 - RESOLUTION).toFixed(1)))
}
