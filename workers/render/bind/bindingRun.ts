import type { Scope } from './scope.js'

/**
 * The output of a binder: a row of pieces. A number is an index into the binder's constants, a string is a bound
 * value. Whoever builds the message can so encode each constant once and for all.
 */
export type Piece = number | string

/** Collects what a binder writes. */
export class Pieces {
  readonly row: Piece[] = []

  constant(index: number): void {
    this.row.push(index)
  }

  value(text: string): void {
    this.row.push(text)
  }

  /** Where the row stands, for {@link take}. */
  get length(): number {
    return this.row.length
  }
}

export function joinPieces(row: readonly Piece[], constants: readonly string[]): string {
  let text = ''
  for (const piece of row) text += typeof piece === 'number' ? constants[piece]! : piece
  return text
}

/** One binding: what the compiled nodes note while they run. */
export class BindingRun {
  /** Paths that were asked for and are absent. */
  readonly missing = new Set<string>()
  /** Of each anchor, by its number: the scope it was last bound in. */
  readonly anchors: Scope[] = []
}

/** A node, ready to run: writes what it says in a scope. */
export type Writer = (scope: Scope, run: BindingRun, out: Pieces) => void

/** An expression, ready to run. */
export type Evaluate = (scope: Scope, run: BindingRun) => unknown

/** The late form can't say what this data needs: MJML has to see it. Caught by the template, never reported. */
export class NeedsPerMessageRendering extends Error {
  constructor(readonly reason: string) {
    super(reason)
  }
}
