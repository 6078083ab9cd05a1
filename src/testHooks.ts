import type { Mailer } from './mailer.js'

/** The start page and tests need this beyond the public API: mostly ways to make a mailer fail, to demonstrate it. */
export interface TestHooks {
  /** Whether worker threads deliver, not the main thread. */
  threaded: boolean
  /**
   * Terminates the busiest thread while it works; a new one replaces it. Present only if there are worker threads, and if
   * all transports of the mailer are the embedded inbox, so that no real recipient is affected.
   * @returns the id of the thread, or undefined if there is none
   */
  endThread?: () => number | undefined
  /** Advances the clock by `ms`, if the queue supports it. */
  advance?: (ms: number) => Promise<void>
}

const hooksByMailer = new WeakMap<Mailer, TestHooks>()

export function setTestHooks(mailer: Mailer, hooks: TestHooks): void {
  hooksByMailer.set(mailer, hooks)
}

export function testHooksOf(mailer: Mailer): TestHooks | undefined {
  return hooksByMailer.get(mailer)
}
