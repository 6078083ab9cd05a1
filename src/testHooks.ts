import type { Mailer } from './mailer.js'

/** What the start page and tests may do to a mailer to show what happens then. Not part of the public surface. */
export interface TestHooks {
  /**
   * Ends the busiest thread in the midst of its work; a new one takes its place. For a mailer that can reach nobody: all its
   * transports are the embedded inbox.
   * @returns its id, or undefined where there is none
   */
  endThread?: () => number | undefined
  /** Lets time pass, where the queue can. */
  advance?: (ms: number) => Promise<void>
}

const known = new WeakMap<Mailer, TestHooks>()

export function setTestHooks(mailer: Mailer, backstage: TestHooks): void {
  known.set(mailer, backstage)
}

export function testHooksOf(mailer: Mailer): TestHooks | undefined {
  return known.get(mailer)
}
