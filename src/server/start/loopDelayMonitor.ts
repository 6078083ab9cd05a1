import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'

/**
 * Interval between two samples of the event loop, in milliseconds. Each measured delay includes it, so it is
 * subtracted.
 */
const RESOLUTION = 5

/**
 * Measures the delay of this process's event loop, in milliseconds, over the last two windows and over a whole run.
 *
 * A histogram that is reset during a delay misses that delay. So there are two histograms, and each sample resets
 * only one of them: the other one contains the delay.
 */
export class LoopDelayMonitor {
  readonly #windows = [monitor(), monitor()] as const
  #samples = 0
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

  /** Returns the maximum delay since the sample before the last one. */
  sample(): number {
    const delay = Math.max(...this.#windows.map(maxDelay))
    this.#windows[this.#samples++ % 2 === 0 ? 0 : 1].reset()
    return delay
  }

  startRun(): void {
    this.#run = monitor()
    this.#run.enable()
  }

  /** Returns the maximum and the 99th percentile of the run's delays. */
  endRun(): { max: number; p99: number } {
    const run = this.#run
    if (run === undefined) return { max: 0, p99: 0 }
    run.disable()
    this.#run = undefined
    return { max: maxDelay(run), p99: toDelay(run.percentile(99)) }
  }
}

function monitor(): IntervalHistogram {
  return monitorEventLoopDelay({ resolution: RESOLUTION })
}

function maxDelay(histogram: IntervalHistogram): number {
  return histogram.count === 0 ? 0 : toDelay(histogram.max)
}

function toDelay(nanoseconds: number): number {
  return Math.max(0, Number((nanoseconds / 1e6 - RESOLUTION).toFixed(1)))
}
