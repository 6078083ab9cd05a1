import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'

/** Milliseconds between two looks at the event loop; it is part of each measured delay and taken off. */
const RESOLUTION = 5

/** By how much this process's event loop was late, in ms: over a short window, and over a whole run. */
export class LoopDelay {
  readonly #window: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION })
  #run: IntervalHistogram | undefined

  start(): void {
    this.#window.reset()
    this.#window.enable()
  }

  stop(): void {
    this.#window.disable()
  }

  /** The longest delay since the last look. */
  look(): number {
    const delay = longest(this.#window)
    this.#window.reset()
    return delay
  }

  startRun(): void {
    this.#run = monitorEventLoopDelay({ resolution: RESOLUTION })
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

function longest(histogram: IntervalHistogram): number {
  return histogram.count === 0 ? 0 : late(histogram.max)
}

function late(nanoseconds: number): number {
  return Math.max(0, Number((nanoseconds / 1e6 - RESOLUTION).toFixed(1)))
}
