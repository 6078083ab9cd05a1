import type { Piece } from '../bind/pieces.js'

const CLOSES = /<!\[endif\]-->\s*$/
const OPENS = /^\s*<!--\[if mso \| IE\]>/

/**
 * Where one conditional comment for Outlook ends and the next begins, MJML makes one of them. Which constants meet
 * shows only when the data is bound, so that is when it is done: each constant that can meet another is kept without
 * its end, without its start, and without both.
 */
export class OutlookMerge {
  readonly #needed: boolean
  /** By index of a constant: what it can do. */
  readonly #closes: boolean[]
  readonly #opens: boolean[]
  readonly #blank: boolean[]
  /** By index of a constant: the index of the constant without its end or start. */
  readonly #withoutEnd: number[] = []
  readonly #withoutStart: number[] = []

  /** Adds the shortened constants to the list. */
  constructor(constants: string[]) {
    const given = [...constants]
    this.#closes = given.map((text) => CLOSES.test(text))
    this.#opens = given.map((text) => OPENS.test(text))
    this.#blank = given.map((text) => text.trim() === '')
    this.#needed = this.#closes.includes(true) && this.#opens.includes(true)
    if (!this.#needed) return
    for (const [index, text] of given.entries()) {
      if (this.#opens[index]) {
        const short = constants.push(text.replace(OPENS, '')) - 1
        this.#withoutStart[index] = short
        this.#closes[short] = this.#closes[index] ?? false
        if (this.#closes[index])
          this.#withoutEnd[short] = constants.push(text.replace(OPENS, '').replace(CLOSES, '')) - 1
      }
      if (this.#closes[index]) this.#withoutEnd[index] = constants.push(text.replace(CLOSES, '')) - 1
    }
  }

  /** Merges in place. */
  merge(row: Piece[]): Piece[] {
    if (!this.#needed) return row
    /** The last piece that ends a conditional with nothing but white space after it. */
    let closed = -1
    for (let at = 0; at < row.length; at++) {
      const piece = row[at]!
      if (typeof piece === 'string') {
        if (piece.trim() !== '') closed = -1
        continue
      }
      if (closed >= 0 && this.#opens[piece]) {
        row[closed] = this.#withoutEnd[row[closed] as number]!
        for (let between = closed + 1; between < at; between++) row[between] = ''
        row[at] = this.#withoutStart[piece]!
      }
      const current = row[at] as number
      if (this.#closes[current]) closed = at
      else if (!this.#blank[current]) closed = -1
    }
    return row
  }
}
