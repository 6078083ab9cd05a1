import type { Place } from '../template/tree.js'

/** Why a template, or something in it, can't be bound after MJML. */
export interface Finding {
  at: Place
  /** The expression as written. */
  expression: string
  reason: string
  /** How to write it so that it compiles once. */
  advice: string
}
