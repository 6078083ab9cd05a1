/** Who may deliver: as many at a time as there are slots, the others in the order in which they came. */
export class Turns {
  readonly #slots: () => number
  #taken = 0
  readonly #waiting: ((mayGo: boolean) => void)[] = []
  #closed = false

  /** @param slots may change from one look to the next */
  constructor(slots: () => number) {
    this.#slots = slots
  }

  get taken(): number {
    return this.#taken
  }

  /** @returns false when nothing more is to be begun */
  take(): Promise<boolean> {
    if (this.#closed) return Promise.resolve(false)
    if (this.#taken >= this.#slots()) return new Promise((resolve) => this.#waiting.push(resolve))
    this.#taken++
    return Promise.resolve(true)
  }

  give(): void {
    this.#taken--
    while (this.#taken < this.#slots()) {
      const next = this.#waiting.shift()
      if (next === undefined) return
      this.#taken++
      next(true)
    }
  }

  close(): void {
    this.#closed = true
    for (const turnAway of this.#waiting.splice(0)) turnAway(false)
  }
}
