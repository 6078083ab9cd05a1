import { onTestFinished, vi } from 'vitest'

/**
 * Stops the clock of this process for the rest of the test: `performance.now()` and `setTimeout()` advance only when the
 * test calls `vi.advanceTimersByTime()`. Sockets, `setInterval()` and `setImmediate()` go on as usual, so that a time
 * limit expires exactly when the test says so, however slow the machine is.
 */
export function stopClock(): void {
  vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
}
