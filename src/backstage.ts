import type { Mailer } from './mailer.js'

/** What the start page may do to a mailer to show what happens then. Not part of the public surface. */
export interface Backstage {
  /**
   * Ends the busiest thread in the midst of its work; a new one takes its place.
   * @returns its id, or undefined where there is none
   */
  endThread(): number | undefined
}

const known = new WeakMap<Mailer, Backstage>()

/** For a mailer that can reach nobody: all its transports are the embedded inbox. */
export function openBackstage(mailer: Mailer, backstage: Backstage): void {
  known.set(mailer, backstage)
}

export function backstageOf(mailer: Mailer): Backstage | undefined {
  return known.get(mailer)
}
