/** Who may deliver: as many at a time as there are slots, the others in the order in which they came. */
export class Turns {
  #free: number
  readonly #slots: number
  readonly #waiting: ((mayGo: boolean) => void)[] = []
  #closed = false

  constructor(slots: number) {
    this.#slots = slots
    this.#free = slots
  }

  get taken(): number {
    return this.#slots - this.#free
  }

  /** @returns false when nothing more is to be begun */
  take(): Promise<boolean> {
    if (this.#closed) return Promise.resolve(false)
    if (this.#free === 0) return new Promise((resolve) => this.#waiting.push(resolve))
    this.#free--
    return Promise.resolve(true)
  }

  give(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free++
    else next(true)
  }

  close(): void {
    this.#closed = true
    for (const turnAway of this.#waiting.splice(0)) turnAway(false)
  }
}
