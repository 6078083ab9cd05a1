import { vi } from 'vitest'

interface Timer {
  at: number
  readonly order: number
  readonly run: () => void
}

const realTurn = setImmediate

/**
 * One event loop's time, in place of the real one: timers run when the test lets time pass, in order, and late where the loop
 * was blocked. `performance.now()`, `Date.now()` and `process.hrtime.bigint()` agree.
 */
export class VirtualTime {
  #now = 1_000
  #order = 0
  readonly #timers = new Set<Timer>()

  /** Replaces the clocks and the timers until `vi.restoreAllMocks()` and `vi.unstubAllGlobals()`. */
  install(): void {
    const epoch = 1_800_000_000_000
    vi.spyOn(performance, 'now').mockImplementation(() => this.#now)
    vi.spyOn(Date, 'now').mockImplementation(() => epoch + Math.floor(this.#now))
    vi.spyOn(process.hrtime, 'bigint').mockImplementation(() => BigInt(Math.round(this.#now * 1e6)))
    vi.stubGlobal('setTimeout', (run: () => void, ms = 0) => this.at(this.#now + Math.max(1, ms), run))
    vi.stubGlobal('clearTimeout', (timer: Timer | undefined) => {
      if (timer !== undefined) this.#timers.delete(timer)
    })
  }

  /** On `performance.now()`'s clock. */
  get now(): number {
    return this.#now
  }

  /** @param time on `performance.now()`'s clock */
  at(time: number, run: () => void): Timer & { unref(): Timer } {
    const timer = { at: time, order: this.#order++, run, unref: () => timer }
    this.#timers.add(timer)
    return timer
  }

  /** The loop does nothing for a while: what is due in the meantime runs afterwards. */
  block(ms: number): void {
    this.#now += ms
  }

  /** Lets time pass until the condition holds, or until this time. Between two timers all promises settle. */
  async pass(until: number, done: () => boolean = () => false): Promise<void> {
    for (;;) {
      await new Promise((resolve) => realTurn(resolve))
      if (done()) return
      const next = this.#next()
      if (next === undefined || next.at > until) break
      this.#timers.delete(next)
      this.#now = Math.max(this.#now, next.at)
      next.run()
    }
    this.#now = Math.max(this.#now, until)
  }

  #next(): Timer | undefined {
    let first: Timer | undefined
    for (const timer of this.#timers)
      if (first === undefined || timer.at < first.at || (timer.at === first.at && timer.order < first.order))
        first = timer
    return first
  }
}
