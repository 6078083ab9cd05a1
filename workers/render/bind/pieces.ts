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
