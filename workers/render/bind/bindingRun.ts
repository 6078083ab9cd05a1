import type { Scope } from './scope.js'

/**
 * A piece of a binder's output. A number is an index into the binder's constants; a string is a bound
 * value. The composer can therefore encode each constant once.
 */
export type Piece = number | string

/** Collects the output of a binder. */
export class Pieces {
  readonly row: Piece[] = []

  constant(index: number): void {
    this.row.push(index)
  }

  value(text: string): void {
    this.row.push(text)
  }
}

export function joinPieces(row: readonly Piece[], constants: readonly string[]): string {
  let text = ''
  for (const piece of row) text += typeof piece === 'number' ? constants[piece]! : piece
  return text
}

/** The state of one binding. */
export class BindingRun {
  /** Required paths that are absent from the data. */
  readonly missing = new Set<string>()
  /** By number of the anchor: the scope in which it was last bound. */
  readonly anchors: Scope[] = []
}

/** A compiled node: writes its output for a scope. */
export type Writer = (scope: Scope, run: BindingRun, out: Pieces) => void

/** A compiled expression. */
export type Evaluate = (scope: Scope, run: BindingRun) => unknown

/** The precompiled form can't represent this data, so MJML has to run for this message. The template catches it; it is never reported. */
export class NeedsPerMessageRendering extends Error {
  constructor(readonly reason: string) {
    super(reason)
  }
}
