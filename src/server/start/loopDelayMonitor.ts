import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout } from 'node:timers/promises'

/**
 * Interval between two samples of the event loop, in milliseconds. Each measured delay includes it, so it is
 * subtracted.
 */
const RESOLUTION = 5

/**
 * Measures the delay of this process's event loop, in milliseconds: over the last two windows, and over the phases of
 * a run. The maximum of a phase is the maximum of what `sample()` returned during it, so the dial and the table of the
 * start page never disagree.
 *
 * A histogram that is reset during a delay misses that delay. So there are two histograms, and each sample resets
 * only one of them: the other one contains the delay.
 */
export class LoopDelayMonitor {
  readonly #windows: readonly [IntervalHistogram, IntervalHistogram] = [monitor(), monitor()]
  #samples = 0
  #watched = false
  /** Maximum of the current phase so far; undefined between two runs. */
  #phase: number | undefined
  /** Delay of the phase before, which the next sample still shows. */
  #carried = 0

  /** Begins to measure for pages that show the delay. */
  watch(): void {
    this.#watched = true
    this.#enable()
  }

  /** Ends what `watch()` began. A run in progress is still measured. */
  unwatch(): void {
    this.#watched = false
    if (this.#phase === undefined) this.#disable()
  }

  /** Returns the maximum delay since the sample before the last one. */
  sample(): number {
    const delay = this.#latest()
    this.#windows[this.#samples++ % 2 === 0 ? 0 : 1].reset()
    if (this.#phase !== undefined) this.#phase = Math.max(this.#phase, delay)
    const shown = Math.max(delay, this.#carried)
    this.#carried = 0
    return shown
  }

  startRun(): void {
    this.#carried = this.#latest()
    this.#phase = 0
    this.#enable()
  }

  /** Ends a phase of the run, and returns its maximum delay. The next phase begins. */
  async endPhase(): Promise<number> {
    // A delay that has just ended is in the histograms after their next sample.
    await setTimeout(RESOLUTION * 2)
    const max = Math.max(this.#phase ?? 0, this.#latest())
    this.#carried = max
    this.#phase = 0
    this.#reset()
    return max
  }

  /** Ends the last phase of the run, and returns its maximum delay. */
  async endRun(): Promise<number> {
    const max = await this.endPhase()
    this.stopRun()
    return max
  }

  /** Ends a run without a result. */
  stopRun(): void {
    this.#phase = undefined
    if (!this.#watched) this.#disable()
  }

  #latest(): number {
    return Math.max(...this.#windows.map(maxDelay))
  }

  #reset(): void {
    for (const window of this.#windows) window.reset()
  }

  #enable(): void {
    this.#reset()
    for (const window of this.#windows) window.enable()
  }

  #disable(): void {
    for (const window of this.#windows) window.disable()
  }
}

function monitor(): IntervalHistogram {
  return monitorEventLoopDelay({ resolution: RESOLUTION })
}

function maxDelay(histogram: IntervalHistogram): number {
  return histogram.count === 0 ? 0 : Math.max(0, Number((histogram.max / 1e6 - RESOLUTION).toFixed(1)))
}
