import type { Pieces } from './pieces.js'
import type { Scope } from './scope.js'

/** One binding: what the compiled nodes note while they run. */
export class Run {
  /** Paths that were asked for and are absent. */
  readonly missing = new Set<string>()
  /** Of each anchor, by its number: the scope it was last bound in. */
  readonly anchors: Scope[] = []
}

/** A node, ready to run: writes what it says in a scope. */
export type Writer = (scope: Scope, run: Run, out: Pieces) => void

/** An expression, ready to run. */
export type Evaluate = (scope: Scope, run: Run) => unknown

/** The late form can't say what this data needs: MJML has to see it. Caught by the template, never reported. */
export class NeedsBindingFirst extends Error {
  constructor(readonly reason: string) {
    super(reason)
  }
}
